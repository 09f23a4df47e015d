"""The runs that were started from this folder, by their status files: found, named, and told in a line or in full."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from rich.cells import cell_len, set_cell_size

from modelcall.cli.failing import FAILED_ROWS, OK, USAGE
from modelcall.cli.output import message, shown
from modelcall.config.environment import Environment
from modelcall.errors import ConfigError
from modelcall.observe import Phase
from modelcall.observe.status_file import look, status_folder, status_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from modelcall.config.loading import LoadedTask
    from modelcall.config.shard import Shard
    from modelcall.observe import Record, Snapshot

_ENDED: Final = {OK: "done", FAILED_ROWS: "done, failures", USAGE: "refused", 1: "crashed", 4: "stopped"}
_SIGNALS: Final = 128
HEADER: Final = ("TASK", "STATE", "FILES", "ROWS", "ROWS/S", "LEFT", "IN FLIGHT", "SCORED", "COST", "TOLD")


def status_path(loaded: LoadedTask, shard: Shard) -> Path:
    """Return where the status of a task's shard is found."""
    job_index = shard.job_index if shard.world_size > 1 else None
    name = status_name(task=loaded.task.task_name, output=loaded.paths.output, job_index=job_index)
    return status_folder(loaded.environment) / f"{name}.json"


def found(pattern: str = "") -> list[Record]:
    """Return the runs whose task has ``pattern`` in its name; what cannot be read is told on stderr."""
    every, others = look(status_folder(Environment.read()))
    for path in others:
        message(f"{shown(path)}: is no status; passed over")
    return [record for record in every if record.is_meant(pattern)]


def some(pattern: str) -> list[Record]:
    """Return the runs that a pattern means.

    Raises:
        ConfigError: There is none.
    """
    every = found()
    matches = [record for record in every if record.is_meant(pattern)]
    if not matches:
        known = ", ".join(dict.fromkeys(shown(record.status.identity.task) for record in every))
        folder = status_folder(Environment.read())
        raise ConfigError(
            f"no task that was started from this folder has {shown(pattern)!r} in its name",
            hint=f"Known here: {known}." if known else f"{shown(folder)} has the status of none; go where it started.",
        )
    return matches


def name_of(record: Record) -> str:
    """Return the task's name, with its shard if there are several."""
    identity = record.status.identity
    shard = f" {identity.job_index}/{identity.world_size}" if identity.world_size > 1 else ""
    return shown(identity.task) + shard


def state_of(record: Record) -> str:
    """Say in a word or two whether a run goes on, or how it ended."""
    if record.is_alive:
        return str(record.status.state.phase)
    code = record.exit_code
    if record.status.ending is None:
        return "died" if code is None else f"died, exit {code}"
    interrupted = f"interrupted, {code}" if code is not None and code > _SIGNALS else f"exit {code}"
    return _ENDED.get(code if code is not None else -1, interrupted)


def line_of(record: Record) -> tuple[str, ...]:
    """Return the cells of a run's line, as :data:`HEADER` names them."""
    state, now = record.status.state, record.status.state.snapshot
    alive = record.is_alive
    spent = "" if state.cost is None else f"{state.cost.amount:,.2f} {shown(state.cost.currency)}"
    return (
        name_of(record),
        state_of(record),
        f"{now.files_done}/{now.files_total}",
        rows_of(now),
        f"{now.rate:,.1f}" if alive else "",
        left_of(record),
        f"{now.in_flight}/{now.limit}" if alive else "",
        "" if now.success_rate is None else f"{now.success_rate:.1%}",
        spent,
        ago(record.age),
    )


def left_of(record: Record) -> str:
    """Say when the end comes at the present rate, if that says anything."""
    eta = record.status.state.snapshot.eta
    going = record.is_alive and record.status.state.phase is Phase.RUNNING
    return f"{timedelta(seconds=round(eta))}" if going and eta is not None else ""


def rows_of(now: Snapshot) -> str:
    """Return the rows with an outcome, and how many there are if that is known."""
    of = "" if now.rows_total is None else f"/{now.rows_total:,}"
    return f"{now.rows_recorded + now.rows_done:,}{of}"


def ago(seconds: float) -> str:
    """Say how long something is ago."""
    return f"{timedelta(seconds=round(max(0.0, seconds)))} ago"


def details_of(record: Record) -> Iterator[tuple[str, str]]:
    """Yield everything that a status tells, for people."""
    identity, state, ending = record.status.identity, record.status.state, record.status.ending
    now, process = state.snapshot, record.process
    yield "task", name_of(record)
    yield "state", ": ".join(filter(None, (state_of(record), shown(state.note))))
    if ending is not None and ending.reason and ending.reason != state.note:
        yield "reason", shown(ending.reason)
    where = "" if record.is_here else f" on {shown(process.host)}"
    yield "process", f"{process.pid}{where}, started {shown(identity.started)}; told {ago(record.age)}"
    failed = f", {now.files_failed} failed" if now.files_failed else ""
    yield "files", f"{now.files_done}/{now.files_total}{failed}"
    before = f", {now.rows_recorded:,} of earlier starts" if now.rows_recorded else ""
    left = f", {left_of(record)} left" if left_of(record) else ""
    yield "rows", f"{rows_of(now)}{before}; {now.rate:,.1f}/s{left}"
    if now.success_rate is not None:
        yield "scored", f"{now.rows_scored:,} of {now.rows_done:,} ({now.success_rate:.1%})"
    if record.is_alive:
        yield "requests", f"{now.in_flight} in flight, limit {now.limit}, ceiling {now.ceiling}"
    yield from _spent(record)
    yield from (
        ("failed" if not at else "", f"{shown(kind)} {n:,}") for at, (kind, n) in enumerate(now.failures.items())
    )
    yield from (("retries" if not at else "", f"{shown(why)} {n:,}") for at, (why, n) in enumerate(now.retries.items()))
    for at, row in enumerate(state.slowest if record.is_alive else ()):
        yield "" if at else "slowest now", f"{shown(row.file)} row {row.row_index}, {row.seconds:.1f} s"
    yield "output", ", ".join(map(shown, identity.outputs))
    yield "log", shown(identity.log)
    if identity.metrics and record.is_alive:
        yield "metrics", f"http://{shown(identity.metrics)}/metrics"


def _spent(record: Record) -> Iterator[tuple[str, str]]:
    state, now = record.status.state, record.status.state.snapshot
    if now.prompt_tokens or now.completion_tokens:
        yield "tokens", f"{now.prompt_tokens:,} in, {now.completion_tokens:,} out"
    if state.cost is not None:
        yield "cost", f"{state.cost.amount:,.4f} {shown(state.cost.currency)}"


def json_of(record: Record) -> dict[str, Any]:
    """Return what the file tells, and what only the reader knows: whether the process is there."""
    return {
        **record.told,
        "alive": record.is_alive,
        "state": state_of(record),
        "exit_code": record.exit_code,
        "file": str(record.path),
        "read": datetime.now().astimezone().isoformat(timespec="milliseconds"),
    }


def columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Lay cells out as lines; a column that is empty but for its name is left out."""
    header, *body = rows
    kept = [at for at in range(len(header)) if any(line[at] for line in body)]
    widths = {at: max(cell_len(line[at]) for line in rows) for at in kept}
    return ["  ".join(set_cell_size(line[at], widths[at]) for at in kept).rstrip() for line in rows]
