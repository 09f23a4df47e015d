"""One server: what is in flight there, how well it is, and how much more it may be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from modelcall.values import row_value

if TYPE_CHECKING:
    from modelcall.llm.limits import AdaptiveLimit

FIRST_REST: Final = 1.0
"""Seconds a failing endpoint is left alone the first time; doubled each time, up to :data:`LONGEST_REST`."""
LONGEST_REST: Final = 5.0
BROKEN_REST: Final = 60.0
"""Seconds for which an endpoint that refuses what others take (a wrong key, no such model) is left alone."""
SLOWEST_RAMP: Final = 10.0
"""Seconds, at most, over which an endpoint that wakes up gets its full load back."""


@row_value
class Ticket:
    """An attempt in flight."""

    endpoint: Endpoint
    started: float
    epoch: int
    level: int
    """How many are in flight at the endpoint, this one included."""
    probing: bool
    """The endpoint had failed and this attempt finds out whether it is back: a failure is not the row's."""


class Endpoint:
    """State of one server. Told of time, keeps none itself.

    Attributes:
        allowed: How many requests may be in flight there now.
        cooling: Whether it asked for a pause that lasts.
    """

    def __init__(self, url: str, limit: AdaptiveLimit) -> None:
        self.url = url
        self.name = urlsplit(url).netloc.rpartition("@")[2]
        self.limit = limit
        self.outstanding = 0
        self.allowed = 0
        self.cooling = False
        self.latency = 0.0
        self.succeeded = False
        self.misses = 0
        self.strikes = 0
        self._next_rest = FIRST_REST
        self._cool_until = 0.0
        self._sick_until: float | None = None
        self._ramp_from = 0.0
        self._failed_before = 0.0

    def begin(self, now: float) -> Ticket:
        """Count an attempt."""
        self.outstanding += 1
        self.limit.begun()
        return Ticket(self, now, self.limit.epoch, self.outstanding, self._sick_until is not None)

    @property
    def is_sick(self) -> bool:
        """Whether it failed and has not answered since."""
        return self._sick_until is not None

    def cool(self, now: float, seconds: float) -> bool:
        """Ask it nothing for so long; False if an earlier pause lasts longer."""
        self.limit.cooled(now, seconds)
        if now + seconds <= self._cool_until:
            return False
        self._cool_until = self._ramp_from = now + seconds
        return True

    def rest(self, now: float, ticket: Ticket) -> float | None:
        """Leave it alone for a while, after failures; return the seconds if it was well until now."""
        if ticket.started < self._failed_before:
            return None
        seconds = self._next_rest
        self._next_rest = min(2 * seconds, LONGEST_REST)
        was_sick = self.is_sick
        self._lie_down(now, seconds)
        return None if was_sick else seconds

    def ban(self, now: float) -> None:
        """Leave it alone for long."""
        self._lie_down(now, BROKEN_REST)

    def _lie_down(self, now: float, seconds: float) -> None:
        self._failed_before = now
        self._sick_until = self._ramp_from = now + seconds

    def recover(self, now: float, latency: float) -> bool:
        """It answered; return whether it had been given up."""
        self.latency += (latency - self.latency) * (0.1 if self.succeeded else 1.0)
        self.succeeded = True
        self.misses = self.strikes = 0
        self._next_rest = FIRST_REST
        was_sick = self._sick_until is not None
        if was_sick:
            self._sick_until, self._ramp_from = None, now
        return was_sick

    def wake(self, now: float) -> None:
        """Open its load again, little by little."""
        self._ramp_from = now

    def refresh(self, now: float) -> int:
        """Work out and return what is allowed now."""
        self.cooling = now < self._cool_until
        if self.cooling or now < (self._sick_until or 0.0):
            self.allowed = 0
        elif self._sick_until is not None:
            self.allowed = 1
        else:
            self.allowed = max(1, int(self.limit.value * self._ramp(now)))
        return self.allowed

    @property
    def limit_reason(self) -> str:
        """Why as much is allowed as is now."""
        if self.is_sick:
            return "left out after failures"
        if self.cooling:
            return "asked to wait"
        return self.limit.reason if self.allowed >= int(self.limit.value) else "opening again after a pause"

    def _ramp(self, now: float) -> float:
        """Return the share of the limit that is open again: all of it after one latency.

        In one latency a busy endpoint starts as many requests as its limit, so waking is no busier than working.
        """
        length = min(max(self.latency, 0.1), SLOWEST_RAMP)
        return min(1.0, (now - self._ramp_from) / length) if self._ramp_from else 1.0
