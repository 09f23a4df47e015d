"""Which phase a run is in, and why."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from modelcall.types import FileCounts, Outcome, RowRef


class Phase(StrEnum):
    """What a run does at the moment."""

    STARTING = "starting"
    """It counts what is left to do."""
    PREPROCESSING = "preprocessing"
    RUNNING = "running"
    PAUSED = "paused"
    """Somebody asked for a pause."""
    OUTAGE = "outage"
    """The endpoint does not answer; asking pauses, but for probes."""
    DRAINING = "draining"
    """No more rows are begun; those in flight end."""
    ENDED = "ended"


class Phases:
    """Follows a run from phase to phase; a listener of it.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._outage = ""
        self._cooling: dict[str, tuple[float, str]] = {}
        self.preprocessing = self.started = False
        """Whether raw files are being made into input, and whether rows are being asked about."""
        self.paused_by = ""
        self.draining_by = ""
        self.ended = ""
        """Why the run is over; empty while it is not."""

    @property
    def phase(self) -> Phase:
        """The phase of now; of several that would fit the one that matters most."""
        if self.ended:
            return Phase.ENDED
        if self.draining_by:
            return Phase.DRAINING
        if self.paused_by:
            return Phase.PAUSED
        if self._outage:
            return Phase.OUTAGE
        if self.started:
            return Phase.RUNNING
        return Phase.PREPROCESSING if self.preprocessing else Phase.STARTING

    @property
    def note(self) -> str:
        """Why it is in this phase, or what slows it down."""
        by = {Phase.ENDED: self.ended, Phase.DRAINING: self.draining_by, Phase.PAUSED: self.paused_by}
        return by.get(self.phase) or self._outage or self._cool_down()

    def _cool_down(self) -> str:
        now = self._clock()
        self._cooling = {name: pause for name, pause in self._cooling.items() if pause[0] > now}
        waits = (f"{name} asks to wait {until - now:.1f} s ({cause})" for name, (until, cause) in self._cooling.items())
        return "; ".join(waits)

    def client_event(self, name: str, facts: Mapping[str, Any]) -> None:
        """Take in outages and cool-downs."""
        if name == "outage":
            self._outage = str(facts.get("message", "no answer"))
        elif name == "recovered":
            self._outage = ""
        elif name == "cooldown":
            until = self._clock() + float(facts.get("seconds", 0.0))
            self._cooling[str(facts.get("endpoint", "the endpoint"))] = (until, str(facts.get("cause", "")))

    def file_started(self, file: str, *, recorded: int) -> None:
        """Of no interest here."""

    def row_done(self, ref: RowRef, outcome: Outcome) -> None:
        """Of no interest here."""

    def file_done(self, file: str, counts: FileCounts) -> None:
        """Of no interest here."""

    def file_failed(self, file: str, reason: str) -> None:
        """Of no interest here."""
