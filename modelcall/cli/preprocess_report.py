"""What came of preprocessing, as a table for people or as JSON, and what to do next."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from modelcall.cli.failing import FAILED_ROWS, OK, SAME_COMMAND, STOPPED
from modelcall.cli.output import FILES_SHOWN, counted, named, shown, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelcall.task_manager.preprocess_summary import PreprocessSummary

_REASON_CHARS: Final = 300


@dataclass(frozen=True, slots=True)
class PreprocessReport:
    """Everything that is told at the end."""

    summary: PreprocessSummary
    log: str

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        summary = self.summary
        return {
            "exit_code": summary.exit_code,
            **preprocess_json(summary),
            "log": self.log,
            "stopped_by": summary.error.message if summary.error else None,
            "signal": summary.signal,
        }

    def lines(self) -> list[str]:
        """Return it for people."""
        return table([(name, value) for name, value in self._pairs() if value])

    def _pairs(self) -> Iterator[tuple[str, str]]:
        summary = self.summary
        yield from preprocess_lines(summary)
        yield "time", str(timedelta(seconds=round(summary.seconds, 1)))[:9]
        yield "output", shown(summary.output)
        yield "statistics", shown(summary.stat)
        yield "passed over", named(summary.passed_over, "are no data files by their names")
        yield "log", shown(self.log)
        yield "exit", f"{summary.exit_code}: {self.meaning()}"

    def meaning(self) -> str:
        """Say what the exit code means here."""
        code = self.summary.exit_code
        if code == OK:
            done = self.summary.processes or self.summary.left
            return "every file is preprocessed" if done else "all was done before; nothing was left to do"
        if code == FAILED_ROWS:
            return "finished, but files failed"
        return "stopped before the end; finished files are kept" if code == STOPPED else "interrupted before the end"

    def next_step(self) -> str | None:
        """Say what to do next, if something went wrong; a stop says it itself."""
        code = self.summary.exit_code
        if code in {OK, STOPPED}:
            return None
        if code == FAILED_ROWS:
            return "repair the files that failed, or take them away, and start again: finished files are kept"
        return SAME_COMMAND


def preprocess_lines(summary: PreprocessSummary) -> Iterator[tuple[str, str]]:
    """Tell what came of preprocessing, as lines of a report."""
    totals = summary.totals
    files = counted(done=totals.files, failed=totals.failed_files, left=summary.left)
    before = f"; {summary.done_before:,} of them before this start" if summary.done_before else ""
    yield "raw files", f"{', '.join(files)}{before}"
    yield "raw rows", f"{totals.rows_in:,} in, {totals.rows_out:,} out; {totals.tokens:,} tokens kept"
    for reason, count in totals.dropped.items():
        yield "  dropped", f"{count:,}: {shown(reason)}"
    if totals.bad_rows:
        yield "  bad lines", f"{totals.bad_rows:,} hold no row and are rows of nulls"
    for name, why in list(summary.failed.items())[:FILES_SHOWN]:
        yield f"  {shown(name)}", shown(why, chars=_REASON_CHARS)
    yield "leftovers", named(summary.leftovers, "stand in the output of preprocessing, and what they came of is gone")


def preprocess_json(summary: PreprocessSummary) -> dict[str, Any]:
    """Return what came of preprocessing, for programs."""
    return {
        "output": summary.output,
        "stat": summary.stat,
        **asdict(summary.totals),
        "done_before": summary.done_before,
        "left": summary.left,
        "failed": summary.failed,
        "leftovers": list(summary.leftovers),
        "passed_over": list(summary.passed_over),
        "processes": summary.processes,
        "elapsed": summary.seconds,
    }
