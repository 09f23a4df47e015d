"""What an attempt amounted to, and so what happens next."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelcall.types import ErrorType


class Kind(Enum):
    """The classes of attempts."""

    OK = auto()
    """A reply with a text for the check to judge."""
    NETWORK = auto()
    """The server or the way to it failed: try again."""
    RATE_LIMIT = auto()
    """The server is willing, later."""
    PERMANENT = auto()
    """This request will never succeed; others may."""
    FATAL = auto()
    """No request will succeed until somebody does something."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The class of a fault, and what goes with it."""

    kind: Kind
    cause: str
    """A short name, for counting: ``connect``, ``http 503``, ``no_choices``."""
    error_type: ErrorType | None = None
    """Of the row, if the kind is PERMANENT (or FATAL and yet only the row's)."""
    hint: str = ""
    """What to do, if the kind is FATAL."""
    outage: bool = False
    """The kind of failure an endpoint shows while it is down: charged to a row only if others succeed meanwhile."""
    may_be_row: bool = False
    """FATAL, but proxies say it of single documents too: not believed at once."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A failed attempt: its verdict, the words for it, and how long the server asks to wait."""

    verdict: Verdict
    message: str
    """Redacted and capped."""
    wait: float | None = None
    """Seconds, a floor."""
    stale: bool = False
    """The connection had been closed before the request reached the server: nobody's fault."""
