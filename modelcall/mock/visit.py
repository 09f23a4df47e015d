"""The seam between sockets and what is said on them: a connection asks its house for a visit, and gets reactions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from modelcall.mock.connection import Connection
    from modelcall.mock.reading import Head
    from modelcall.mock.wire import Script


@dataclass(frozen=True, slots=True)
class Reaction:
    """What the client gets, and after how many (real) seconds it begins."""

    script: Script
    delay: float = 0.0


class Visit(Protocol):
    """One request, from its head to the end of its reply."""

    def early(self) -> Reaction | None:
        """React to the head alone, or let the body come."""

    def answer(self, body: bytes) -> Reaction:
        """React to the whole request."""

    def end(self, *, complete: bool) -> None:
        """It is over; ``complete``: all steps were carried out while the client was there. Called once."""


class House(Protocol):
    """The server, as a connection sees it."""

    max_body: int
    idle_timeout: float
    """Real seconds."""
    time_scale: float

    def opened(self, connection: Connection) -> None:
        """A connection was made."""

    def closed(self, connection: Connection) -> None:
        """It is gone."""

    def visit(self, head: Head) -> Visit:
        """A request has begun."""

    def go_down(self, seconds: float, how: Literal["refuse", "ignore"]) -> None:
        """Take the server down for so many real seconds."""
