"""Batches of rows: units of reporting, in the order in which rows end, across files. Never barriers."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from modelcall.observe.distribution import Distribution
from modelcall.observe.events import retry_cause

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from modelcall.types import FileCounts, Outcome, RowRef


@dataclass(frozen=True, slots=True)
class Batch:
    """What became of the rows of one batch."""

    number: int
    """From 1, in this start."""
    rows: int
    """``batch_size``; fewer in the last one."""
    scored: int
    failed: int
    rows_so_far: int
    """Of this start, this batch included."""
    began: float
    """Seconds of the clock."""
    ended: float
    prompt_tokens: int
    completion_tokens: int
    failures: Mapping[str, int] = field(default_factory=dict)
    """By error type."""
    retries: Mapping[str, int] = field(default_factory=dict)
    """By cause, told while the batch lasted."""
    latencies: Sequence[float] = ()
    """Seconds in flight of each row, the shortest first."""
    scores: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """How the numbers among the scores are distributed, by column."""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began

    def latency(self, share: float) -> float:
        """The time in flight that ``share`` (above 0, at most 1) of the rows do not pass."""
        return self.latencies[math.ceil(share * len(self.latencies)) - 1]


class BatchListener(Protocol):
    """Who wants to know of batches."""

    def batch_done(self, batch: Batch) -> None:
        """A batch is full, or the run is over."""


class Batches:
    """Counts rows into batches; a listener of the run.

    Args:
        size: Rows of a batch (``logging.batch_size``).
        listener: Is told of each.
        clock: Seconds, monotonic; asked once a batch.
    """

    def __init__(self, *, size: int, listener: BatchListener, clock: Callable[[], float]) -> None:
        self._size = size
        self._listener = listener
        self._clock = clock
        self._number = self._rows_so_far = 0
        self._clear()

    def _clear(self) -> None:
        self._began = self._clock()
        self._rows = self._scored = self._prompt = self._completion = 0
        self._failures: Counter[str] = Counter()
        self._retries: Counter[str] = Counter()
        self._latencies: list[float] = []
        self._values: list[Mapping[str, Any]] = []

    def file_started(self, file: str, *, recorded: int) -> None:
        """Batches do not follow files."""

    def file_done(self, file: str, counts: FileCounts) -> None:
        """Batches do not follow files."""

    def file_failed(self, file: str, reason: str) -> None:
        """Batches do not follow files."""

    def row_done(self, ref: RowRef, outcome: Outcome) -> None:  # noqa: ARG002  the protocol's signature
        """Count a row; the last of a batch ends it."""
        self._rows += 1
        self._latencies.append(outcome.seconds)
        if outcome.error_type is None:
            self._scored += 1
            self._values.append(outcome.values or {})
        else:
            self._failures[outcome.error_type] += 1
        if outcome.usage is not None:
            self._prompt += outcome.usage.prompt_tokens or 0
            self._completion += outcome.usage.completion_tokens or 0
        if self._rows >= self._size:
            self.flush()

    def client_event(self, name: str, facts: Mapping[str, Any]) -> None:
        """Count retries."""
        cause = retry_cause(name, facts)
        if cause is not None:
            self._retries[cause] += 1

    def flush(self) -> None:
        """End the batch as it is, unless it has no row: at the end of the run."""
        if not self._rows:
            return
        self._number += 1
        self._rows_so_far += self._rows
        batch = self._batch()
        self._clear()  # before the listener, which may raise
        self._listener.batch_done(batch)

    def _batch(self) -> Batch:
        scores = Distribution()
        scores.add(self._values)
        return Batch(
            number=self._number,
            rows=self._rows,
            scored=self._scored,
            failed=self._rows - self._scored,
            rows_so_far=self._rows_so_far,
            began=self._began,
            ended=self._clock(),
            prompt_tokens=self._prompt,
            completion_tokens=self._completion,
            failures={str(kind): count for kind, count in self._failures.items()},
            retries=dict(self._retries),
            latencies=sorted(self._latencies),
            scores=scores.as_json(),
        )
