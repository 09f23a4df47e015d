"""An outage belongs to the endpoint, not to the rows.

A failure of the kind that endpoints show while they are down is charged to a row only if some request succeeds before
the row's next attempt or a later one; and not even then, once a row, if that success ended a spell in which everything
failed. Only requests begun after the first failures count as successes here: a server that shuts down takes nothing new
but answers for minutes what it has taken before.

Other failures, 500s and refusals for load, are the row's own as a rule. When :data:`CROWD` different rows have met them
without a success between, they are the endpoint's too.

From :data:`PATIENCE` seconds without a success asking pauses, but for probes, and resumes with the first success. After
the grace the run stops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from modelcall.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE: Final = 30.0
"""Seconds of failures without a success before asking pauses."""
ASLEEP: Final = 5.0
"""Seconds between two looks from which on this process, not the endpoint, was away: suspended, or its machine."""
SPELL: Final = 5
"""Failures in a row that show the endpoint down, and not a row poisonous."""

CROWD: Final = 5
"""Different rows in a row that show a failure to be the endpoint's."""


class OutageListener(Protocol):
    """Who acts on what the watch finds."""

    def outage_began(self, seconds: float) -> None:
        """Asking must pause."""

    def outage_ended(self, seconds: float) -> None:
        """Asking may go on."""

    def gave_up(self, error: FatalError) -> None:
        """The grace is over."""


class Outage:
    """Watches successes and failures of all endpoints together. Told of time, keeps none itself.

    Args:
        grace: Seconds of failures without a success after which the run stops.
        listener: Is called from :meth:`tick` and :meth:`succeeded`.
        describe: Names the endpoints and their last fault, for the message.
    """

    def __init__(self, *, grace: float, listener: OutageListener, describe: Callable[[], str]) -> None:
        self._grace = grace
        self._listener = listener
        self._describe = describe
        self._last_success: float | None = None
        self._failing_since: float | None = None
        self._ticked: float | None = None
        self._awake_since = float("-inf")
        self._failures = 0
        self._crowd: set[str] = set()
        self._spell_began = float("-inf")
        self._proved = float("-inf")
        self._recovered = float("-inf")
        self.active = False

    def succeeded(self, now: float, started: float) -> None:
        """An attempt that began at ``started`` was answered."""
        self._last_success = now
        if started > self._spell_began or not self._failures:
            self._proves_well(now)
        elif not self.active:
            self._failing_since = None

    def _proves_well(self, now: float) -> None:
        self._proved = now
        if self.active or self._failures >= SPELL:
            self._recovered = now
        self._failures = 0
        self._crowd.clear()
        since, self._failing_since = self._failing_since, None
        if self.active and since is not None:
            self.active = False
            self._listener.outage_ended(now - since)

    def failed(self, started: float) -> None:
        """An attempt that began at ``started`` failed as attempts do when the endpoint is down."""
        if self._failures < SPELL:
            self._spell_began = max(started, self._spell_began) if self._failures else started
        self._failures += 1
        if self._failing_since is None:
            self._failing_since = max(started, self._last_success or started, self._awake_since)

    def is_everybodys(self, request_id: str, started: float) -> bool:
        """Note a failure that is a row's own as a rule; return whether by now it must be taken for the endpoint's."""
        if len(self._crowd) < CROWD:
            self._crowd.add(request_id)
        if len(self._crowd) < CROWD:
            return False
        self.failed(started)
        return True

    def is_charged(self, ended: float) -> bool:
        """Whether an attempt that failed at ``ended`` counts against its row, as far as is known by now."""
        return self._proved > ended

    def is_forgivable(self, started: float) -> bool:
        """Whether a failed attempt that began at ``started`` did so before the end of the last such spell."""
        return started <= self._recovered

    def tick(self, now: float) -> None:
        """Draw the conclusions that time brings."""
        if self._ticked is not None and now - self._ticked > ASLEEP:
            self._awake_since = now
        self._ticked = now
        if self._failing_since is None:
            return
        self._failing_since = max(self._failing_since, self._awake_since)
        lasted = now - self._failing_since
        if lasted >= self._grace:
            self._listener.gave_up(self._error(lasted))
        elif not self.active and lasted >= PATIENCE:
            self.active = True
            self._listener.outage_began(lasted)

    def _error(self, lasted: float) -> FatalError:
        return FatalError(
            f"no answer for {spoken(lasted)} from {self._describe()}",
            hint="bring the endpoint back, or point base_url to another of the same model; start again to resume",
        )


def spoken(seconds: float) -> str:
    """Write a duration as people say it: ``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 120:  # noqa: PLR2004  up to two minutes seconds are clearer
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"  # noqa: PLR2004  as above
