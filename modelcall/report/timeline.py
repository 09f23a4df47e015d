"""Batch details as a time line: intervals of equal length, wider the longer the run was."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import tzinfo
    from pathlib import Path

_MOST: Final = 96
"""Intervals, at most; when there are more, two and two become one."""
_FIRST_WIDTH: Final = 1 / 16
"""Seconds."""
_LONGEST_BATCH: Final = 30 * 86_400.0
"""Seconds; a line that tells of more is taken for damaged."""

_LARGEST: Final = 1e13
"""No count of a batch is larger, unless its line is damaged."""
_SUMS: Final = ("rows", "failed", "prompt", "completion", "p50", "p95", "timed", "in_flight", "limit")
_Key = TypeVar("_Key")


@dataclass(slots=True)
class Interval:
    """What happened in one interval. Batches that reach over several count in each by their share."""

    rows: float = 0.0
    failed: float = 0.0
    prompt: float = 0.0
    completion: float = 0.0
    p50: float = 0.0
    """Seconds, times rows; so are the next two, but for the times."""
    p95: float = 0.0
    timed: float = 0.0
    """Rows of batches that tell of latency."""
    slowest: float = 0.0
    in_flight: float = 0.0
    """Requests, times seconds."""
    limit: float = 0.0
    gauged: Counter[int] = field(default_factory=Counter)
    """Seconds of batches that tell of requests in flight, by shard."""
    covered: Counter[int] = field(default_factory=Counter)
    """Seconds of batches, by shard."""
    retries: Counter[str] = field(default_factory=Counter)

    @property
    def seconds(self) -> float:
        """How long any shard worked."""
        return max(self.covered.values(), default=0.0)

    @property
    def gauged_seconds(self) -> float:
        """How long any shard told of requests in flight."""
        return max(self.gauged.values(), default=0.0)

    def add(self, other: Interval) -> None:
        """Take in another interval."""
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.slowest = max(self.slowest, other.slowest)
        self.gauged.update(other.gauged)
        self.covered.update(other.covered)
        self.retries.update(other.retries)


class Timeline:
    """Intervals from the first batch to the last one.

    Args:
        runs: Ids of the runs whose batches count.
    """

    def __init__(self, *, runs: Collection[str]) -> None:
        self._runs = frozenset(runs)
        self._intervals: dict[int, Interval] = {}
        self.width = _FIRST_WIDTH
        """Seconds of an interval."""
        self.damaged = 0
        """Lines that could not be understood."""
        self.rows = 0
        self.retries: Counter[str] = Counter()
        self.zone: tzinfo | None = None
        self.began = math.inf
        self.ended = -math.inf

    def read(self, path: Path) -> None:
        """Add the lines of a file.

        Raises:
            OSError: It cannot be read.
        """
        with path.open("rb") as file:
            for text in file:
                try:
                    self._add(orjson.loads(text))
                except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
                    self.damaged += 1

    def intervals(self) -> list[tuple[float, Interval | None]]:
        """All intervals with the time at which they begin; None where nothing was done."""
        if not self._intervals:
            return []
        first, last = min(self._intervals), max(self._intervals)
        return [(at * self.width, self._intervals.get(at)) for at in range(first, last + 1)]

    @property
    def seconds(self) -> float:
        """How long work went on, pauses left out."""
        return sum(interval.seconds for interval in self._intervals.values())

    def _add(self, line: dict[str, Any]) -> None:
        if line["run_id"] not in self._runs:
            return
        time = datetime.fromisoformat(line["time"])
        end, seconds = time.timestamp(), _within(line["seconds"], _LONGEST_BATCH)
        whole = _whole(line, seconds)
        self.zone = self.zone or time.tzinfo
        self.rows += int(whole.rows)
        self.retries.update(whole.retries)
        self.began, self.ended = min(self.began, end - seconds), max(self.ended, end)
        self._make_room(end - seconds, end)
        for at, share in self._shares(end - seconds, end):
            self._intervals.setdefault(at, Interval()).add(_part(whole, share))

    def _make_room(self, begin: float, end: float) -> None:
        """Widen the intervals until those of this run, this batch included, are few enough."""
        ats = [*self._intervals, math.floor(begin / self.width), math.floor(end / self.width)]
        first, last = min(ats), max(ats)
        while last - first >= _MOST:
            first, last = first // 2, last // 2
            self.width *= 2
            narrow, self._intervals = self._intervals, {}
            for at, interval in narrow.items():
                self._intervals.setdefault(at // 2, Interval()).add(interval)

    def _shares(self, begin: float, end: float) -> Iterator[tuple[int, float]]:
        first, last = math.floor(begin / self.width), math.floor(end / self.width)
        if first == last:
            yield first, 1.0
            return
        for at in range(first, last + 1):
            overlap = min(end, (at + 1) * self.width) - max(begin, at * self.width)
            if overlap > 0:
                yield at, overlap / (end - begin)


def _whole(line: dict[str, Any], seconds: float) -> Interval:
    rows, job = _count(line["rows"]), _count(line["job_index"])
    interval = Interval(
        rows=rows,
        failed=_count(line["failed"]),
        prompt=_count(line["prompt_tokens"]),
        completion=_count(line["completion_tokens"]),
        retries=Counter({str(cause): _count(count) for cause, count in line["retries"].items()}),
        covered=Counter({job: seconds}),
    )
    if latency := line.get("latency_seconds"):  # batches of earlier versions have none
        p50, p95, slowest = (_within(latency[name], _LONGEST_BATCH) for name in ("p50", "p95", "max"))
        interval.timed, interval.slowest = rows, slowest
        interval.p50, interval.p95 = p50 * rows, p95 * rows
    if line["limit"]:
        interval.gauged = Counter({job: seconds})
        interval.in_flight, interval.limit = _count(line["in_flight"]) * seconds, _count(line["limit"]) * seconds
    return interval


def _count(value: Any) -> int:  # noqa: ANN401  whatever the line has
    return int(_within(value, _LARGEST))


def _within(value: Any, most: float) -> float:  # noqa: ANN401  whatever the line has
    number = float(value)
    if not 0 <= number <= most:
        raise ValueError(f"{number} is not between 0 and {most}")
    return number


def _part(whole: Interval, share: float) -> Interval:
    if share == 1.0:
        return whole
    return Interval(
        **{name: getattr(whole, name) * share for name in _SUMS},
        slowest=whole.slowest,
        gauged=_times(whole.gauged, share),
        covered=_times(whole.covered, share),
        retries=_times(whole.retries, share),
    )


def _times(counts: Counter[_Key], share: float) -> Counter[_Key]:
    return Counter({key: count * share for key, count in counts.items()})
