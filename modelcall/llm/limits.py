"""How many requests an endpoint may have in flight: found out, not configured.

Slow start grows the limit by the clock until the first refusal (HTTP 429 and its kin). A refusal tells the capacity:
the number in flight when it came, less one. One burst of refusals makes one multiplicative cut; the limit then returns
to the known capacity quickly, stays there, and searches beyond it from time to time in steps that double while nothing
is refused. A cut is a trial: if the share of refusals does not fall, they do not depend on our load, and it is taken
back.

The shape is that of TCP CUBIC (RFC 9438): multiplicative decrease, a plateau at the last known capacity, then probing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from modelcall.llm.settings import Adaptive

DOUBLING: Final = 0.4
"""Seconds in which slow start doubles the limit: six doublings reach any ceiling in 2.4 s."""
CUTS: Final = (0.9, 0.7, 0.5)
"""What the first, second and later cuts of a trial leave."""
RECOVERY: Final = 0.25
"""Share of the known capacity regained per second."""
HOLD: Final = 3.0
"""Seconds at the known capacity before searching beyond it, and at least three latencies."""
COST: Final = 16.0
"""A search that is answered with a cool-down may take a sixteenth of the time: it is repeated that much later."""
CALM: Final = 2.0
"""Seconds without growth after a server error."""
AT_EASE: Final = (8.0, 0.5)
"""Seconds after a calm in which further errors start no other: while they are few, and while they are many.

