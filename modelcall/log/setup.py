"""Opening and closing the log of a run."""

from __future__ import annotations

import locale
import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from modelcall.log.counting import Counter
from modelcall.log.sink import CountingHandler, LineFormatter, TerminalHandler, open_file
from modelcall.log.speaking import LOGGER

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path
    from types import TracebackType

    from modelcall.log.catalogue import Language


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How to log. A plain value: worker processes get it as it is and append to the same file."""

    file: Path | None = None
    """The main log file, see :func:`log_path`; None: the terminal only."""
    level: str = "INFO"
    """``DEBUG``, ``INFO``, ``WARNING`` or ``ERROR``: of the file and of the terminal."""
    language: Language | None = None
    """None: Chinese if the locale is, else English."""
    terminal: bool = True
    """Whether to write to stderr."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Masked wherever they would appear, beside what has the shape of a credential."""


class OpenLog:
    """The log while it is open; a context manager."""

    def __init__(self, handler: logging.Handler) -> None:
        self._handler = handler

    def close(self) -> None:
        """Write the counts of repeated warnings and give the logger back as it was. Safe to call twice."""
        LOGGER.removeHandler(self._handler)
        self._handler.close()
        LOGGER.propagate = True
        LOGGER.setLevel(logging.NOTSET)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def setup(settings: LogSettings) -> OpenLog:
    """Send the logger ``modelcall`` to its file and to stderr, never to stdout.

    Raises:
        OSError: The file cannot be opened.
    """
    language = settings.language or locale_language()
    sinks: list[logging.Handler] = []
    if settings.file is not None:
        sinks.append(open_file(settings.file))
        sinks[-1].setFormatter(LineFormatter(language=language, secrets=settings.secrets, tracebacks=True))
    if settings.terminal:
        sinks.append(TerminalHandler())
        sinks[-1].setFormatter(LineFormatter(language=language, secrets=settings.secrets, tracebacks=False))
    handler = CountingHandler(Counter(), sinks)
    LOGGER.addHandler(handler)
    LOGGER.setLevel(settings.level)
    LOGGER.propagate = False
    return OpenLog(handler)


def locale_language() -> Language:
    """The language of the messages by the locale of the process."""
    try:
        name = locale.getlocale()[0] or ""
    except ValueError:  # a locale that Python does not know
        name = ""
    return "zh" if name.lower().startswith(("zh", "chinese")) else "en"


def log_path(folder: Path, *, task: str, started: datetime, job_index: int | None = None) -> Path:
    """``{task}_{YYYYmmdd_HHMMSS}.log``, for a shard ``…_job000.log``; ``started`` is local time."""
    return folder / f"{file_stem(task)}_{started:%Y%m%d_%H%M%S}{job_suffix(job_index)}.log"


def file_stem(task: str) -> str:
    """A task's name as the beginning of a file name."""
    return re.sub(r"[^\w.-]+", "_", task).lstrip(".") or "task"


def job_suffix(job_index: int | None) -> str:
    """``_job003``; nothing if the task has one shard."""
    return "" if job_index is None else f"_job{job_index:03d}"
