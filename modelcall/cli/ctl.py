"""``modelcall ctl``: pause, resume, drain a run, or change its concurrency, while it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelcall.cli.failing import OK, STOPPED, usage_error
from modelcall.cli.options import Json, one_of
from modelcall.cli.output import message, result, result_json, shown
from modelcall.cli.runs import name_of, some, state_of
from modelcall.cli.steering import CEILING, COMMANDS
from modelcall.config.yaml_loader import parse_value
from modelcall.observe.control import ControlError, ask

if TYPE_CHECKING:
    from modelcall.observe import Record

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_EXAMPLES = f"""\
\b
Examples:
  modelcall ctl github pause
  modelcall ctl github resume
  modelcall ctl github set {CEILING}=200
  modelcall ctl github drain

\b
pause   begins no request; those in flight end. The run stays, and keeps its lock.
resume  goes on.
set     changes {CEILING} from now on, up or down; the next start has the task's own again.
drain   begins no more rows and ends when those in flight have ended, however long they take: exit 4,
        or 0 and 3 if nothing was left. (modelcall stop, and SIGTERM, wait options.grace_seconds.)

\b
All running tasks that PATTERN means are told. Who asked for what is in their logs. The socket is private:
only the user that started a run, and root, may use it."""


@app.command(epilog=_EXAMPLES)
def ctl(
    pattern: Annotated[str, typer.Argument(metavar="PATTERN", help="Part of the names of the tasks that are meant.")],
    command: Annotated[str, typer.Argument(metavar="pause|resume|set|drain", help="What to do.")],
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]", help=f"For set: {CEILING}=N.", show_default=False)
    ] = None,
    *,
    as_json: Json = False,
) -> int:
    """Steer the running tasks that PATTERN means."""
    one_of(command, COMMANDS, option="ctl")
    arguments = _arguments(command, settings or [])
    matches = some(pattern)
    running = [record for record in matches if record.is_alive]
    if not running:
        states = "; ".join(f"{name_of(record)}: {state_of(record)}" for record in matches)
        raise usage_error(f"no task that {shown(pattern)!r} means is running ({states})", hint="see modelcall status")
    answers = [(record, *_ask(record, command, arguments)) for record in running]
    if as_json:
        result_json([{"task": r.status.identity.task, "ok": ok, "answer": said} for r, ok, said in answers])
    else:
        result(f"{name_of(record)}: {shown(said)}" for record, ok, said in answers if ok)
        message(*(f"{name_of(record)}: {shown(said)}" for record, ok, said in answers if not ok))
    return OK if all(ok for _, ok, _ in answers) else STOPPED


def _arguments(command: str, settings: list[str]) -> dict[str, Any]:
    if (command == "set") != bool(settings):
        raise usage_error(f"write: ctl PATTERN set {CEILING}=N" if command == "set" else f"{command} takes no settings")
    pairs = [text.partition("=") for text in settings]
    if any(not equals for _, equals, _ in pairs):
        raise usage_error(f"write: ctl PATTERN set {CEILING}=N")
    return {key.strip(): parse_value(value, shown=key) for key, _, value in pairs}


def _ask(record: Record, command: str, arguments: dict[str, Any]) -> tuple[bool, str]:
    if not record.is_here:
        return False, f"runs on {record.process.host}; steer it there"
    if not record.status.identity.control:
        return False, "has no control socket; its log says why"
    try:
        return True, str(ask(Path(record.status.identity.control), command, arguments)["done"])
    except ControlError as error:
        return False, error.message
