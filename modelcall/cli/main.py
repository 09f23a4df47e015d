"""The entry point. A command's module is imported when it runs or its own help is asked for, and not before."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command

from modelcall import __version__
from modelcall.cli.failing import USAGE, exit_code_of, interrupted, leave
from modelcall.cli.output import open_missing_streams

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COMMANDS: Final[Mapping[str, str]] = {
    "run-task": "Run a task: one YAML file says what is read, asked and written.",
    "pipeline": "Score one file or folder into another; without a model, by the built-in quality rules.",
    "api-call": "Score a folder with a model and a prompt, without a task file.",
    "preprocess": "Turn raw files into clean Parquet files of one form, on all cores.",
    "validate": "Show all mistakes of a task file at once; starts nothing.",
    "start": "Run a task in the background: it survives your logout; says how to watch and stop it.",
    "status": "Show what runs, how far it is, how fast, what it costs and what fails.",
    "ctl": "Pause, resume or drain a run, or change its concurrency, while it goes on.",
    "stop": "End running tasks gracefully; started again they go on.",
    "clean": "Forget runs that have ended; logs and output stay.",
    "logs": "Show logs, batches, final statistics and scores of tasks.",
    "create-task": "Write a task file from a template, to be filled in.",
    "results": "Show the answers of a run as they are, while it goes on or after it.",
    "report": "Write a report on a run: one HTML file to look at and to send around.",
    "verify": "Read again what a run wrote, and prove that every row is there once.",
    "schema": "Print the JSON Schema of task, model or prompt files, for editors.",
    "serve-mock": "Serve an OpenAI-compatible judge on this machine, with faults if you like.",
    "serve-mock-tos": "Serve a TOS on this machine, that the real SDK talks to, with faults if you like.",
    "demo": "See it work here: real input, faults, a kill, the resume, the result. No key, no network.",
}
"""The commands and what they are for; ``run-task`` lives in the module ``run_task``."""

_EXAMPLES: Final = """\
\b
Examples:
  modelcall demo
  modelcall run-task configs/tasks/github_code_rating.yaml
  modelcall pipeline in.parquet out.parquet
  modelcall run-task --help"""


class LazyCommands(TyperGroup):
    """The commands of the table; only the one that is needed is imported."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401  Typer's own attributes, passed on
        super().__init__(**attributes)
        names: dict[str, Any] = dict.fromkeys(COMMANDS)  # for suggestions
        self.commands = names

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # Typer's own context
        """All names, in the table's order."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]  # noqa: ANN401
        """Import one command; None if there is none of this name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"modelcall.cli.{cmd_name.replace('-', '_')}")
        return get_command(module.app)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # noqa: ANN401  the command's exit code
        """Run the command; Ctrl-C while no run heeds signals ends it."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise interrupted() from None

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]  # noqa: ANN401
        """List the commands from the table."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _with_hyphens(name: str) -> str:
    """Options are found in both spellings: ``--job_index`` and ``--job-index``."""
    return name.replace("_", "-")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"modelcall {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=LazyCommands,
    add_completion=False,
    rich_markup_mode=None,
    invoke_without_command=True,
    epilog=_EXAMPLES,
    context_settings={"token_normalize_func": _with_hyphens, "help_option_names": ["-h", "--help"]},
)


@app.callback()
def _modelcall(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001  its callback does it
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Put an LLM judge over a corpus: every row in, every row out, with a validated score or a reason."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(USAGE)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line to its exit code."""
    command: Any = get_command(app)
    return exit_code_of(lambda: command.main(args=arguments, prog_name="modelcall", standalone_mode=False))


def main() -> None:
    """Run the command line of this process."""
    open_missing_streams()
    leave(run())
