"""How often texts occur, in memory that neither their number nor their length can fill."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

_KEPT: Final = 5000
"""Different texts that are told apart."""
_CHARS: Final = 120


@dataclass(slots=True)
class Texts:
    """Counts of texts; those that come after :data:`_KEPT` different ones count as others."""

    counts: Counter[str] = field(default_factory=Counter)
    others: int = 0

    def add(self, text: str, count: int = 1) -> None:
        """Count a text."""
        kept = key_of(text)
        if kept in self.counts or len(self.counts) < _KEPT:
            self.counts[kept] += count
        else:
            self.others += count

    @property
    def total(self) -> int:
        """All that was counted."""
        return self.counts.total() + self.others

    def most(self, number: int) -> list[tuple[str, int]]:
        """The most frequent ones; of equally frequent ones the first in the alphabet."""
        return sorted(self.counts.items(), key=lambda pair: (-pair[1], pair[0]))[:number]


def key_of(text: str) -> str:
    """Return what a text is counted by: its beginning, if it is long."""
    return text if len(text) <= _CHARS else f"{text[: _CHARS - 1]}…"
