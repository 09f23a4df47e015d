"""What the published rows come to: scores, tags, tokens, groups."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pyarrow.compute as pc

from modelcall.report.numbers import Histogram, Pick, Picks
from modelcall.report.reading import values
from modelcall.report.texts import Texts, key_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from modelcall.report.reading import Published

TOKENS: Final = ("prompt", "completion", "cached", "reasoning")
_GROUPS: Final = 300
"""Values of a column that have a histogram of their own; the first that come."""
_LIKELY: Final = ("language", "lang", "main_language", "programming_language", "source", "domain", "category")
"""Columns that rows are grouped by if nothing else is said."""
NONE: Final = "∅"
"""How a group of rows without a value is named."""


@dataclass(slots=True)
class Group:
    """Rows with one value in a column."""

    rows: int = 0
    failed: int = 0
    scores: Histogram = field(default_factory=Histogram)


@dataclass(slots=True)
class Groups:
    """Rows by a column."""

    groups: dict[str, Group] = field(default_factory=dict)
    others: Group = field(default_factory=Group)
    """Rows with values that came after :data:`_GROUPS` different ones."""

    def add(self, keys: Sequence[Any], scores: Sequence[Any], failed: Sequence[bool]) -> None:
        """Count the rows of a batch."""
        for (key, score, fails), count in Counter(zip(keys, scores, failed, strict=True)).items():
            group = self._group(NONE if key is None else key_of(str(key)))
            group.rows += count
            group.failed += count * fails
            if score is not None:
                group.scores.add(score, count)

    def _group(self, name: str) -> Group:
        if name not in self.groups and len(self.groups) >= _GROUPS:
            return self.others
        return self.groups.setdefault(name, Group())


@dataclass(slots=True)
class Rows:
    """Counts over all published rows.

    Args:
        by: Columns that rows are grouped by; empty: those of :data:`_LIKELY` that are there.
        samples: Rows that are kept of each score.
    """

    by: Sequence[str]
    samples: int
    seed: int = 0
    main: str | None = None
    """The score: the column of that name, else the first one with numbers. Without the output's prefix."""
    numbers: dict[str, Histogram] = field(default_factory=dict)
    lists: dict[str, Texts] = field(default_factory=dict)
    texts: dict[str, Texts] = field(default_factory=dict)
    undrawn: set[str] = field(default_factory=set)
    groups: dict[str, Groups] = field(default_factory=dict)
    seen: dict[str, None] = field(default_factory=dict)
    """Columns of all files, in order."""
    tokens: Counter[str] = field(default_factory=Counter)
    told_tokens: bool = False
    """Whether any endpoint said how many tokens there were."""
    attempts: Counter[int] = field(default_factory=Counter)
    models: Texts = field(default_factory=Texts)
    finishes: Texts = field(default_factory=Texts)
    unscored: Picks = field(init=False)
    """Some scored rows, where there is no score to tell them apart by."""

    _lots: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.unscored = Picks(self.samples)
        self._lots = random.Random(self.seed)

    def add(self, published: Published, number: int) -> int:
        """Read a file; return how many rows it has."""
        shape, prefix = published.shape, published.entry.prefix
        self.seen |= dict.fromkeys(published.schema.names)
        self._choose_main(shape.numbers, prefix)
        self.undrawn |= {name.removeprefix(prefix) for name in shape.others}
        by = [name for name in self.by or _LIKELY if name in published.schema.names]
        drawn = [*shape.numbers, *shape.lists, *shape.texts]
        row = 0
        for batch in published.batches({*drawn, *by, *_bookkeeping(prefix)}):
            scores, failed = values(batch, f"{prefix}{self.main}"), _failed(batch, prefix)
            self._add_scores(scores, failed, (number, row))
            self._add_columns(batch, published)
            for name in by:
                self.groups.setdefault(name, Groups()).add(_keys(batch, name), scores, failed)
            self._add_bookkeeping(batch, prefix)
            row += batch.num_rows
        return row

    def _choose_main(self, numbers: Sequence[str], prefix: str) -> None:
        names = [name.removeprefix(prefix) for name in numbers]
        if self.main is None and names:
            self.main = "score" if "score" in names else names[0]

    def _add_scores(self, scores: Sequence[Any], failed: Sequence[bool], at: tuple[int, int]) -> None:
        """Count the score, and draw a lot for each scored row."""
        number, first = at
        lot = self._lots.random
        histogram = self.numbers.setdefault(self.main, Histogram(picks=self.samples)) if self.main else None
        for row, (score, fails) in enumerate(zip(scores, failed, strict=True), first):
            if fails:
                continue
            pick = Pick(lot(), number, row)
            if histogram is not None and score is not None:
                histogram.add(score, 1, pick)
            elif histogram is None:
                self.unscored.add(pick)

    def _add_columns(self, batch: pa.RecordBatch, published: Published) -> None:
        prefix, shape = published.entry.prefix, published.shape
        for column in shape.numbers:
            if (name := column.removeprefix(prefix)) != self.main:
                histogram = self.numbers.setdefault(name, Histogram())
                for value, count in _counted(batch.column(column)):
                    histogram.add(value, count)
        for column in shape.lists:
            tags = self.lists.setdefault(column.removeprefix(prefix), Texts())
            for value, count in _counted(pc.list_flatten(batch.column(column))):
                tags.add(value, count)
        for column in shape.texts:
            texts = self.texts.setdefault(column.removeprefix(prefix), Texts())
            for value, count in _counted(batch.column(column)):
                texts.add(str(value), count)

    def _add_bookkeeping(self, batch: pa.RecordBatch, prefix: str) -> None:
        for value, count in _counted(batch.column(f"{prefix}api_attempts")):
            self.attempts[value] += count
        for texts, name in ((self.models, "api_model"), (self.finishes, "api_finish_reason")):
            if f"{prefix}{name}" in batch.schema.names:
                for value, count in _counted(batch.column(f"{prefix}{name}")):
                    texts.add(value, count)
        for kind in TOKENS:
            if f"{prefix}api_{kind}_tokens" in batch.schema.names:
                total = pc.sum(batch.column(f"{prefix}api_{kind}_tokens")).as_py()
                self.told_tokens |= total is not None
                self.tokens[kind] += total or 0


def _bookkeeping(prefix: str) -> set[str]:
    names = ("error_type", "attempts", "model", "finish_reason", *(f"{kind}_tokens" for kind in TOKENS))
    return {f"{prefix}api_{name}" for name in names}


def _failed(batch: pa.RecordBatch, prefix: str) -> list[bool]:
    return batch.column(f"{prefix}api_error_type").is_valid().to_pylist()  # type: ignore[no-any-return]  # Arrow's


def _keys(batch: pa.RecordBatch, name: str) -> list[Any]:
    """Return the values of a column that rows are grouped by, all of which can be counted."""
    return [key if isinstance(key, str | int | float | None) else str(key) for key in values(batch, name)]


def _counted(column: pa.Array) -> list[tuple[Any, int]]:
    """Return the values of a column with their number, nulls left out."""
    pairs = zip(*pc.value_counts(column.drop_null()).flatten(), strict=True)
    return [(value.as_py(), count.as_py()) for value, count in pairs]
