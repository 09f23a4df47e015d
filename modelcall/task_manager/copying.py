"""Copies of the journals of many workers: all of them go to the store through their owner, under its number."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from modelcall.fs.errors import stopping
from modelcall.state.journal import LOOK_SECONDS
from modelcall.task_manager.crew_messages import CopyBytes, CopyDone, CopyRetire, CopySend

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from modelcall.engines.base import Channel
    from modelcall.state.copies import Copies


class CopiedByOwner:
    """A worker's end: hands everything on. A :class:`~modelcall.state.journal.Sends`."""

    is_due = False
    """The owner knows when."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._tickets = count(1)
        self._open: dict[int, Future[None]] = {}

    def add(self, name: str, data: bytes) -> None:
        """Hand it on."""
        self._channel.tell(CopyBytes(name, data))

    def send(self) -> None:
        """Wait until the owner has stored all that was handed on. Blocking."""
        ticket, stored = next(self._tickets), Future[None]()
        self._open[ticket] = stored
        self._channel.tell(CopySend(ticket))
        stored.result()

    def done(self, told: CopyDone) -> None:
        """The owner has, or cannot."""
        stored = self._open.pop(told.ticket)
        if told.error is None:
            stored.set_result(None)
        else:
            stored.set_exception(told.error)

    def retire(self, keys: Collection[str]) -> None:
        """Hand it on."""
        self._channel.tell(CopyRetire(frozenset(keys)))


class CopyDesk:
    """The owner's end.

    Args:
        copies: What goes to the store.
        journals: The local folder of all journals.
        fail: Ends the run.
    """

    def __init__(self, copies: Copies, journals: str, *, fail: Callable[[BaseException], None]) -> None:
        self._copies = copies
        self._journals = journals
        self._fail = fail
        self._thread = ThreadPoolExecutor(1, "modelcall-journal-copy")
        self._looking: asyncio.Task[None] | None = None

    def heed(self, message: object, tell: Callable[[object], None]) -> None:
        """Do what a worker asks for. Returns at once."""
        self._looking = self._looking or asyncio.get_running_loop().create_task(self._look())
        match message:
            case CopyBytes(name, data):
                self._copies.add(name, data)
            case CopySend(ticket):
                sent = self._in_thread(self._copies.send)
                sent.add_done_callback(lambda done: tell(CopyDone(ticket, _error(done))))
            case CopyRetire(keys):
                self._in_thread(lambda: self._copies.retire(keys)).add_done_callback(self._ended)

    def died(self, worker: int) -> None:
        """Take over what a worker wrote and could not hand on any more. Blocking, for a moment."""
        for journal in Path(self._journals).glob(f"*.{worker:04d}-*.log"):
            with suppress(FileNotFoundError):
                self._copies.catch_up(journal)

    async def close(self) -> None:
        """Store what is left.

        Raises:
            FatalError: The store refuses.
        """
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        try:
            await self._in_thread(self._copies.send)
        finally:
            await asyncio.to_thread(self._thread.shutdown)

    def _in_thread(self, work: Callable[[], None]) -> asyncio.Future[None]:
        return asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._copies.is_due:
                self._in_thread(self._copies.send).add_done_callback(self._ended)

    def _ended(self, done: asyncio.Future[None]) -> None:
        """Nobody waits for what was done: a failure ends the run."""
        error = _error(done)
        if error is not None:
            self._fail(stopping(error, "the journal's copies cannot be kept") if isinstance(error, OSError) else error)


def _error(done: asyncio.Future[None]) -> Exception | None:
    """Return what went wrong, which is seen by that."""
    error = None if done.cancelled() else done.exception()
    return error if isinstance(error, Exception) else None
