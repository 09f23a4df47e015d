"""``modelcall clean``: forgets runs that are over."""

from __future__ import annotations

import typer

from modelcall.cli.output import message, result
from modelcall.cli.runs import found, name_of, state_of
from modelcall.cli.status import Pattern
from modelcall.observe.status_file import forget

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_EXAMPLES = """\
\b
Examples:
  modelcall clean
  modelcall clean github

\b
Only what status shows is removed. Logs, statistics, outputs and progress stay; so does what still runs."""


@app.command(epilog=_EXAMPLES)
def clean(pattern: Pattern = "") -> None:
    """Remove the status of runs that have ended, nothing else."""
    over = [r for r in found(pattern) if not r.is_alive and (r.is_here or r.status.ending is not None)]
    for record in over:
        result([f"forgotten: {name_of(record)}, {state_of(record)}"])
        forget(record)
    if not over:
        message("nothing to clean")
