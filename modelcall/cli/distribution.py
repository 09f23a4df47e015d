"""How the numbers among scores are distributed, in one pass and bounded memory."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_FEW: Final = 12
"""Up to so many different values are counted one by one."""


class _Numbers:
    """One column."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0.0
        self._low = self._high = 0.0
        self._each: Counter[float] = Counter()

    def add(self, value: float) -> None:
        self._low = min(value, self._low) if self.count else value
        self._high = max(value, self._high) if self.count else value
        self.count += 1
        self._sum += value
        if len(self._each) <= _FEW:
            self._each[value] += 1

    def line(self) -> str:
        mean = f"mean {self._sum / self.count:.3g}"
        if len(self._each) > _FEW:
            return f"{mean}, from {self._low:.6g} to {self._high:.6g}"
        return f"{mean}; " + ", ".join(f"{value:.6g}: {count:,}" for value, count in sorted(self._each.items()))


class Distribution:
    """The numeric columns of a file, found as they come."""

    def __init__(self) -> None:
        self._columns: dict[str, _Numbers] = {}

    def add(self, values: Mapping[str, Any]) -> None:
        """Take a row's values into account."""
        for name, value in values.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                if name not in self._columns:
                    self._columns[name] = _Numbers()
                self._columns[name].add(value)

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield each column with its mean, and its values with their counts or the range."""
        for name, numbers in self._columns.items():
            yield name, numbers.line()
