"""``modelcall schema``: JSON Schemas of what users write."""

from __future__ import annotations

from typing import Annotated

import typer

from modelcall.cli.output import result
from modelcall.config.schemas import schema_text

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_EXAMPLES = """\
\b
Examples:
  modelcall schema task > task.schema.json
  modelcall schema model

\b
Editors use it if a file begins with
  # yaml-language-server: $schema=task.schema.json"""


@app.command(epilog=_EXAMPLES)
def schema(kind: Annotated[str, typer.Argument(metavar="task|model|prompt", help="Kind of file.")]) -> None:
    """Print the JSON Schema of task, model or prompt files."""
    result([schema_text(kind).rstrip()])
