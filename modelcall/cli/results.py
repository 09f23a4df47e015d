"""``modelcall results``: the answers of a run as they are, while it goes on or after it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import orjson
import typer

from modelcall.cli.options import Fs, JobIndex, Root, Set, WorldSize
from modelcall.cli.output import result, shown, table
from modelcall.config.loading import load_task
from modelcall.observe.distribution import Distribution
from modelcall.pipeline.failed import outcome_fields
from modelcall.task_manager.answers import answers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from modelcall.pipeline.answers import FileAnswers
    from modelcall.types import Outcome

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_EXAMPLES = """\
\b
Examples:
  modelcall results T.yaml
  modelcall results T.yaml --failed --limit 20
  modelcall results T.yaml --json | jq .values.score

\b
Reads journals and outputs of the last run, finished or not, also while it goes on; writes and locks nothing.
--json prints one object a line for each row that has an outcome."""
_BLOCK: Final = 1000
"""Lines that are printed at a time."""
_REASON_CHARS: Final = 200


@app.command(epilog=_EXAMPLES)
def results(
    task: Annotated[Path, typer.Argument(metavar="TASK.yaml", help="The task file.")],
    *,
    failed: Annotated[bool, typer.Option("--failed", help="Show the rows that failed.")] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=0, help="Show at most so many rows.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print rows, as one JSON object a line.")] = False,
    job_index: JobIndex = None,
    world_size: WorldSize = None,
    overrides: Set = None,
    fs: Fs = None,
    root: Root = None,
) -> None:
    """Show the answers recorded so far: a table for each file, or rows."""
    loaded = load_task(task, overrides=overrides or (), root=root, fs=fs, for_run=False)
    found = answers(loaded, job_index=job_index, world_size=world_size)
    if as_json:
        lines = (
            _json(file, row, outcome) for file in found.files for row, outcome in _wanted(file.rows, failed=failed)
        )
        _print(islice(lines, limit))
        return
    pairs = [("run", f"{shown(loaded.task.task_name)} of {found.record.timestamp}")]
    rows = _Rows(failed=failed, left=limit if limit is not None else _SHOWN if failed else 0)
    for file in found.files:
        pairs += rows.summary(file)
    result(table([*pairs, ("in all", rows.total.line()), *rows.shown]))


_SHOWN: Final = 100
"""Failed rows that are shown if nothing else is said."""


def _wanted(rows: Iterable[tuple[int, Outcome]], *, failed: bool) -> Iterator[tuple[int, Outcome]]:
    return ((row, outcome) for row, outcome in rows if outcome.error_type is not None or not failed)


def _print(lines: Iterator[str]) -> None:
    while block := list(islice(lines, _BLOCK)):
        result(block)


def _json(file: FileAnswers, row: int, outcome: Outcome) -> str:
    line: dict[str, Any] = {
        "file": file.file,
        "run_index": file.run_index,
        "row_index": row,
        "status": "success" if outcome.error_type is None else "error",
        "values": outcome.values,
        **outcome_fields(row, outcome),
    }
    return orjson.dumps(line).decode()


@dataclass(slots=True)
class _Counts:
    rows: int = 0
    failures: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        self.rows += 1
        if outcome.error_type is not None:
            self.failures[str(outcome.error_type)] += 1

    def line(self) -> str:
        failed = self.failures.total()
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in self.failures.most_common())
        return f"{self.rows:,} rows recorded: {self.rows - failed:,} scored, {failed:,} failed" + (
            f" ({kinds})" if kinds else ""
        )


class _Rows:
    """Sums of each file and of all, and the rows that are shown."""

    def __init__(self, *, failed: bool, left: int) -> None:
        self._failed = failed
        self._left = left
        self.total = _Counts()
        self.shown: list[tuple[str, str]] = []

    def summary(self, file: FileAnswers) -> Iterator[tuple[str, str]]:
        """Read a file's rows; yield what they come to."""
        counts, scores = _Counts(), Distribution()
        for row, outcome in file.rows:
            counts.add(outcome)
            self.total.add(outcome)
            scores.add((outcome.values or {},))
            if self._left and (outcome.error_type is not None or not self._failed):
                self._left -= 1
                self.shown.append((f"{shown(file.file)} row {row}", _text(outcome)))
        name = file.file if file.run_index == 1 else f"{file.file} (run {file.run_index})"
        yield shown(name), f"{file.state}: {counts.line()}" if file.state != "waiting" else "not begun"
        yield from ((f"  {shown(column)}", text) for column, text in scores.lines())


def _text(outcome: Outcome) -> str:
    if outcome.error_type is None:
        return shown(orjson.dumps(outcome.values).decode(), chars=_REASON_CHARS)
    return shown(f"{outcome.error_type}: {outcome.fail_reason}", chars=_REASON_CHARS)
