"""The section on what changed over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelcall.report.page.blocks import figure, grid, note, section, table
from modelcall.report.page.charts import lines, stacked
from modelcall.report.page.figures import duration, moment, seconds_of, short
from modelcall.report.page.words import Phrase, Words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from xml.etree.ElementTree import Element

    from modelcall.report.gathering import Facts, LastStart
    from modelcall.report.timeline import Interval, Timeline

_CAUSES: Final = 5
_LATENCIES: Final = ("p50", "p90", "p95", "p99", "max")


def over_time(facts: Facts, words: Words) -> Iterator[Element]:
    """Yield the section, if batch details are at hand."""
    if facts.timeline is None:
        return
    told = _Told(facts.timeline)
    line = facts.timeline
    charts = [
        _throughput(told, words),
        _latency(told, words) if any(at and at.timed for at in told.intervals) else note(words(Phrase.NO_LATENCY)),
        *_concurrency(told, words),
        _retries(told, line, words) if line.retries else note(words(Phrase.NO_RETRIES)),
        *_failed(told, words),
        *_tokens(told, words),
    ]
    about = words(Phrase.INTERVALS, seconds=duration(line.width), zone=line.zone or "local")
    yield section("time", words(Phrase.OVER_TIME), note(about), grid(*charts), *_last_start(facts, words))


class _Told:
    """The intervals, with the labels of their axis."""

    def __init__(self, line: Timeline) -> None:
        found = line.intervals()
        span = line.ended - line.began
        self.labels = [moment(at, line.zone, span=span, width=line.width) for at, _ in found]
        self.intervals = [interval for _, interval in found]

    def series(self, value: Callable[[Interval], float], per: Callable[[Interval], float]) -> list[float | None]:
        """Return one quotient an interval; None where there is nothing to divide by."""
        return [None if at is None or not per(at) else value(at) / per(at) for at in self.intervals]


def _seconds(interval: Interval) -> float:
    return interval.seconds


def _throughput(told: _Told, words: Words) -> Element:
    rates = told.series(lambda at: at.rows, _seconds)
    name = words(Phrase.THROUGHPUT)
    return figure(name, lines(told.labels, {name: rates}, name=name, shown=short), more=words(Phrase.ROWS_PER_SECOND))


def _latency(told: _Told, words: Words) -> Element:
    names = ["p50", "p95"]
    values = (
        told.series(lambda at: at.p50, lambda at: at.timed),
        told.series(lambda at: at.p95, lambda at: at.timed),
    )
    name = words(Phrase.LATENCY)
    chart = lines(told.labels, dict(zip(names, values, strict=True)), name=name, shown=seconds_of)
    return figure(name, chart, legend=names)


def _concurrency(told: _Told, words: Words) -> Iterator[Element]:
    if not any(at and at.limit for at in told.intervals):
        return
    series = {
        words(Phrase.IN_FLIGHT): told.series(lambda at: at.in_flight, lambda at: at.gauged_seconds),
        words(Phrase.LIMIT): told.series(lambda at: at.limit, lambda at: at.gauged_seconds),
    }
    name = words(Phrase.CONCURRENCY)
    yield figure(name, lines(told.labels, series, name=name, shown=short), legend=list(series))


def _retries(told: _Told, line: Timeline, words: Words) -> Element:
    causes = sorted(line.retries, key=lambda cause: (-line.retries[cause], cause))
    series = {cause: _of_causes(told, [cause]) for cause in causes[:_CAUSES]}
    if rest := causes[_CAUSES:]:
        series["…"] = _of_causes(told, rest)
    name = words(Phrase.RETRIES)
    chart = stacked(told.labels, series, name=name, shown=short)
    legend = [f"{cause} {short(line.retries[cause])}" if cause in line.retries else cause for cause in series]
    return figure(name, chart, legend=legend)


def _failed(told: _Told, words: Words) -> Iterator[Element]:
    if any(at and at.failed for at in told.intervals):
        name = words(Phrase.FAILURES_OVER_TIME)
        series = {name: _counts(told, lambda at: at.failed)}
        yield figure(name, stacked(told.labels, series, name=name, shown=short), kind="bad")


def _tokens(told: _Told, words: Words) -> Iterator[Element]:
    if not any(at and at.prompt for at in told.intervals):
        return
    series = {
        words(Phrase.PROMPT_TOKENS): told.series(lambda at: at.prompt, _seconds),
        words(Phrase.COMPLETION_TOKENS): told.series(lambda at: at.completion, _seconds),
    }
    chart = lines(told.labels, series, name=words(Phrase.TOKENS_OVER_TIME), shown=short)
    more = words(Phrase.TOKENS_PER_SECOND)
    yield figure(words(Phrase.TOKENS_OVER_TIME), chart, legend=list(series), more=more)


def _counts(told: _Told, value: Callable[[Interval], float]) -> list[float | None]:
    return [0 if at is None else value(at) for at in told.intervals]


def _of_causes(told: _Told, causes: Sequence[str]) -> list[float | None]:
    return _counts(told, lambda at: sum(at.retries[cause] for cause in causes))


def _last_start(facts: Facts, words: Words) -> Iterator[Element]:
    found = [start for start in facts.starts if start.latency]
    if found:
        head = [words(Phrase.JOB), *_LATENCIES]
        yield figure(words(Phrase.LAST_START), table(head, map(_latency_line, found), numeric=range(1, 6)))


def _latency_line(start: LastStart) -> list[str]:
    values = (start.latency.get(name) for name in _LATENCIES)
    return [start.job, *("–" if value is None else seconds_of(value) for value in values)]
