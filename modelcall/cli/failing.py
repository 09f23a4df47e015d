"""From an error to an exit code and lines on stderr, the last of which says what to do next.

====  ==========================================================================================
0     every row scored
1     internal error
2     usage or configuration: nothing was started
3     finished, but rows or files failed
4     stopped before the end, resumable
130   interrupted (SIGINT), resumable; 143 by SIGTERM, 129 by SIGHUP
====  ==========================================================================================
"""

from __future__ import annotations

import sys
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from modelcall.cli.output import flush_or_drop, message, shown
from modelcall.errors import ConfigError, FatalError, ModelCallError
from modelcall.fs.errors import stopping, way_out
from modelcall.log import LOGGER, LogSettings, Message, Said, log_path, setup
from modelcall.redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable

OK, CRASH, USAGE, FAILED_ROWS, STOPPED, INTERRUPTED = 0, 1, 2, 3, 4, 130
_MISTAKES_SHOWN = 40
SAME_COMMAND = "progress is kept; start again with the same command to go on"

log_in_use: ContextVar[LogSettings | None] = ContextVar("log_in_use", default=None)
"""Where the running command logs, for errors that end it."""


def exit_code_of(command: Callable[[], int | None]) -> int:
    """Run a command to its exit code; whatever it raises becomes lines on stderr."""
    log_in_use.set(None)
    try:
        return command() or OK
    except ConfigError as error:
        return _config_error(error)
    except FatalError as error:
        return _stopped(error)
    except typer.TyperException as error:
        return _usage_error(error)
    except OSError as error:
        return (
            _crash(error) if way_out(error, writing=False) is None else _stopped(stopping(error, "the storage fails"))
        )
    except Exception as error:  # noqa: BLE001  the command line's boundary: one line for the user, the rest in the log
        return _crash(error)


def _config_error(error: ConfigError) -> int:
    _keep(error)
    told = [mistake for mistake in error.mistakes if mistake.message not in error.message]
    message(f"error: {_text(error.message)}", *(f"  {_text(mistake)}" for mistake in told[:_MISTAKES_SHOWN]))
    if len(told) > _MISTAKES_SHOWN:
        message(f"  … and {len(told) - _MISTAKES_SHOWN:,} more")
    message(f"next: {_text(error.hint or 'correct it and start again; nothing was started')}")
    return USAGE


def _stopped(error: FatalError) -> int:
    _keep(error)
    first, *more = error.message.split("\n")
    message(f"stopped: {_text(first)}", *(f"  {_text(line.strip())}" for line in more))
    message(f"next: {_text(error.hint or SAME_COMMAND)}")
    return STOPPED


def _usage_error(error: typer.TyperException) -> int:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "modelcall"
    message(f"error: {_text(error.format_message())}", f"next: see {command} --help")
    return USAGE


def _crash(error: Exception) -> int:
    settings = log_in_use.get() or LogSettings(
        file=log_path(Path("logs"), task="modelcall_crash", started=datetime.now().astimezone())
    )
    kept = _keep(error, settings)
    summary = f"{type(error).__name__}: {error}" if not isinstance(error, ModelCallError) else error.message
    message(f"internal error: {_text(summary)}")
    place = f"the traceback is in {shown(settings.file)}" if kept else "the log could not be written"
    message(f"next: {place}; {SAME_COMMAND}, and report it if it comes back")
    return CRASH


def _keep(error: Exception, settings: LogSettings | None = None) -> bool:
    """Write an error into the log file alone; the screen gets it from the caller."""
    settings = settings or log_in_use.get()
    if settings is None or settings.file is None:
        return False
    with suppress(OSError), setup(replace(settings, terminal=False)):
        if isinstance(error, ModelCallError):
            for text in (error.message, *getattr(error, "mistakes", ())):
                LOGGER.error(Said(Message.ERROR, {"text": str(text)}))
        else:
            LOGGER.error(Said(Message.CRASH, {"error": f"{type(error).__name__}: {error}"}), exc_info=error)
        return True
    return False


def _text(value: object) -> str:
    settings = log_in_use.get()
    return shown(redact(str(value), settings.secrets if settings else ()))


def interrupted() -> typer.Exit:
    """Say that Ctrl-C came before there was a run that could be stopped; return what ends the command."""
    message("interrupted", "next: start again with the same command")
    return typer.Exit(INTERRUPTED)


def usage_error(text: str, *, hint: str = "see --help") -> ConfigError:
    """Return the error of options that do not go together."""
    return ConfigError(text, hint=hint)


def leave(code: int) -> None:
    """End the process with an exit code, and quietly even if nobody reads what was printed."""
    for stream in (sys.stdout, sys.stderr):
        flush_or_drop(stream)
    sys.exit(code)
