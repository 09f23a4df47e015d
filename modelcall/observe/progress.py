"""The counters of a run."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Any, Final, Protocol

from modelcall.observe.events import retry_cause
from modelcall.observe.latency import Latency
from modelcall.observe.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from modelcall.types import FileCounts, Outcome, RowRef

_WINDOW: Final = 60.0
"""Seconds over which the rate is measured."""
_STEP: Final = 1.0
"""Seconds between two samples of the rate and of the concurrency."""
_HISTORY: Final = 512
"""Points of the concurrency's history; when it is full, every second one goes and the rest comes half as often."""


class Gauge(Protocol):
    """Who knows how many requests are in flight: the permits of the scorer."""

    @property
    def in_use(self) -> int:
        """Requests in flight."""

    @property
    def limit(self) -> int:
        """How many may be."""

    @property
    def ceiling(self) -> int:
        """The most that the user allowed."""


class Progress:
    """Counts everything that happens; a listener of the run. Takes about a microsecond a row.

    Args:
        sizes: Bytes of each file of this start, by name; they turn the rows of the files done into an estimate of all.
        gauge: The scorer's permits; None if nobody counts requests.
        rows_total: Rows of all files of this start, if they are known.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        *,
        sizes: Mapping[str, int],
        gauge: Gauge | None = None,
        rows_total: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sizes = sizes
        self._gauge = gauge
        self._rows_total = rows_total
        self._clock = clock
        self._began = clock()
        self._scored = self._failed = self._attempts = 0
        self._prompt = self._completion = self._cached = self._reasoning = 0
        self._failures: Counter[str] = Counter()
        self._retries: Counter[str] = Counter()
        self._events: Counter[str] = Counter()
        self._latency = Latency()
        self._open: dict[str, int] = {}
        self.expected: Callable[[], Mapping[str, int]] = dict
        """Rows that begun files of these sizes seem to have; set when somebody knows."""
        self._retrying: dict[str, int] = {}
        self._recorded = self._files_done = self._files_failed = 0
        self._known_rows = self._known_bytes = 0
        self._samples: deque[tuple[float, int]] = deque([(self._began, 0)])
        self._history: list[tuple[float, int, int]] = []
        self._history_step = _STEP

    def file_started(self, file: str, *, recorded: int) -> None:
        """Count an open file and its rows of earlier starts."""
        self._open[file] = recorded
        self._recorded += recorded

    def row_done(self, ref: RowRef, outcome: Outcome) -> None:
        """Count a row."""
        if outcome.error_type is None:
            self._scored += 1
        else:
            self._failed += 1
            self._failures[outcome.error_type] += 1
        self._attempts += outcome.attempts
        if self._retrying:
            self._retrying.pop(ref.request_id, None)
        self._latency.add(outcome.seconds)
        usage = outcome.usage
        if usage is not None:
            self._prompt += usage.prompt_tokens or 0
            self._completion += usage.completion_tokens or 0
            self._cached += usage.cached_tokens or 0
            self._reasoning += usage.reasoning_tokens or 0

    def file_done(self, file: str, counts: FileCounts) -> None:
        """Count a published file."""
        self._open.pop(file, None)
        self._files_done += 1
        self._known_rows += counts.total
        self._known_bytes += self._sizes.get(file, 0)

    def file_failed(self, file: str, reason: str) -> None:  # noqa: ARG002  the protocol's signature
        """Count a failed file."""
        self._open.pop(file, None)
        self._files_failed += 1
        self._known_bytes += self._sizes.get(file, 0)

    def client_event(self, name: str, facts: Mapping[str, Any]) -> None:
        """Count a retry by its cause, anything else by its name; good answers are counted as rows."""
        if name == "valid_answer":
            return
        cause = retry_cause(name, facts)
        if cause is not None:
            self._retries[cause] += 1
            request = str(facts.get("request_id", ""))
            self._retrying[request] = self._retrying.get(request, 0) + 1
        else:
            self._events[name] += 1

    def tick(self) -> None:
        """Sample rate and concurrency; called about once a second."""
        now = self._clock()
        if now - self._samples[-1][0] >= _STEP:
            self._samples.append((now, self._scored + self._failed))
            while len(self._samples) > 2 and now - self._samples[1][0] >= _WINDOW:  # noqa: PLR2004  a span has two ends
                self._samples.popleft()
        self._note_concurrency(now - self._began)

    def snapshot(self) -> Snapshot:
        """Everything as it is now."""
        self.tick()
        gauge = self._gauge
        return Snapshot(
            elapsed=self._clock() - self._began,
            files_total=len(self._sizes),
            files_open=len(self._open),
            files_done=self._files_done,
            files_failed=self._files_failed,
            rows_recorded=self._recorded,
            rows_scored=self._scored,
            rows_failed=self._failed,
            rows_total=self._total_rows(),
            prompt_tokens=self._prompt,
            completion_tokens=self._completion,
            cached_tokens=self._cached,
            reasoning_tokens=self._reasoning,
            attempts=self._attempts + sum(self._retrying.values()),
            retrying=len(self._retrying),
            retries=dict(self._retries),
            failures={str(kind): count for kind, count in self._failures.items()},
            events=dict(self._events),
            in_flight=gauge.in_use if gauge else 0,
            limit=gauge.limit if gauge else 0,
            ceiling=gauge.ceiling if gauge else 0,
            rate=self._rate(),
            latency=self._latency.copy(),
            history=tuple(self._history),
        )

    def _rate(self) -> float:
        since, rows = self._samples[0]
        span = self._clock() - since
        return (self._scored + self._failed - rows) / span if span > 0 else 0.0

    def _total_rows(self) -> int | None:
        if self._rows_total is not None:
            return self._rows_total
        if not self._sizes:
            return None
        begun = self.expected()
        rows = self._known_rows + sum(begun.values())
        known = self._known_bytes + sum(self._sizes.get(name, 0) for name in begun)
        left = sum(self._sizes.values()) - known
        if left <= 0:
            return rows
        return rows + round(left * rows / known) if rows and known else None

    def _note_concurrency(self, elapsed: float) -> None:
        if self._gauge is None or (self._history and elapsed - self._history[-1][0] < self._history_step):
            return
        self._history.append((round(elapsed, 3), self._gauge.limit, self._gauge.in_use))
        if len(self._history) > _HISTORY:
            self._history = self._history[::2]
            self._history_step *= 2
