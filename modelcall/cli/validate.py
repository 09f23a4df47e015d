"""``modelcall validate``: all mistakes of a task at once. Opens no socket unless asked to."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelcall.cli.checking import ask_once
from modelcall.cli.failing import USAGE
from modelcall.cli.options import Fs, Json, Root, Set
from modelcall.cli.output import message, result, result_json, shown, table
from modelcall.config.loading import load_task
from modelcall.errors import ConfigError
from modelcall.task_manager.plans import plan_task
from modelcall.task_manager.summary import Invocation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelcall.config.loading import LoadedTask
    from modelcall.errors import Mistake

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_EXAMPLES = """\
\b
Examples:
  modelcall validate configs/tasks/github_code_rating.yaml
  modelcall validate T.yaml --set data.input_folder=./sample
  modelcall validate T.yaml --check-endpoint

\b
Checks the files, not the machine: a missing input, key or URL is a note. Exit codes: 0 valid, 2 mistakes."""


@app.command(epilog=_EXAMPLES)
def validate(
    task: Annotated[Path, typer.Argument(metavar="TASK.yaml", help="The task file.")],
    *,
    overrides: Set = None,
    check_endpoint: Annotated[
        bool, typer.Option("--check_endpoint", help="Also ask the model one tiny question.")
    ] = False,
    fs: Fs = None,
    root: Root = None,
    as_json: Json = False,
) -> int:
    """Show all mistakes of a task file, with line and YAML path; start nothing."""
    try:
        loaded = load_task(task, overrides=overrides or (), root=root, fs=fs, for_run=False)
        _plan(loaded)
        answer = asyncio.run(ask_once(loaded)) if check_endpoint else None
    except ConfigError as error:
        if as_json:
            result_json(_mistaken(error))
            return USAGE
        raise
    if as_json:
        result_json(_valid(loaded, answer))
    else:
        result(table(list(_lines(loaded, answer))))
        _say_notes(loaded)
    return 0


def _plan(loaded: LoadedTask) -> None:
    """Plan what a run would, so that a module, a schema or a fault that cannot be used is found too.

    Raises:
        ConfigError: It cannot be built.
    """
    if loaded.scorer != "llm" or loaded.endpoint is not None:
        plan_task(loaded, Invocation(job_index=0), lambda *_: None)


def _lines(loaded: LoadedTask, answer: str | None) -> Iterator[tuple[str, str]]:
    yield "task", shown(loaded.task.task_name)
    yield "scorer", shown(loaded.scorer)
    if loaded.model is not None:
        yield "model", shown(loaded.model.model_name)
    if loaded.endpoint is not None:
        urls = ", ".join(loaded.endpoint.base_urls) or ("started by the run" if loaded.endpoint.is_embedded else "none")
        yield "endpoint", shown(urls)
    if loaded.paths.preprocess is not None:
        yield "raw", shown(loaded.paths.preprocess.raw)
    yield "input", shown(loaded.paths.input)
    yield "output", shown(loaded.paths.output)
    if answer is not None:
        yield "answer", shown(answer, chars=200)
    yield "verdict", f"valid, {len(loaded.missing)} missing on this machine" if loaded.missing else "valid"


def _say_notes(loaded: LoadedTask) -> None:
    message(*(f"warning: {shown(warning)}" for warning in loaded.warnings))
    message(*(f"note: {shown(missing)}" for missing in loaded.missing))
    if loaded.missing:
        message("next: run-task needs what the notes name; add it before the start")


def _valid(loaded: LoadedTask, answer: str | None) -> dict[str, Any]:
    return {
        "valid": True,
        "task": loaded.task.task_name,
        "scorer": loaded.scorer,
        "warnings": [_as_json(warning) for warning in loaded.warnings],
        "missing": [_as_json(missing) for missing in loaded.missing],
        "answer": answer,
    }


def _mistaken(error: ConfigError) -> dict[str, Any]:
    mistakes = [_as_json(mistake) for mistake in error.mistakes]
    return {"valid": False, "message": error.message, "hint": error.hint, "mistakes": mistakes}


def _as_json(mistake: Mistake) -> dict[str, str]:
    return {"where": mistake.where, "path": mistake.path, "message": mistake.message}
