"""``modelcall report``: a run as one HTML file to look at and to send around."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelcall.cli.failing import FAILED_ROWS, OK, usage_error
from modelcall.cli.options import Fs, Json, Root, Set
from modelcall.cli.output import message, result, result_json, shown, table
from modelcall.config.environment import Environment
from modelcall.config.loading import load_task
from modelcall.config.paths import data_path, data_root
from modelcall.config.storage import storage
from modelcall.errors import FatalError
from modelcall.report.card import card
from modelcall.report.gathering import Wanted, gather
from modelcall.report.page.whole import page
from modelcall.task_manager.reporting import subject_of_output, subject_of_task
from modelcall.task_manager.stores import Stores

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelcall.fs.base import FileSystem
    from modelcall.report.gathering import Facts
    from modelcall.report.subject import Subject

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_NAME = "report.html"
_ELSEWHERE = "Name another place with --output."
_EXAMPLES = """\
\b
Examples:
  modelcall report T.yaml
  modelcall report data/tagged/x --by language --by source
  modelcall report T.yaml --output x.html --card

\b
Reads what is published, of a finished run or of one that goes on; asks no model. Without --output the report is
.modelcall/report.html in the output folder. Exit codes: 0 written, 2 no run or no such column,
3 written, but some files could not be read."""


@app.command(epilog=_EXAMPLES)
def report(
    subject: Annotated[str, typer.Argument(metavar="TASK.yaml|OUTPUT", help="A task file, or the output of a run.")],
    *,
    output: Annotated[
        str | None, typer.Option("--output", metavar="FILE", help="Where to write it: a path from here, or a URL.")
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            metavar="COLUMN",
            help="Group scores by a column; repeatable. Default: language, source or their like.",
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", metavar="N", min=0, max=50, help="Rows shown of each score and failure.")
    ] = 3,
    with_card: Annotated[
        bool, typer.Option("--card", help="Also write a Markdown dataset card beside it, of the same name.")
    ] = False,
    log_dir: Annotated[
        Path | None, typer.Option("--log_dir", metavar="DIR", help="Where the logs are, if not where the task says.")
    ] = None,
    overrides: Set = None,
    fs: Fs = None,
    root: Root = None,
    as_json: Json = False,
) -> int:
    """Write a report on a run: one HTML file that needs nothing else."""
    environment = Environment.read()
    if subject.endswith((".yaml", ".yml")):
        loaded = load_task(subject, overrides=overrides or (), root=root, fs=fs, for_run=False)
        stores = Stores(loaded.storage, loaded.environment)
        on = subject_of_task(loaded, logs=log_dir)
    elif overrides:
        raise usage_error("--set changes a task, and an output has none", hint="name the task file")
    else:
        base = data_root(environment=environment, root=root, fs=fs, task_root=None, task_fs=None)
        stores = Stores(storage(environment, base), environment)
        path = data_path(subject, root=base.base, environment=environment)
        on = subject_of_output(path, stores, environment, logs=log_dir)
    facts = gather(on, Wanted(by=tuple(by or ()), samples=samples))
    written = _write(facts, _place(on, output, stores, environment), with_card=with_card)
    _show(facts, written, as_json=as_json)
    return FAILED_ROWS if facts.files.problems else OK


def _place(subject: Subject, output: str | None, stores: Stores, environment: Environment) -> tuple[FileSystem, str]:
    if output is None:
        to = subject.passes[0].to
        return to.fs, f"{to.state}/{_NAME}"
    path = data_path(output, root=str(environment.cwd), environment=environment)
    return stores.at(path), path


def _write(facts: Facts, place: tuple[FileSystem, str], *, with_card: bool) -> list[str]:
    """Write both, each whole or not at all; return their paths."""
    store, path = place
    texts = {path: page(facts, now=datetime.now().astimezone())}
    if with_card:
        stem = path.removesuffix(".html") if path.endswith(".html") else path
        texts[f"{stem}.md"] = card(facts).encode()
    for name, text in texts.items():
        try:
            store.replace(name, text)
        except OSError as error:
            why = error.strerror or str(error)
            raise FatalError(f"{name}: the report cannot be written: {why}", hint=_ELSEWHERE) from error
    return list(texts)


def _show(facts: Facts, written: list[str], *, as_json: bool) -> None:
    if as_json:
        result_json(_as_json(facts, written))
    else:
        result(table(list(_pairs(facts, written))))
    if facts.files.problems:
        lines = [f"could not be read: {shown(problem)}" for problem in facts.files.problems]
        message(*lines, "next: start the run's command again, or restore the files")


def _as_json(facts: Facts, written: list[str]) -> dict[str, Any]:
    files = facts.files
    return {
        "report": written[0],
        "card": written[1] if len(written) > 1 else None,
        "files": {"expected": files.expected, "published": files.published},
        "rows": {"total": files.rows, "scored": files.scored, "failed": files.failed},
        "problems": files.problems,
    }


def _pairs(facts: Facts, written: list[str]) -> Iterator[tuple[str, str]]:
    files = facts.files
    yield "report", shown(written[0])
    yield from (("card", shown(path)) for path in written[1:])
    yield "files", f"{files.published:,} published" + (f", {files.unpublished:,} not yet" if files.unpublished else "")
    yield "rows", f"{files.rows:,}: {files.scored:,} scored, {files.failed:,} failed"
