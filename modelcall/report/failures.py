"""Failed rows by kind, from the lists beside the outputs."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from modelcall.pipeline.failed import read_failures
from modelcall.report.numbers import Pick, Picks
from modelcall.report.rows import TOKENS
from modelcall.report.texts import Texts
from modelcall.state.row_set import RowSet

if TYPE_CHECKING:
    from collections import Counter

    from modelcall.report.subject import Expected
    from modelcall.state.manifest import Entry
    from modelcall.types import Outcome, Usage

RAW_CHARS: Final = 2000
"""Of an answer, kept of each example."""


@dataclass(frozen=True, slots=True)
class Example:
    """A failed row."""

    file: str
    row: int
    """In the input."""
    reason: str
    raw: str | None
    attempts: int
    in_output: bool
    """Whether the output has the row at the same place."""


@dataclass(slots=True)
class Kind:
    """Failed rows of one kind."""

    count: int = 0
    first: Example | None = None
    reasons: Texts = field(default_factory=Texts)
    picks: Picks = field(default_factory=lambda: Picks(0))
    examples: dict[tuple[int, int], Example] = field(default_factory=dict)
    """By the place of their pick."""


class Failures:
    """All failed rows.

    Args:
        samples: Rows that are kept of each kind.
    """

    def __init__(self, *, samples: int, seed: int = 0) -> None:
        self._samples = samples
        self._lots = random.Random(seed)
        self.kinds: dict[str, Kind] = {}
        self.dropped = 0
        """Failed rows that are listed, and not in the output."""

    def add(self, file: Expected, entry: Entry, *, number: int, tokens: Counter[str]) -> None:
        """Read the list of an output; the tokens of rows that are not in the output are added to the others.

        Raises:
            ValueError: The list is damaged.
        """
        if not entry.failed:
            return
        dropped = RowSet.load(entry.dropped_rows)
        self.dropped += entry.dropped
        for row, outcome in read_failures(file.to.fs, file.to.failed_list(entry.output)):
            self._count(entry, row, outcome, number=number)
            if row in dropped and outcome.usage is not None:
                _add_tokens(tokens, outcome.usage)

    def _count(self, entry: Entry, row: int, outcome: Outcome, *, number: int) -> None:
        kind = self.kinds.setdefault(str(outcome.error_type), Kind(picks=Picks(self._samples)))
        kind.count += 1
        kind.reasons.add(outcome.fail_reason or "")
        pick = Pick(self._lots.random(), number, row)
        kind.picks.add(pick)
        if kind.first is not None and pick not in kind.picks.rows:
            return
        raw = outcome.raw and outcome.raw[: RAW_CHARS + 1]
        example = Example(entry.file, row, outcome.fail_reason or "", raw, outcome.attempts, not entry.dropped)
        kind.first = kind.first or example
        kept = {(pick.output, pick.row) for pick in kind.picks.rows}
        kind.examples = {at: known for at, known in kind.examples.items() if at in kept}
        if (number, row) in kept:
            kind.examples[number, row] = example

    def in_order(self) -> list[tuple[str, Kind]]:
        """The kinds, the most frequent first."""
        return sorted(self.kinds.items(), key=lambda pair: (-pair[1].count, pair[0]))


def _add_tokens(tokens: Counter[str], usage: Usage) -> None:
    for kind in TOKENS:
        tokens[kind] += getattr(usage, f"{kind}_tokens") or 0
