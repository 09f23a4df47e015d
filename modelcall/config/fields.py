"""Types of configuration fields: they take what a user unmistakably means, and nothing else."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Final, Literal, NoReturn, TypeAlias, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

_GROUPED: Final = re.compile(r"[-+]?[0-9]{1,3}(?:_[0-9]{3})+")
_DURATION: Final = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d))+")
_DURATION_PART: Final = re.compile(r"([0-9.]+)(ms|s|m|h|d)")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_YES_NO: Final = {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}


class Block(BaseModel):
    """A block of keys: unknown ones are refused, values are fixed once read."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=False, protected_namespaces=(), hide_input_in_errors=True
    )


def refuse(message: str, **context: object) -> NoReturn:
    """Refuse a value with a sentence of our own."""
    raise PydanticCustomError("refused", message, context or None)


def _truth(value: object) -> object:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _YES_NO:
        return _YES_NO[value.lower()]
    refuse("must be true or false, got {value}", value=shown(value))


def _whole(value: object) -> object:
    if isinstance(value, str) and _GROUPED.fullmatch(value):
        return int(value.replace("_", ""))
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        refuse("must be a whole number, got {value}", value=shown(value))
    return value


def _number(value: object) -> object:
    if isinstance(value, str) and _GROUPED.fullmatch(value):
        return int(value.replace("_", ""))
    if isinstance(value, bool) or not isinstance(value, int | float):
        refuse("must be a number, got {value}", value=shown(value))
    if not math.isfinite(value):
        refuse("must be a finite number, got {value}", value=shown(value))
    return value


def _seconds(value: object) -> object:
    if isinstance(value, str):
        text = value.replace(" ", "").lower()
        if not _DURATION.fullmatch(text):
            refuse('must be seconds, or a time such as "50ms", "2s" or "30m", got {value}', value=shown(value))
        return sum(float(count) * _SECONDS[unit] for count, unit in _DURATION_PART.findall(text))
    return _number(value)


def _block(value: object) -> object:
    """A block whose keys are all commented out is null in YAML; it means the defaults."""
    return {} if value is None else value


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def shown(value: object) -> str:
    """Show a value in a message: short, on one line, with what might be a credential left out."""
    if isinstance(value, str):
        text = "***" if looks_secret(value) else repr(value[:60])
        return f"the text {text}" + ("…" if len(value) > 60 else "")  # noqa: PLR2004  as above
    if isinstance(value, dict):
        return "a block of keys"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "nothing" if value is None else repr(value)[:60]


_SECRET_TEXT: Final = re.compile(
    r"^(?i:bearer|basic)\s|(?<![A-Za-z0-9])(?:(?i:sk|pk|rk|ghp|hf)[-_]|AKLT|AKTP|AKIA)[A-Za-z0-9_-]{12,}|://[^/@\s]*@"
)


def looks_secret(text: str) -> bool:
    """Whether a text looks like a credential, or a URL that holds one."""
    return bool(_SECRET_TEXT.search(text))


T = TypeVar("T")

Truth: TypeAlias = Annotated[bool, BeforeValidator(_truth)]
Whole: TypeAlias = Annotated[int, BeforeValidator(_whole)]
# The bound stands before the validator: only so it reaches the JSON Schema as `minimum`.
Positive: TypeAlias = Annotated[int, Field(ge=1), BeforeValidator(_whole)]
NotNegative: TypeAlias = Annotated[int, Field(ge=0), BeforeValidator(_whole)]
PositiveNumber: TypeAlias = Annotated[float, Field(gt=0), BeforeValidator(_number)]
Share: TypeAlias = Annotated[float, Field(ge=0, le=1), BeforeValidator(_number)]
"""A part of a whole, 0 to 1."""
Price: TypeAlias = Annotated[float, Field(ge=0), BeforeValidator(_number)]

_DURATION_SCHEMA: Final[dict[str, Any]] = {
    "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": f"^{_DURATION.pattern}$"}]
}
Duration: TypeAlias = Annotated[float, BeforeValidator(_seconds), Field(ge=0), WithJsonSchema(_DURATION_SCHEMA)]
"""Seconds, 0 or more; also written ``50ms``, ``2s``, ``30m``, ``1h30m``."""
PositiveDuration: TypeAlias = Annotated[float, BeforeValidator(_seconds), Field(gt=0), WithJsonSchema(_DURATION_SCHEMA)]

Text: TypeAlias = Annotated[str, Field(min_length=1)]
OrDefaults: TypeAlias = Annotated[T, BeforeValidator(_block)]
"""A block that may be written without any key."""
Texts: TypeAlias = Annotated[
    tuple[Text, ...], BeforeValidator(_listed, json_schema_input_type=Text | list[Text]), PlainSerializer(list)
]
"""One text or a list of texts."""


def _workers(value: object) -> object:
    if value == AUTO:
        return value
    if isinstance(value, str) and not _GROUPED.fullmatch(value):
        refuse("must be a whole number from 1, or auto, got {value}", value=shown(value))
    number = _whole(value)
    if isinstance(number, int) and number < 1:
        refuse("must be at least 1, or auto, got {value}", value=number)
    return number


AUTO: Final = "auto"
Workers: TypeAlias = Annotated[
    int | Literal["auto"],
    BeforeValidator(_workers),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"const": AUTO}]}),
]
"""A number of processes, or ``auto``."""


def _all_or_some(value: int) -> int:
    if value == 0 or value < -1:
        refuse("must be at least 1, or -1, got {value}", value=value)
    return value


OrMinusOne: TypeAlias = Annotated[
    Whole,
    AfterValidator(_all_or_some),
    WithJsonSchema({"type": "integer", "minimum": -1, "not": {"const": 0}}),
]
"""A whole number from 1, or -1."""
