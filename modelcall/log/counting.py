"""Warnings of one cause: the first five of a minute, then a count."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from modelcall.log.catalogue import Message, Said

FIRST = 5
"""Records of one cause that a window lets through."""
WINDOW = 60.0
"""Seconds."""
_END = float("inf")


@dataclass(slots=True)
class _Window:
    since: float
    sample: logging.LogRecord
    seen: int = 0

    @property
    def held_back(self) -> int:
        return self.seen - FIRST


class Counter:
    """Lets records through or counts them. Knows the time from the records alone.

    Only warnings are counted: an error or a piece of news is said whenever it happens. Causes whose minute is over are
    summed up as soon as any record comes, so memory holds the causes of about one minute.
    """

    def __init__(self) -> None:
        self._windows: dict[str, _Window] = {}

    def admit(self, record: logging.LogRecord) -> list[logging.LogRecord]:
        """What to write now: counts of minutes that are over, and the record unless its cause had its share."""
        records = self._expired(record.created)
        if record.levelno != logging.WARNING:
            return [*records, record]
        window = self._windows.setdefault(_cause(record), _Window(record.created, record))
        window.seen += 1
        return [*records, record] if window.held_back <= 0 else records

    def drain(self) -> list[logging.LogRecord]:
        """The counts not yet written: at the end."""
        return self._expired(_END)

    def _expired(self, now: float) -> list[logging.LogRecord]:
        over = [cause for cause, window in self._windows.items() if now - window.since >= WINDOW]
        windows = [self._windows.pop(cause) for cause in over]
        return [_sum_up(window, now) for window in windows if window.held_back > 0]


def _cause(record: logging.LogRecord) -> str:
    return record.msg.cause if isinstance(record.msg, Said) else f"{record.name}:{record.msg}"


def _sum_up(window: _Window, now: float) -> logging.LogRecord:
    first = window.sample
    sample = first.msg if isinstance(first.msg, Said) else first.getMessage()
    said = Said(Message.REPEATED, {"count": window.held_back, "sample": sample})
    record = logging.LogRecord(first.name, logging.WARNING, first.pathname, first.lineno, said, None, None)
    if now != _END:
        record.created = now
    return record
