"""``modelcall create-task``: a task file from a template, to be filled in."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Final

import typer

from modelcall.cli.failing import usage_error
from modelcall.cli.options import one_of
from modelcall.cli.output import message, result, shell_word, shown
from modelcall.config.templates import TEMPLATES

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_EXAMPLES = """\
\b
Examples:
  modelcall create-task my_rating --template basic
  modelcall create-task big_rating --template distributed
  modelcall create-task raw_code --template preprocess --output tasks/raw_code.yaml

\b
basic: one machine. distributed: shards on several. preprocess: formats the input first.
A file that is there is never overwritten."""
_TASKS: Final = Path("configs/tasks")


@app.command(epilog=_EXAMPLES)
def create_task(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The task's name.")],
    *,
    template: Annotated[
        str, typer.Option("--template", metavar="TEMPLATE", help="basic, distributed or preprocess.")
    ] = "basic",
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Where to write it. Default: configs/tasks/NAME.yaml."),
    ] = None,
) -> None:
    """Write a task file from a template."""
    one_of(template, tuple(TEMPLATES), option="--template")
    if not name.strip() or not name.isprintable():
        raise usage_error(f"{shown(name)!r}: a task's name is one line that is not empty")
    if output is None and ("/" in name or name.startswith(".")):
        raise usage_error(f"{shown(name)}: no name for a file", hint="choose another, or say where with --output FILE")
    path = output or _TASKS / f"{name}.yaml"
    _write(path, TEMPLATES[template].replace("NAME", json.dumps(name, ensure_ascii=False)))
    result([shown(path)])
    message(f"next: fill in its paths, then: modelcall validate {shell_word(path)}")


def _write(path: Path, text: str) -> None:
    """Create a file that is not there.

    Raises:
        ConfigError: It is there, or cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666), "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise usage_error(f"{shown(path)}: is there already", hint="choose another name, or --output") from error
    except OSError as error:
        raise usage_error(f"{shown(path)}: {error.strerror}", hint="say where with --output FILE") from error
