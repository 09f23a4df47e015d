"""Signals: the first asks the run to stop, the second ends the process at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from modelcall.cli.output import message
from modelcall.log import Message, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelcall.task_manager.summary import Stop

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SHOW_CURSOR: Final = b"\x1b[?25h"


@contextmanager
def heeded(stop: Stop, *, task: str, grace_seconds: float) -> Iterator[None]:
    """Turn signals into the wish to stop, while this block runs in an event loop.

    A signal that was ignored when the process started (by ``nohup``, by a shell's ``&``) stays ignored.
    """
    loop = asyncio.get_running_loop()
    heard = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]

    def hear(number: int) -> None:
        if stop.signal is not None:
            _leave_at_once(number)
        say(Message.TASK_INTERRUPTED, task=task, signal=signal.Signals(number).name)
        message(f"stopping: rows in flight get {grace_seconds:g} s to end; once more to stop at once")
        stop.request(number)

    for number in heard:
        loop.add_signal_handler(number, hear, number)
    try:
        yield
    finally:
        for number in heard:
            loop.remove_signal_handler(number)


def _leave_at_once(number: int) -> None:
    """End without any farewell; what is recorded is on disk already."""
    if sys.stderr.isatty():
        os.write(2, _SHOW_CURSOR)
    os._exit(128 + number)
