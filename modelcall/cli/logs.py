"""``modelcall logs``: what the log folder holds, task by task: starts, batches, final statistics, scores."""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from modelcall.cli.failing import usage_error
from modelcall.cli.options import Json
from modelcall.cli.output import message, result, result_json, shown, table
from modelcall.cli.runs import columns
from modelcall.log import file_stem
from modelcall.observe.archive import task_logs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelcall.observe.archive import TaskLogs

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_EXAMPLES = """\
\b
Examples:
  modelcall logs
  modelcall logs --task github_code_rating
  modelcall logs --task github_code_rating --details --limit 20
  modelcall logs --task github_code_rating --stats

\b
Without --task all tasks are listed. --details shows batches; --stats the final statistics of the last
start, and how the scores of its run are distributed, over all its starts."""
_TAIL: Final = 20
_LOGS: Final = ("TASK", "JOB", "STARTS", "LAST ENDED", "EXIT", "ROWS", "SCORED", "ROWS/MIN", "COST")
_BATCHES: Final = (
    "TIME",
    "RUN",
    "BATCH",
    "ROWS",
    "SCORED",
    "FAILED",
    "RATE",
    "ROWS/MIN",
    "IN FLIGHT",
    "FAILURES",
    "RETRIES",
)


@app.command(epilog=_EXAMPLES)
def logs(
    *,
    log_dir: Annotated[Path, typer.Option("--log_dir", metavar="DIR", help="The folder of the logs.")] = Path("logs"),
    task: Annotated[
        str | None, typer.Option("--task", metavar="NAME", help="Part of the names of the tasks that are meant.")
    ] = None,
    details: Annotated[bool, typer.Option("--details", help="Show batches.")] = False,
    stats: Annotated[bool, typer.Option("--stats", help="Show final statistics and scores.")] = False,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="Batches, or lines of a log, that are shown: the last.")
    ] = _TAIL,
    as_json: Json = False,
) -> None:
    """Show logs, batches, final statistics and scores of tasks."""
    if details and stats:
        raise usage_error("--details and --stats: choose one")
    if (details or stats) and task is None:
        raise usage_error("--details and --stats need --task NAME", hint="modelcall logs lists the names")
    found = _found(log_dir, task)
    if details:
        _details(found, limit, as_json=as_json)
    elif stats:
        _stats(found, as_json=as_json)
    elif as_json:
        result_json([_overview(one) for one in found])
    elif task is None:
        result(columns([_LOGS, *map(_line, found)]))
    else:
        for one in found:
            result([*columns([_LOGS, _line(one)]), *(f"  {shown(line)}" for line in one.tail(limit))])


def _found(folder: Path, task: str | None) -> list[TaskLogs]:
    try:
        found = task_logs(folder, "" if task is None else file_stem(task))
    except OSError as error:
        raise usage_error(f"{folder}: {error.strerror}", hint="name the folder with --log_dir") from error
    if not found:
        of = "" if task is None else f" of a task with {shown(task)!r} in its name"
        raise usage_error(f"{folder}: there are no logs{of}", hint="modelcall logs lists the tasks of a folder")
    return found


def _line(one: TaskLogs) -> tuple[str, ...]:
    told = one.final_stats() or {}
    rows, rate, per_minute = told.get("rows", {}), told.get("success_rate"), told.get("rows_per_minute")
    return (
        shown(one.task),
        "" if one.job_index is None else str(one.job_index),
        str(len(one.logs)),
        shown(told.get("ended", "")),
        shown(told.get("exit_code", "")),
        f"{rows.get('done', 0):,}" if rows else "",
        "" if rate is None else f"{rate:.1%}",
        "" if per_minute is None else f"{per_minute:,.1f}",
        _cost(told),
    )


def _cost(told: Mapping[str, Any]) -> str:
    return "" if told.get("cost") is None else f"{told['cost']:,.4f} {shown(told['currency'])}"


def _overview(one: TaskLogs) -> dict[str, Any]:
    names = [str(path) for path in one.logs]
    return {"task": one.task, "job_index": one.job_index, "logs": names, "final_stats": one.final_stats()}


def _details(found: list[TaskLogs], limit: int, *, as_json: bool) -> None:
    batches = [batch for one in found for batch in deque(one.batches(), maxlen=limit)]
    if as_json:
        result_json(batches)
    else:
        result(columns([_BATCHES, *map(_batch, batches)]))
    if cut := sum(one.unreadable for one in found):
        message(f"{cut:,} line(s) are no batch: their writing was cut short")


def _batch(batch: Mapping[str, Any]) -> tuple[str, ...]:
    flight = "" if batch.get("in_flight") is None else f"{batch['in_flight']}/{batch['limit']}"
    job = f"/{batch['job_index']}" if batch.get("job_index") else ""
    return (
        shown(str(batch.get("time", ""))[:19].replace("T", " ")),
        shown(batch.get("run_id", "")) + job,
        *(shown(batch.get(name, "")) for name in ("batch", "rows", "scored", "failed")),
        f"{batch.get('success_rate', 0):.1%}",
        shown(batch.get("rows_per_minute") or ""),
        flight,
        _counts(batch.get("failures", {})),
        _counts(batch.get("retries", {})),
    )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{shown(name)} {count:,}" for name, count in counts.items())


def _stats(found: list[TaskLogs], *, as_json: bool) -> None:
    if as_json:
        scores = [one.scores(one.last_run()).as_json() for one in found]
        result_json([{**_overview(one), "scores": each} for one, each in zip(found, scores, strict=True)])
        return
    for at, one in enumerate(found):
        result([*([""] if at else []), *table(list(_statistics(one)))])


def _statistics(one: TaskLogs) -> Iterator[tuple[str, str]]:
    yield "task", shown(one.task) + ("" if one.job_index is None else f", job {one.job_index}")
    told = one.final_stats()
    if told is None:
        yield "last start", "has not ended, or was killed: there are no final statistics"
    else:
        yield from _told(told)
    run = one.last_run()
    if run is not None:
        yield "scores of", f"run {shown(run)}, by its batches"
        yield from ((f"  {shown(column)}", text) for column, text in one.scores(run).lines())


def _told(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    files, rows, tokens, latency = (told[name] for name in ("files", "rows", "tokens", "latency_seconds"))
    yield "last start", f"{shown(told['started'])}, {timedelta(seconds=round(told['seconds']))}"
    why = f": {shown(told['reason'])}" if told.get("reason") else ""
    yield "exit", f"{told['exit_code']}{why}"
    yield "files", f"{files['done']}/{files['total']} done, {files['failed']} failed"
    yield (
        "rows",
        f"{rows['done']:,}: {rows['scored']:,} scored, {rows['failed']:,} failed; {rows['recorded_before']:,} before",
    )
    if told["success_rate"] is not None:
        yield "rate", f"{told['success_rate']:.1%} scored, {told['rows_per_minute'] or 0:,.1f} rows/min"
    yield "tokens", ", ".join(f"{name} {count:,}" for name, count in tokens.items())
    yield "cost", _cost(told) or "unknown: the model file has no prices"
    yield (
        "latency",
        ", ".join(f"{name} {value:.3g} s" for name, value in latency.items() if value is not None) or "none",
    )
    for name in ("failures", "retries"):
        yield name, _counts(told[name]) or "none"
    yield "concurrency", f"limit {told['concurrency']['limit']}, ceiling {told['concurrency']['ceiling']}"
