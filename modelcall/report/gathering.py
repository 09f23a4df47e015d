"""Everything that a report tells, gathered in one pass over what a run published."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import orjson

from modelcall.config.suggest import did_you_mean
from modelcall.errors import ConfigError, FileFailure, ModelCallError
from modelcall.report.failures import Failures
from modelcall.report.reading import opened
from modelcall.report.rows import Rows
from modelcall.report.samples import Samples
from modelcall.report.subject import expected
from modelcall.report.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelcall.report.numbers import Bar
    from modelcall.report.subject import Expected, Subject
    from modelcall.state.manifest import Entry

BARS: Final = 20
"""Bars of a histogram, if there are more values than it can have."""
BUCKETS: Final = 8
"""Parts of such a score's range that rows are shown of."""
_NAMED: Final = 5
_COLUMNS: Final = 30


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the reader chose."""

    by: tuple[str, ...] = ()
    """Columns to group by; empty: the likely ones."""
    samples: int = 3
    """Rows shown of each score and of each kind of failure."""


@dataclass(slots=True)
class Files:
    """What became of the output files."""

    expected: int = 0
    published: int = 0
    partial: int = 0
    rows: int = 0
    scored: int = 0
    failed: int = 0
    waiting: list[str] = field(default_factory=list)
    """The first of those that are not published."""
    problems: list[str] = field(default_factory=list)
    """What could not be read, and why."""

    @property
    def unpublished(self) -> int:
        """Files that are not there yet."""
        return self.expected - self.published

    def count(self, entry: Entry) -> None:
        """Count a published file."""
        self.published += 1
        self.partial += not entry.whole
        self.rows += entry.rows
        self.scored += entry.scored
        self.failed += entry.failed


@dataclass(frozen=True, slots=True)
class LastStart:
    """What the final statistics tell of the last start of a shard."""

    job: str
    exit_code: str
    reason: str | None
    """Why it stopped before its end; None: it did not."""
    latency: Mapping[str, float]
    """Seconds by percentile; empty if it asked nothing."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What there is to tell."""

    subject: Subject
    wanted: Wanted
    files: Files
    rows: Rows
    failures: Failures
    samples: Samples
    timeline: Timeline | None
    """None: no batch details of these runs are at hand."""
    starts: list[LastStart]

    @property
    def by(self) -> list[str]:
        """Columns that rows are grouped by."""
        groups = self.rows.groups
        return list(self.wanted.by) or [name for name, found in groups.items() if len(found.groups) > 1][:2]

    @property
    def cost(self) -> float | None:
        """What all tokens cost; None where prices are unknown."""
        prices, tokens = self.subject.prices, self.rows.tokens
        if prices is None or not self.rows.told_tokens:
            return None
        return prices.amount(prompt=tokens["prompt"], completion=tokens["completion"], cached=tokens["cached"])


def gather(subject: Subject, wanted: Wanted) -> Facts:
    """Read everything. Blocking; memory does not grow with the rows.

    Raises:
        ConfigError: No published row has a column that was asked for.
    """
    files, rows = Files(), Rows(by=wanted.by, samples=wanted.samples)
    failures = Failures(samples=wanted.samples)
    published: list[tuple[Expected, Entry]] = []
    for file, entry in _published(subject, files):
        with _noting(files, entry.output):
            _read(file, entry, len(published), rows=rows, failures=failures)
        published.append((file, entry))
    _check_columns(wanted, rows)
    facts = Facts(
        subject=subject,
        wanted=wanted,
        files=files,
        rows=rows,
        failures=failures,
        samples=Samples(text_column=subject.setting("task", "data", "input_key"), by=wanted.by or list(rows.groups)),
        timeline=_timeline(subject, files),
        starts=list(_starts(subject, files)),
    )
    for number, picks in groupby(sorted(_picks(facts), key=_output), key=_output):
        file, entry = published[number]
        with _noting(files, file.name):
            facts.samples.read(file, entry, number, {row for _, row in picks})
    return facts


def buckets(rows: Rows) -> list[Bar]:
    """The parts of the score's range that rows are shown of: each value, while they are few."""
    return rows.numbers[rows.main].bars(BUCKETS) if rows.main in rows.numbers else []


def _published(subject: Subject, files: Files) -> Iterator[tuple[Expected, Entry]]:
    for file in expected(subject):
        files.expected += 1
        entry = None
        with _noting(files, file.name):
            entry = file.to.manifest.get(file.name)
        if entry is not None and entry.run in file.runs:
            files.count(entry)
            yield file, entry
        elif len(files.waiting) < _NAMED:
            files.waiting.append(file.name)


def _read(file: Expected, entry: Entry, number: int, *, rows: Rows, failures: Failures) -> None:
    with opened(file, entry) as published:
        found = rows.add(published, number)
    if found != entry.rows - entry.dropped:
        raise FileFailure(f"has {found:,} rows, {entry.rows - entry.dropped:,} were written")
    failures.add(file, entry, number=number, tokens=rows.tokens)


@contextmanager
def _noting(files: Files, name: str) -> Iterator[None]:
    """Note what cannot be read; the rest is told all the same."""
    try:
        yield
    except (ModelCallError, OSError, ValueError) as error:
        files.problems.append(f"{name}: {error}")


def _check_columns(wanted: Wanted, rows: Rows) -> None:
    for name in wanted.by:
        if rows.seen and name not in rows.seen:
            raise ConfigError(
                f"--by: the output has no column {name!r}{did_you_mean(name, list(rows.seen))}",
                hint=f"It has {', '.join(list(rows.seen)[:_COLUMNS])}{', …' if len(rows.seen) > _COLUMNS else ''}.",
            )


def _picks(facts: Facts) -> Iterator[tuple[int, int]]:
    """Yield the places of all rows that are shown."""
    for picks in [bar.picks for bar in buckets(facts.rows)] or [facts.rows.unscored]:
        yield from ((pick.output, pick.row) for pick in picks.rows)
    for kind in facts.failures.kinds.values():
        yield from (at for at, example in kind.examples.items() if example.in_output)


def _output(place: tuple[int, int]) -> int:
    return place[0]


def _timeline(subject: Subject, files: Files) -> Timeline | None:
    timeline = Timeline(runs={record.run for each in subject.passes for record in each.runs})
    for path in subject.details:
        with _noting(files, path.name):
            timeline.read(path)
    return timeline if timeline.rows else None


def _starts(subject: Subject, files: Files) -> Iterator[LastStart]:
    """Yield the last starts, as far as they are of the run."""
    runs = {record.run for each in subject.passes for record in each.runs}
    for path in subject.stats:
        with _noting(files, path.name):
            stats = orjson.loads(path.read_bytes())
            if isinstance(stats, dict) and stats.get("run_id") in runs:
                yield _start(stats)


def _start(stats: dict[str, Any]) -> LastStart:
    reason, latency = stats.get("reason"), stats.get("latency_seconds")
    numbers = latency.items() if isinstance(latency, dict) else ()
    return LastStart(
        job=str(stats.get("job_index", "")),
        exit_code=str(stats.get("exit_code", "")),
        reason=str(reason) if reason else None,
        latency={name: value for name, value in numbers if isinstance(value, int | float)},
    )
