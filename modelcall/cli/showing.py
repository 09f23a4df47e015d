"""What a user wants to see of a command, and the log it opens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelcall.errors import ConfigError
from modelcall.log import OpenLog, setup

if TYPE_CHECKING:
    from modelcall.log import LogSettings


@dataclass(frozen=True, slots=True)
class Address:
    """Where metrics are served."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Showing:
    """What the user wants to see."""

    quiet: bool = False
    """No progress and no log lines on stderr."""
    as_json: bool = False
    status: bool = True
    """A status file and a control socket."""
    metrics: Address | None = None
    """Where metrics are served; None: nowhere."""


def open_log(settings: LogSettings) -> OpenLog:
    """Open the log of a command.

    Raises:
        ConfigError: It cannot be written.
    """
    try:
        return setup(settings)
    except OSError as error:
        raise ConfigError(
            f"{settings.file}: the log cannot be written: {error.strerror or error}",
            hint="set logging.dir to a folder that can be written, or start from another folder",
        ) from error
