"""``modelcall verify``: what a run wrote, read again."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from modelcall.cli.failing import FAILED_ROWS, OK
from modelcall.cli.options import Fs, Json, Root
from modelcall.cli.output import message, result, result_json, shown, table
from modelcall.config.environment import Environment
from modelcall.config.paths import data_path, data_root
from modelcall.config.storage import storage
from modelcall.garbage import leave_pandas_out
from modelcall.pipeline.verify import verify as verify_output
from modelcall.state.run import noted_runs
from modelcall.state.shard import output_at
from modelcall.task_manager.stores import Stores

if TYPE_CHECKING:
    from modelcall.pipeline.verify import Findings

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_EXAMPLES = """\
\b
Examples:
  modelcall verify data/tagged/x
  modelcall verify out.parquet --json

\b
Every input row exactly once, in order; checksums, schema and counts. Exit codes: 0 all right,
3 something is wrong (listed), 2 no run wrote there."""


@app.command(epilog=_EXAMPLES)
def verify(
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="Output folder or file of a run.")],
    *,
    fs: Fs = None,
    root: Root = None,
    as_json: Json = False,
) -> int:
    """Read again what a run wrote, and prove that every row is there once, in order."""
    environment = Environment.read()
    base = data_root(environment=environment, root=root, fs=fs, task_root=None, task_fs=None)
    path = data_path(output, root=base.base, environment=environment)
    if base.plugin is None:
        leave_pandas_out()
    stores = Stores(storage(environment, base), environment)
    place = output_at(stores.at(path), path)
    findings = verify_output(place, noted_runs(place.fs, place.state), store_of=stores.at)
    if as_json:
        result_json({"output": path, **asdict(findings), "drift": findings.drift.as_json()})
    else:
        result(_lines(path, findings))
    if findings.problems:
        count = len(findings.problems)
        message(f"{count} problem(s) in {shown(output)}", "next: start the run's command again, or restore the files")
    return FAILED_ROWS if findings.problems else OK


def _lines(path: str, findings: Findings) -> list[str]:
    partial = f", {findings.partial} of them partial (debug limits)" if findings.partial else ""
    dropped = f", {findings.dropped:,} of them dropped" if findings.dropped else ""
    pairs = [
        ("output", shown(path)),
        ("files", f"{findings.files:,} published{partial}; {findings.compared:,} compared with their input"),
        ("rows", f"{findings.rows:,}: {findings.scored:,} scored, {findings.failed:,} failed{dropped}"),
        *(("wrong", shown(problem)) for problem in findings.problems),
        *(("differs", shown(line)) for line in findings.drift.lines()),
        *_strangers(findings.strangers),
        ("verdict", f"{len(findings.problems)} problem(s)" if findings.problems else "every row once, in order"),
    ]
    return table(pairs)


def _strangers(names: list[str]) -> list[tuple[str, str]]:
    """Tell of data files that the run did not bring out, but are read by whoever loads the folder."""
    if not names:
        return []
    return [("besides", f"{len(names):,} data file(s) that are not of this run, the first is {shown(names[0])}")]
