"""``modelcall status``: what runs, how far it is, how fast, and how it ended."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from modelcall.cli.lazily import watch as redraw
from modelcall.cli.options import Json
from modelcall.cli.output import message, result, result_json, result_line, table
from modelcall.cli.runs import HEADER, columns, details_of, found, json_of, line_of, name_of, some, state_of

if TYPE_CHECKING:
    from modelcall.observe import Record

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_EXAMPLES = """\
\b
Examples:
  modelcall status
  modelcall status github
  modelcall status github --watch
  modelcall status --json | jq '.[] | [.task, .state, .rows.left, .eta_seconds]'

\b
It reads the status files of the runs that were started from this folder (logs/.status, or
$MODELCALL_STATUS_DIR), which are a second old at most; a run is never disturbed by it.
PATTERN is any part of a task's name. States: starting, preprocessing, running, paused, outage, draining;
done, stopped, interrupted, refused, crashed; died: the process is gone and said nothing."""
_SECONDS: Final = 1.0
_PLAIN_SECONDS: Final = 10.0
"""Between two lines of ``--watch`` where nothing can be redrawn."""

Pattern = Annotated[str, typer.Argument(metavar="[PATTERN]", help="Part of the names of the tasks that are meant.")]


@app.command(epilog=_EXAMPLES)
def status(
    pattern: Pattern = "",
    *,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Show it again and again, until all have ended.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the runs that were started from this folder: all in a table, or those that are meant in full."""
    if watch:
        _watch(pattern, as_json=as_json)
    elif as_json:
        result_json([json_of(record) for record in (some(pattern) if pattern else found())])
    elif pattern:
        for at, record in enumerate(some(pattern)):
            result([*([""] if at else []), *table(list(details_of(record)))])
    else:
        _list()


def _list() -> None:
    every = found()
    if not every:
        message("nothing was started from this folder, or it was cleaned away")
        return
    result(columns([HEADER, *map(line_of, every)]))


def _watch(pattern: str, *, as_json: bool) -> None:
    some(pattern)  # or there is nothing to watch
    try:
        if as_json:
            _print_again(pattern, as_json=True, seconds=_SECONDS)
        elif sys.stdout.isatty() and redraw(lambda: [r.status.state for r in _running(pattern)], seconds=_SECONDS):
            result(columns([HEADER, *map(line_of, found(pattern))]))
        else:
            _print_again(pattern, as_json=False, seconds=_PLAIN_SECONDS)
    except KeyboardInterrupt:
        message("no longer watched; the runs go on")


def _running(pattern: str) -> list[Record]:
    return [record for record in found(pattern) if record.is_alive]


def _print_again(pattern: str, *, as_json: bool, seconds: float) -> None:
    while True:
        every = found(pattern)
        for record in every:
            if as_json:
                result_line(json_of(record))
            else:
                result([_plain(record)])
        if not any(record.is_alive for record in every):
            return
        until = time.monotonic() + seconds
        while time.monotonic() < until and _running(pattern):
            time.sleep(_SECONDS)


def _plain(record: Record) -> str:
    cells = [f"{name.lower()} {cell}" for name, cell in zip(HEADER[2:], line_of(record)[2:], strict=True) if cell]
    return f"{name_of(record)}: {state_of(record)}, {', '.join(cells)}"
