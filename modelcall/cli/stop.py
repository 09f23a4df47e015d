"""``modelcall stop``: ends running tasks gracefully, and says how to go on."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from modelcall.cli.failing import OK, usage_error
from modelcall.cli.output import result, shell_word, shown
from modelcall.cli.runs import found, name_of, rows_of, some, state_of
from modelcall.errors import ConfigError
from modelcall.observe.ending_processes import end_all, proven
from modelcall.observe.status_file import read

if TYPE_CHECKING:
    from modelcall.observe import Record

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_EXAMPLES = """\
\b
Examples:
  modelcall stop github
  modelcall stop --all

\b
Matches are listed, and nothing is asked. Each gets SIGTERM: it begins no more rows, lets those in flight end within
options.grace_seconds, saves, and exits 143. The command returns when all have ended, after the longest grace period
and 5 s at most: then it kills, which loses nothing that is recorded. It signals only a process that it can prove to
be the run, by its number and its start time."""


@app.command(epilog=_EXAMPLES)
def stop(
    pattern: Annotated[
        str, typer.Argument(metavar="[PATTERN]", help="Part of the names of the tasks that are meant.")
    ] = "",
    *,
    every: Annotated[bool, typer.Option("--all", help="End all that were started from this folder.")] = False,
) -> int:
    """End the running tasks that PATTERN means; started again they go on."""
    if bool(pattern) == every:
        raise usage_error("say which: PATTERN, a part of a task's name, or --all")
    matches = found() if every else some(pattern)
    running = [record for record in matches if record.is_alive]
    if not running:
        result([*(f"{name_of(record)}: {state_of(record)}" for record in matches), "nothing to stop"])
        return OK
    elsewhere = [record for record in running if not record.is_here]
    _end([record for record in running if record.is_here])
    if elsewhere:
        named = "; ".join(f"{name_of(record)} on {shown(record.process.host)}" for record in elsewhere)
        raise ConfigError(f"not on this machine: {named}", hint="stop them there")
    return OK


def _end(running: list[Record]) -> None:
    result(f"stopping {name_of(record)} (pid {record.process.pid})" for record in running)
    handles = [handle for handle in map(proven, running) if handle is not None]
    killed = {handle.record.path for handle in end_all(handles)}
    for before in running:
        record = read(before.path) or before
        how = "killed: it did not end in time" if before.path in killed else state_of(record)
        result([f"{name_of(record)}: {how}; {rows_of(record.status.state.snapshot)} rows recorded", _again(record)])


def _again(record: Record) -> str:
    if record.exit_code == OK:
        return "  it had come to its end"
    identity = record.status.identity
    if not identity.task_file:
        return "  start it again with the same command to go on"
    shard = f" --job_index {identity.job_index} --world_size {identity.world_size}" if identity.world_size > 1 else ""
    changes = "".join(f" --set {shlex.quote(shown(text))}" for text in identity.overrides)
    return f"  to go on: modelcall start{shard}{changes} {shell_word(identity.task_file)}"
