"""Options that are times: ``50ms``, ``2s``, or a number of seconds."""

from __future__ import annotations

from typing import Final

from pydantic import TypeAdapter, ValidationError

from modelcall.cli.failing import usage_error
from modelcall.config.fields import Duration

_DURATION: Final[TypeAdapter[float]] = TypeAdapter(Duration)


def seconds(text: str, option: str) -> float:
    """Read the value of an option.

    Raises:
        ConfigError: It is no time.
    """
    try:
        return _DURATION.validate_python(float(text) if text.replace(".", "", 1).isdecimal() else text)
    except ValidationError as error:
        raise usage_error(
            f"{option}: must be seconds, or a time such as 50ms, 2s or 30m, got {text!r}", hint="correct the option"
        ) from error
