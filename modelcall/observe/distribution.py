"""How the numbers among scores are distributed, in one pass and bounded memory."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_FEW: Final = 12
"""Up to so many different values are counted one by one."""


class _Numbers:
    """One column."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0.0
        self._low = self._high = 0.0
        self._each: Counter[float] | None = Counter()
        """How often each value came; None: there are too many."""

    def add(self, values: Sequence[float]) -> None:
        self._take(len(values), sum(values), min(values), max(values))
        if self._each is not None:
            for value, times in Counter(values).items():
                self._count(value, times)

    def _take(self, count: int, total: float, low: float, high: float) -> None:
        self._low = min(low, self._low) if self.count else low
        self._high = max(high, self._high) if self.count else high
        self.count += count
        self._sum += total

    def _count(self, value: float, times: int) -> None:
        if self._each is not None:
            self._each[value] += times
            if len(self._each) > _FEW:
                self._each = None

    def merge(self, told: Mapping[str, Any]) -> None:
        self._take(told["count"], told["sum"], told["min"], told["max"])
        if told["values"] is None:
            self._each = None
        for value, times in (told["values"] or {}).items():
            self._count(float(value), times)

    def as_json(self) -> dict[str, Any]:
        values = None if self._each is None else {repr(value): times for value, times in sorted(self._each.items())}
        return {"count": self.count, "sum": self._sum, "min": self._low, "max": self._high, "values": values}

    def line(self) -> str:
        mean = f"mean {self._sum / self.count:.3g}"
        if self._each is None:
            return f"{mean}, from {self._low:.6g} to {self._high:.6g}"
        return f"{mean}; " + ", ".join(f"{value:.6g}: {count:,}" for value, count in sorted(self._each.items()))


class Distribution:
    """The numeric columns of a file, found as they come."""

    def __init__(self) -> None:
        self._columns: dict[str, _Numbers] = {}

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take the values of some rows into account."""
        columns: defaultdict[str, list[float]] = defaultdict(list)
        for values in rows:
            for name, value in values.items():
                if type(value) is int or type(value) is float:
                    columns[name].append(value)
        for name, numbers in columns.items():
            self._columns.setdefault(name, _Numbers()).add(numbers)

    def merge(self, told: Mapping[str, Mapping[str, Any]]) -> None:
        """Add what :meth:`as_json` told of others.

        Raises:
            KeyError, TypeError, ValueError: It is no such thing.
        """
        for name, numbers in told.items():
            self._columns.setdefault(name, _Numbers()).merge(numbers)

    def as_json(self) -> dict[str, dict[str, Any]]:
        """Return each column's count, sum, smallest, largest, and how often each value came; null: too many values."""
        return {name: numbers.as_json() for name, numbers in self._columns.items()}

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield each column with its mean, and its values with their counts or the range."""
        for name, numbers in self._columns.items():
            yield name, numbers.line()
