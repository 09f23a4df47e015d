"""Seconds of requests, as a histogram: percentiles in memory that does not grow with the rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

_SHORTEST: Final = 1e-4
_PER_E: Final = 20.0
"""Buckets for a factor of e: each is 5 % wider than the one before."""
_BUCKETS: Final = 400
"""The last begins at 1e-4 · e^(399/20) s: 13 hours."""


@dataclass(slots=True)
class Latency:
    """Counts of durations. ``add`` is on the path of every row."""

    counts: list[int] = field(default_factory=lambda: [0] * _BUCKETS)
    longest: float = 0.0
    total: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        bucket = int(math.log(seconds / _SHORTEST) * _PER_E) if seconds > _SHORTEST else 0
        self.counts[bucket if bucket < _BUCKETS else _BUCKETS - 1] += 1
        self.total += seconds
        if seconds > self.longest:  # noqa: PLR1730  max() takes three times as long, on every row
            self.longest = seconds

    @property
    def count(self) -> int:
        """Durations counted."""
        return sum(self.counts)

    def percentile(self, share: float) -> float | None:
        """The duration that ``share`` (0…1) of all do not pass, to 2.5 %; None without any."""
        wanted = math.ceil(share * self.count)
        if not wanted:
            return None
        seen = 0
        for bucket, count in enumerate(self.counts):
            seen += count
            if seen >= wanted:
                return min(self.longest, _SHORTEST * math.exp((bucket + 0.5) / _PER_E))
        return self.longest

    def copy(self) -> Latency:
        """A value that no longer changes with this one."""
        return Latency(list(self.counts), self.longest, self.total)
