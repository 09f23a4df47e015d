"""How numbers are distributed, in one pass: value by value while they are few, else in bins."""

from __future__ import annotations

import heapq
import math
from bisect import bisect
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FEW: Final = 16
"""Up to so many different values each has a bar of its own."""
_FINE: Final = 2000
"""Bins that are kept."""
_FIRST: Final = 100
"""Bins that the first values are spread over, at least."""
_COARSER: Final = 10
"""How much wider bins become when there are too many: decimal edges stay decimal."""
_NARROWEST: Final = 1e-290
_EXACT: Final = 1e15
"""Bins are numbered by floats, which count so far without a gap."""
_SLACK: Final = 1e-9
"""0.3 / 0.1 is a little less than 3."""


@dataclass(frozen=True, slots=True)
class Pick:
    """A row, and the lot that it drew: of those that belong together the lowest lots are kept."""

    lot: float
    output: int
    """Number of the output file, in the report's order."""
    row: int
    """In the output."""

    def __lt__(self, other: Pick) -> bool:
        """The heap's order: what is thrown out first comes first."""
        return (self.lot, self.output, self.row) > (other.lot, other.output, other.row)


@dataclass(slots=True)
class Picks:
    """Some of many rows, each with the same chance; which of them depends on their lots alone."""

    most: int
    rows: list[Pick] = field(default_factory=list)

    def add(self, pick: Pick) -> None:
        """Keep a row, or let it go."""
        if len(self.rows) < self.most:
            heapq.heappush(self.rows, pick)
        elif self.rows and self.rows[0] < pick:
            heapq.heapreplace(self.rows, pick)

    def merge(self, others: Iterable[Pick]) -> None:
        """Take in the rows of another bin."""
        for pick in others:
            self.add(pick)

    def in_order(self) -> list[Pick]:
        """The rows kept, by file and place."""
        return sorted(self.rows, key=lambda pick: (pick.output, pick.row))


@dataclass(slots=True)
class Bin:
    """Rows with values that count as one."""

    count: int
    picks: Picks


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a histogram."""

    low: float
    high: float
    """The same as ``low``: a single value."""
    count: int
    picks: Picks

    @property
    def label(self) -> str:
        """The value, or the range; its upper end belongs to the next bar."""
        return f"{self.low:.6g}" if self.low == self.high else f"{self.low:.6g} – {self.high:.6g}"


class Histogram:
    """Counts of numbers.

    Args:
        picks: Rows that are kept of each bin.
    """

    def __init__(self, *, picks: int = 0) -> None:
        self._most = picks
        self._width: float | None = None
        self._bins: dict[float, Bin] = {}
        self.count = 0
        self.odd = 0
        """NaN and infinities: counted, and nowhere else."""
        self._total = 0.0
        self.low = math.inf
        self.high = -math.inf

    def add(self, value: float, count: int = 1, pick: Pick | None = None) -> None:
        """Count a value."""
        if not math.isfinite(value):
            self.odd += count
            return
        self.count += count
        self._total += value * count
        self.low = min(self.low, value)
        self.high = max(self.high, value)
        bin_ = self._bin(value)
        bin_.count += count
        if pick is not None:
            bin_.picks.add(pick)

    @property
    def mean(self) -> float | None:
        """The mean; None without any value."""
        return self._total / self.count if self.count else None

    @property
    def median(self) -> float | None:
        """The median; of binned values the middle of its bin."""
        left = self.count / 2
        for key, bin_ in sorted(self._bins.items()):
            left -= bin_.count
            if left <= 0:
                return float(key) if self._width is None else (key + 0.5) * self._width
        return None

    def shares(self, bars: Sequence[Bar]) -> list[float]:
        """What part of all values is in each of the bars of a histogram over more of them."""
        edges = [bar.low for bar in bars]
        counts = [0] * len(bars)
        for key, bin_ in self._bins.items():
            middle = key if self._width is None else (key + 0.5) * self._width
            counts[max(0, bisect(edges, middle * (1 + _SLACK)) - 1)] += bin_.count
        return [count / self.count for count in counts] if self.count else [0.0] * len(bars)

    def bars(self, most: int) -> list[Bar]:
        """At most ``most`` bars (or one a value, while they are few) from the lowest to the highest, gaps included."""
        if self._width is None:
            return [Bar(key, key, bin_.count, bin_.picks) for key, bin_ in sorted(self._bins.items())]
        lowest, highest = int(min(self._bins)), int(max(self._bins))
        for power in range(20):
            for step in (1, 2, 5):
                factor = step * 10**power
                first, last = lowest // factor, highest // factor
                if last - first < most:
                    return self._coarse(self._width * factor, factor, first, last)
        return []

    def _coarse(self, width: float, factor: int, first: int, last: int) -> list[Bar]:
        merged = {key: Bin(0, Picks(self._most)) for key in range(first, last + 1)}
        for key, bin_ in self._bins.items():
            into = merged[int(key // factor)]
            into.count += bin_.count
            into.picks.merge(bin_.picks.rows)
        edges = [*merged, last + 1]
        return [
            Bar(low * width, high * width, bin_.count, bin_.picks)
            for (low, high), bin_ in zip(pairwise(edges), merged.values(), strict=True)
        ]

    def _bin(self, value: float) -> Bin:
        known = self._bins.get(value) if self._width is None else None
        return known or self._made(value)

    def _made(self, value: float) -> Bin:
        if self._width is None and len(self._bins) == FEW:
            spread = self.high / _FIRST - self.low / _FIRST
            self._widen(max(10.0 ** math.floor(math.log10(spread)), _NARROWEST))
        while self._width is not None and abs(value) / self._width > _EXACT:
            self._widen(self._width * _COARSER)
        key = self._key(value, self._width)
        bin_ = self._bins.get(key)
        if bin_ is None:
            bin_ = self._bins[key] = Bin(0, Picks(self._most))
        if self._width is not None and len(self._bins) > _FINE:
            self._widen(self._width * _COARSER)
            return self._bins[self._key(value, self._width)]
        return bin_

    def _widen(self, width: float) -> None:
        narrow, self._bins = self._bins, {}
        for key, bin_ in narrow.items():
            middle = key if self._width is None else (key + 0.5) * self._width
            wide = self._bins.setdefault(self._key(middle, width), Bin(0, Picks(self._most)))
            wide.count += bin_.count
            wide.picks.merge(bin_.picks.rows)
        self._width = width

    @staticmethod
    def _key(value: float, width: float | None) -> float:
        return value if width is None else math.floor(value / width + _SLACK)
