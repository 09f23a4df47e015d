"""Where records become lines: the file and the terminal."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from modelcall.log.catalogue import Language, Said
from modelcall.log.inert import capped, inert
from modelcall.redact import redact

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from modelcall.log.counting import Counter

LINE_CHARS = 2000
"""Longest message; what is cut off is counted."""
TRACEBACK_CHARS = 16_000


class LineFormatter(logging.Formatter):
    """``2024-12-01 14:30:22 | INFO | message``, always one line, with no secret and nothing that acts.

    Args:
        language: Of the catalogue's messages.
        secrets: Texts to mask wherever they stand.
        tracebacks: Whether the traceback of an exception follows its message, its line breaks escaped.
    """

    def __init__(self, *, language: Language, secrets: Sequence[str], tracebacks: bool) -> None:
        super().__init__(datefmt="%Y-%m-%d %H:%M:%S")
        self._language: Language = language
        self._secrets = tuple(secrets)
        self._tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        """One line, without its end."""
        said = record.msg
        message = said.text(self._language) if isinstance(said, Said) else record.getMessage()
        line = f"{self.formatTime(record, self.datefmt)} | {record.levelname} | {self._clean(message, LINE_CHARS)}"
        if self._tracebacks and record.exc_info and record.exc_info[0]:
            line += f" | {self._clean(self.formatException(record.exc_info), TRACEBACK_CHARS)}"
        return line

    def _clean(self, text: str, chars: int) -> str:
        # Masked before it is cut, so that no half of a secret is left; a monster is cut before that, well beyond the
        # length that is shown, to keep the masking cheap.
        return capped(inert(redact(text[: 8 * chars], self._secrets)), chars)


class TerminalHandler(logging.StreamHandler[TextIO]):
    """Writes to whatever ``sys.stderr`` is at the time: live bars put themselves in its place."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # StreamHandler keeps the stream it was made with
        """The standard error of now."""
        return sys.stderr

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  named by the standard library
        """A terminal that went away harms nothing; the file has the record."""


class LogFile(logging.FileHandler):
    """Appends to a file. One that cannot be written is reported once, and harms nothing."""

    _reported = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802  named by the standard library
        """Say on stderr what is wrong, the first time."""
        if not self._reported:
            self._reported = True
            sys.stderr.write(f"The log file {inert(self.baseFilename)} cannot be written: {sys.exc_info()[1]}\n")

    def close(self) -> None:
        """Close the file; what a full disk did not take has been reported."""
        with suppress(OSError):
            super().close()


class CountingHandler(logging.Handler):
    """Passes records on to the sinks, repeated warnings as counts."""

    def __init__(self, counter: Counter, sinks: Sequence[logging.Handler]) -> None:
        super().__init__()
        self._counter = counter
        self._sinks = sinks

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, or count it."""
        self._pass_on(self._counter.admit(record))

    def close(self) -> None:
        """Write the counts that are left, and close the sinks."""
        self._pass_on(self._counter.drain())
        for sink in self._sinks:
            sink.close()
        super().close()

    def _pass_on(self, records: Sequence[logging.LogRecord]) -> None:
        for record in records:
            for sink in self._sinks:
                sink.handle(record)


def open_file(path: Path) -> LogFile:
    """Append to a log file that only its owner may read; rows stand in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
    return LogFile(path, encoding="utf-8", errors="backslashreplace")