Without this a steady trickle of errors, which most gateways have, would hold the limit where it began for ever."""
MANY: Final = 0.2
"""Share of errors among the latest answers that counts as many."""
LATEST: Final = 50
"""Answers over which the share of errors is averaged."""
TOLERANCE: Final = (30.0, 600.0)
"""Seconds for which refusals that do not depend on our load are ignored: at first, and at most after doubling."""
ENOUGH: Final = 30
"""Answers needed, at least, to judge a cut."""
FEW: Final = 3
"""Refusals, more than half of the attempts since a cut, that call for another at once."""
HOPELESS: Final = 0.9
"""Share of refusals from which on a server takes nothing from us: asking more would not help."""
CLEAR: Final = 8
"""Attempts without refusal, at least, for the next refusal to tell the capacity by itself."""
MEMORY: Final = 200
"""Answers over which the share of refusals is averaged."""


@dataclass(slots=True)
class _Trial:
    """A cut being judged."""

    undo: tuple[float, float | None]
    """Limit and known capacity before it."""
    share: float
    """Share of refusals before it."""
    since: float
    cuts: int = 1
    begun: int = 0
    """Attempts since the last cut. Refusals come back sooner than answers: only these make a fair share at first."""
    accepted: int = 0
    refused: int = 0

    @property
    def answers(self) -> int:
        return self.accepted + self.refused


class AdaptiveLimit:
    """The limit of one endpoint. Told of time, keeps none itself.

    An attempt carries the :attr:`epoch` it began in: refusals of attempts from before a cut belong to the burst that
    caused it.

    Args:
        ceiling: No limit goes beyond it.
        adaptive: What the user chose.
        sharers: How many endpoints begin together.
    """

    def __init__(self, *, ceiling: int, adaptive: Adaptive, sharers: int = 1) -> None:
        self._ceiling = float(ceiling)
        self._floor = float(min(adaptive.floor, ceiling))
        self._enabled = adaptive.enabled
        start = adaptive.start if adaptive.start is not None else max(8, ceiling // 64)
        self.value = float(min(max(1, start // sharers), ceiling)) if adaptive.enabled else self._ceiling
        self.reason = "slow start" if adaptive.enabled else "fixed"
        self.epoch = 0
        self.share = 0.0
        self._answers = 0
        self._known: float | None = None
        self._trial: _Trial | None = None
        self._tolerated = (0.0, 0.0)  # share, until when
        self._tolerance = TOLERANCE[0]
        self._latency = 0.0
        self._calm_until = -AT_EASE[0]
        self._trouble = 0.0
        self._search_at = 0.0
        self._step: tuple[float, float, float] | None = None  # size, from which limit, since when

    def set_ceiling(self, ceiling: int) -> None:
        """Move the ceiling, down or up; a fixed limit goes along, an adaptive one grows towards it."""
        self._ceiling = float(ceiling)
        self._floor = min(self._floor, self._ceiling)
        self.value = min(self.value, self._ceiling) if self._enabled else self._ceiling
        if self._enabled and self.reason == "ceiling" and self.value < self._ceiling:
            self.reason = "the ceiling was raised"

    def begun(self) -> None:
        """An attempt begins, in the present epoch."""
        if self._trial is not None:
            self._trial.begun += 1

    def accepted(self, now: float, epoch: int) -> None:
        """An attempt was answered."""
        self._sample(0.0)
        self._trouble -= self._trouble / LATEST
        if self._trial is not None and epoch == self.epoch:
            self._trial.accepted += 1
            self._weigh(self._trial, now)

    def refused(self, now: float, *, epoch: int, level: int) -> None:
        """An attempt that was the ``level``-th in flight when it began was refused for load."""
        self._sample(1.0)
        if not self._enabled or epoch != self.epoch:
            return
        share, until = self._tolerated
        if self._trial is not None:
            self._refused_again(self._trial, now, level)
        elif now >= until or self.share > 1.5 * share + 0.05:
            self._begin(now, level)

    def troubled(self, now: float) -> None:
        """A server error or a broken connection: no growth for a while, but never for ever."""
        self._trouble += (1 - self._trouble) / LATEST
        if now >= self._calm_until + AT_EASE[self._trouble > MANY]:
            self._calm_until = now + CALM

    def cooled(self, now: float, seconds: float) -> None:
        """The endpoint asked for a pause of ``seconds``: searching has its price here."""
        self._search_at = max(self._search_at, now + COST * seconds)
        if self._trial is not None:
            self._restart(self._trial, now)

    def tick(self, now: float, elapsed: float, *, busy: bool, latency: float) -> None:
        """Let time pass.

        Args:
            now: Seconds of a monotonic clock.
            elapsed: Seconds since the last call.
            busy: Whether the limit is in use; an unused one does not grow.
            latency: Seconds an attempt takes.
        """
        self._latency = latency
        if not self._enabled:
            return
        if self._trial is not None:
            if now - self._trial.since > max(10.0, 4 * latency):
                self._trial = None
            return
        if now >= self._calm_until and busy and self.value < self._ceiling:
            self._grow(now, elapsed)

    def _sample(self, refused: float) -> None:
        self._answers = min(self._answers + 1, MEMORY)
        self.share += (refused - self.share) / self._answers

    def _begin(self, now: float, level: int) -> None:
        self._trial = _Trial(undo=(self.value, self._known), share=self.share, since=now)
        self._known = max(self._floor, level - 1.0)
        self._cut(self._trial, now, level)
        self.epoch += 1

    def _cut(self, trial: _Trial, now: float, level: float) -> None:
        lower = min(self.value, level) * CUTS[min(trial.cuts, len(CUTS)) - 1]
        self.value = max(self._floor, lower, self.value / 2)
        self.reason = f"refused with {level:.0f} in flight"
        self._step = None
        self._search_at = max(self._search_at, now + max(HOLD, 3 * self._latency))

    def _refused_again(self, trial: _Trial, now: float, level: int) -> None:
        self._known = min(self._known or level, max(self._floor, level - 1.0))
        if trial.refused == 0 and trial.begun >= level >= CLEAR:
            # All that began since the cut was taken, up to this level: that is the capacity, and no chance.
            trial.cuts = 1
            self._cut(trial, now, level)
            self._restart(trial, now)
        else:
            trial.refused += 1
            self._weigh(trial, now)

    def _restart(self, trial: _Trial, now: float) -> None:
        trial.begun = trial.accepted = trial.refused = 0
        trial.since = now
        self.epoch += 1

    def _weigh(self, trial: _Trial, now: float) -> None:
        if trial.refused >= FEW and 2 * trial.refused > trial.begun and self.value > self._floor:
            trial.cuts += 1
            self._cut(trial, now, self.value)
            self._restart(trial, now)
        elif trial.answers >= max(ENOUGH, self.value):
            share = trial.refused / trial.answers
            self._trial = None
            if trial.refused and trial.share / 2 <= share < HOPELESS:
                self._take_back(trial, now, max(share, trial.share))
            else:
                self._tolerance = TOLERANCE[0]

    def _take_back(self, trial: _Trial, now: float, share: float) -> None:
        self.value, self._known = trial.undo
        self.reason = f"{share:.0%} refused whatever the load"
        self.epoch += 1
        self._tolerated = (share, now + self._tolerance)
        self._tolerance = min(2 * self._tolerance, TOLERANCE[1])
        self._search_at = now

    def _grow(self, now: float, elapsed: float) -> None:
        known = self._known
        if known is None:
            self._set(self.value * 2 ** (elapsed / DOUBLING))
        elif self.value < known:
            self._set(min(known, self.value + RECOVERY * known * elapsed))
        elif now >= self._search_at:
            self._search(now, max(0.2, self._latency))

    def _search(self, now: float, length: float) -> None:
        """Rise by a step, linearly over half of ``length`` seconds; if all of it goes by without refusal, double it."""
        size, start, since = self._step or (1.0, self.value, now)
        if now - since >= length:
            self._known = self.value
            size, start, since = min(2 * size, self.value), self.value, now
        self._step = (size, start, since)
        self.reason = f"searching beyond {start:.0f}"
        self._set(start + size * min(1.0, 2 * (now - since) / length))

    def _set(self, value: float) -> None:
        self.value = min(value, self._ceiling)
        if self.value >= self._ceiling:
            self.reason = "ceiling"
            self._step = None
