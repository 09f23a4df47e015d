"""Printing: results to stdout, everything else to stderr, and nothing that a text could do to a terminal."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING, Any, TextIO

import orjson

from modelcall.errors import FatalError
from modelcall.log.inert import capped, inert

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_LONGEST = 2000
FILES_SHOWN = 5
"""Of many files, as many are named."""


def shown(value: object, *, chars: int = _LONGEST) -> str:
    """Return a value as one line that does nothing: control and direction characters become escapes."""
    return capped(inert(str(value)), chars)


def shell_word(text: object) -> str:
    """Return a value as the last word of a command in a shell; one that begins with a dash is no option there."""
    quoted = shlex.quote(shown(text))
    return f"-- {quoted}" if str(text).startswith("-") else quoted


def result(lines: Iterable[str]) -> None:
    """Print what the command was asked for. A reader that has gone away is no error."""
    _print(sys.stdout, lines)


def result_json(value: Any) -> None:  # noqa: ANN401  any JSON value
    """Print one JSON document as the result."""
    result([orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode()])


def result_line(value: Any) -> None:  # noqa: ANN401  any JSON value
    """Print one of several JSON documents, on a line of its own."""
    result([orjson.dumps(value, default=str).decode()])


def message(*lines: str) -> None:
    """Print messages; they were made inert where they were put together."""
    _print(sys.stderr, lines)


def table(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Lay pairs out as lines, the left column as wide as its longest entry."""
    width = max((len(name) for name, _ in rows), default=0)
    return [f"{name:<{width}}  {value}".rstrip() for name, value in rows]


def counted(**counts: int) -> Iterator[str]:
    """Yield what there is how much of; ``done`` always."""
    return (f"{count:,} {name}" for name, count in counts.items() if count or name == "done")


def named(names: Sequence[str], what: str) -> str:
    """Say how many files are something, and name the first; nothing if there are none."""
    if not names:
        return ""
    some = ", ".join(map(shown, names[:FILES_SHOWN])) + (", …" if len(names) > FILES_SHOWN else "")
    return f"{len(names):,} file(s) {what}: {some}"


def open_missing_streams() -> None:
    """Open streams that were closed by whoever started us: else the next file would get their numbers."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))


def flush_or_drop(stream: TextIO) -> None:
    """Flush; what cannot be written is dropped, so that the interpreter's own flush at the end does not fail."""
    try:
        stream.flush()
    except OSError:
        _drop(stream)


def _print(stream: TextIO, lines: Iterable[str]) -> None:
    encoding = stream.encoding or "utf-8"
    try:
        stream.writelines(line.encode(encoding, "backslashreplace").decode(encoding) + "\n" for line in lines)
        stream.flush()
    except OSError as error:
        _drop(stream)
        if stream is sys.stdout and not isinstance(error, BrokenPipeError):
            raise FatalError(f"the result cannot be written to stdout: {error.strerror}") from error


def _drop(stream: TextIO) -> None:
    """Send what is still to come into the void, so that the interpreter's last flush finds nobody missing either."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
