"""What a start brought, as a table for people or as JSON, and what to do next."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from modelcall.cli.failing import FAILED_ROWS, OK, SAME_COMMAND, STOPPED
from modelcall.cli.output import FILES_SHOWN, counted, named, shown, table
from modelcall.cli.preprocess_report import preprocess_json, preprocess_lines
from modelcall.observe.cost import cost, cost_fields
from modelcall.types import ErrorType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from modelcall.config.model import Prices
    from modelcall.observe import Snapshot
    from modelcall.pipeline.tally import Tally
    from modelcall.task_manager.summary import Summary

_REASON_CHARS: Final = 200
_HOW: Final = {
    "new": "a new run",
    "joined": "its part in a run that others share",
    "continued": "went on with the run",
    "extended": "new files for a finished run",
    "preprocessing": "ended while preprocessing",
}


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the passes of a start, files of earlier starts included."""

    files: int
    rows: int
    scored: int
    failed: int
    unfinished: int
    failures: Counter[str]
    broken: Mapping[str, str]
    """Files that failed, with the reason."""
    dropped: int = 0
    """Failed rows that are not in the output."""
    again: int = 0
    """Failed rows of finished files that this start asked again."""

    @property
    def may_succeed(self) -> int:
        """Failed rows that asking again may change."""
        return self.failed - self.failures[ErrorType.BAD_ROW]


def totals(passes: Sequence[Tally]) -> Totals:
    """Add up what the passes brought out."""
    return Totals(
        files=sum(tally.files for tally in passes),
        rows=sum(tally.rows for tally in passes),
        scored=sum(tally.scored for tally in passes),
        failed=sum(tally.failed for tally in passes),
        unfinished=sum(max(0, tally.unfinished) for tally in passes),
        failures=sum((tally.failures for tally in passes), Counter[str]()),
        broken={name: why for tally in passes for name, why in tally.broken_files.items()},
        dropped=sum(tally.dropped for tally in passes),
        again=sum(tally.again for tally in passes),
    )


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is told at the end of a start."""

    task: str
    summary: Summary
    totals: Totals
    snapshot: Snapshot
    log: str
    reasons: Mapping[str, str]
    """The first reason of each kind of failure, of this start."""
    prices: Prices | None = None
    """Of the model file."""

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        summary, rate = self.summary, self.snapshot.rows_done / max(self.snapshot.elapsed, 1e-9)
        return {
            "task": self.task,
            "exit_code": summary.exit_code,
            "run": summary.run,
            "how": summary.how,
            "timestamp": summary.timestamp,
            "job_index": summary.shard.job_index,
            "world_size": summary.shard.world_size,
            "worked": summary.worked,
            "outputs": summary.outputs,
            "preprocess": summary.preprocess and preprocess_json(summary.preprocess),
            "files": {
                "done": self.totals.files,
                "failed": len(self.totals.broken),
                "unfinished": self.totals.unfinished,
            },
            "rows": {"total": self.totals.rows, "scored": self.totals.scored, "failed": self.totals.failed},
            "rows_dropped": self.totals.dropped,
            "rows_asked_again": self.totals.again,
            "rows_of_this_start": self.snapshot.rows_done,
            "failures": dict(self.totals.failures),
            "first_reasons": dict(self.reasons),
            "broken_files": self.totals.broken,
            "failed_lists": self.summary.failed_lists,
            "seconds": round(self.snapshot.elapsed, 3),
            "rows_per_second": round(rate, 1),
            "tokens": {
                "prompt": self.snapshot.prompt_tokens,
                "completion": self.snapshot.completion_tokens,
                "cached": self.snapshot.cached_tokens,
                "reasoning": self.snapshot.reasoning_tokens,
            },
            **cost_fields(self.snapshot, self.prices),
            "log": self.log,
            "waiting_files": list(summary.waiting),
            "passed_over_files": list(summary.passed_over),
            "stopped_by": summary.error.message if summary.error else None,
            "signal": summary.signal,
        }

    def lines(self) -> list[str]:
        """Return it for people."""
        return table([(name, value) for name, value in self._pairs() if value])

    def _pairs(self) -> Iterator[tuple[str, str]]:
        summary, now = self.summary, self.snapshot
        yield "task", f"{shown(self.task)}: {_HOW[summary.how]}" + (f" of {summary.timestamp}" if summary.run else "")
        if summary.preprocess is not None:
            yield from preprocess_lines(summary.preprocess)
        if summary.shard.world_size > 1:
            yield "shard", f"{summary.shard.job_index} of {summary.shard.world_size}, by {summary.shard.source}"
        yield (
            "files",
            ", ".join(
                counted(done=self.totals.files, failed=len(self.totals.broken), unfinished=self.totals.unfinished)
            ),
        )
        yield (
            "rows",
            f"{self.totals.rows:,} in finished files: {self.totals.scored:,} scored, {self.totals.failed:,} failed",
        )
        for kind, count in self.totals.failures.most_common():
            reason = shown(self.reasons.get(kind, ""), chars=_REASON_CHARS)
            yield f"  {kind}", f"{count:,}{f', first {reason}' if reason else ''}"
        for name, why in list(self.totals.broken.items())[:FILES_SHOWN]:
            yield f"  {shown(name)}", shown(why, chars=_REASON_CHARS)
        if now.rows_done:
            seconds = timedelta(seconds=round(now.elapsed, 1))
            rate = now.rows_done / max(now.elapsed, 1e-9)
            yield "this start", f"{now.rows_done:,} rows in {str(seconds)[:9]}, {rate:,.1f} rows/s"
        if (spent := cost(now, self.prices)) is not None:
            tokens = f"{now.prompt_tokens:,} prompt and {now.completion_tokens:,} completion tokens in this start"
            yield "cost", f"{spent.amount:,.4f} {shown(spent.currency)} for {tokens}"
        if self.totals.again:
            yield "asked again", f"{self.totals.again:,} failed rows of finished files"
        yield "output", ", ".join(map(shown, summary.outputs))
        if self.totals.dropped:
            yield "dropped", f"{self.totals.dropped:,} failed rows are listed, and not in the output"
        yield "failed rows", ", ".join(map(shown, self.summary.failed_lists))
        yield "waiting", named(summary.waiting, "came after the listing; the next run takes them")
        yield "passed over", named(summary.passed_over, "are no data files by their names")
        yield "log", shown(self.log)
        yield "exit", f"{summary.exit_code}: {self.meaning()}"

    def meaning(self) -> str:
        """Say what the exit code means here."""
        code = self.summary.exit_code
        if self.summary.retry and not self.summary.worked and code in {OK, FAILED_ROWS}:
            return "no failed row can be asked again" + (": the rest are bad rows" if self.totals.failed else "")
        if code == OK and not self.summary.worked:
            return "the run was done before; nothing was left to do"
        if code == OK and self.totals.failed:
            return f"finished; the failed rows are within options.max_failed_ratio {self.summary.max_failed_ratio:g}"
        if code == OK:
            return "finished; every row is scored"
        if code == FAILED_ROWS:
            return "finished, but not everything is scored"
        return "stopped before the end; progress is kept" if code == STOPPED else "interrupted before the end"

    def next_step(self) -> str | None:
        """Say what to do next, if something went wrong; a stop that has an error of its own says it there."""
        code = self.summary.exit_code
        if code == OK or (code == STOPPED and self.summary.error is not None):
            return None
        if code != FAILED_ROWS:
            return SAME_COMMAND
        if self.totals.broken or (self.summary.preprocess and self.summary.preprocess.failed):
            return "repair the files that failed, or take them away, and start again: finished files are kept"
        again = "ask the failed rows again with --retry_failed, " if self.totals.may_succeed else ""
        return (
            f"look into {', '.join(map(shown, self.summary.failed_lists))}; {again}accept them with "
            "options.max_failed_ratio, or remove the cause and start over with --fresh"
        )
