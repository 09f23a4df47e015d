"""The journal: every outcome of the files that are not published yet.

One file of frames for each input file and owner, ``<file key>.<epoch>.log``, in a private folder of the shard. Only the
owner of that epoch appends. A later owner reads what stood there at its takeover and writes to its own file, so a
process that wakes after it was replaced harms nobody.

Outcomes are handed over at once, written every 100 ms and synced every second, both off the event loop and each in its
own thread: a slow sync holds no write back. What was written survives ``kill -9``; what was synced, a power loss; what
was copied to a store, the loss of the machine (:mod:`modelcall.state.copies`; only where the stat folder is in one). A
failed write or sync is fatal and never repeated.

A published file whose failed rows are asked again has a journal once more. It begins with the outcomes of its output,
read back into ``<file key>.<epoch>.published.log``, which appears whole and names the checksum of that output: as long
as the manifest names the same, it stands for the output, and journals before it are leftovers. Copies have its first
line alone: the output itself is a copy of the rest, and is read back again on another machine.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from modelcall.errors import FatalError
from modelcall.fs.append import AppendFile, make_private_folder
from modelcall.fs.errors import stopping, storage_failure
from modelcall.fs.local_sink import LocalSink, sync_folder
from modelcall.state import outcomes
from modelcall.state.file_journal import FileJournal
from modelcall.state.frames import frame
from modelcall.state.segments import (
    PUBLISHED,
    Segment,
    believed,
    earlier_segments,
    file_key,
    is_bare,
    journal_header,
    published_header,
    since_published,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from concurrent.futures import Executor

    from modelcall.state.copies import Copies
    from modelcall.types import Outcome

FLUSH_SECONDS = 0.1
SYNC_SECONDS = 1.0
LOOK_SECONDS = 1.0
"""Between looks whether a copy is due."""


@dataclass(frozen=True, slots=True)
class Base:
    """A published output whose outcomes its journal is to begin with."""

    checksum: str
    """As the manifest has it."""
    outcomes: Callable[[], Iterable[tuple[int, Outcome]]]
    """Reads them back, by row index."""


class ShardJournal:
    """All journals of one shard, and the task that writes them."""

    def __init__(
        self, folder: str, *, epoch: int, identity: str, retry_since: int = 0, copies: Copies | None = None
    ) -> None:
        self.folder = folder
        self._copies = copies
        self._epoch = epoch
        self._retry_since = retry_since
        self._identity = identity
        self._open: dict[str, FileJournal] = {}
        self._opening = threading.Lock()
        self._earlier: dict[str, list[Segment]] = {}
        self._inherited: list[AppendFile] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._writing, self._syncing = asyncio.Lock(), asyncio.Lock()
        self._writer = ThreadPoolExecutor(1, "modelcall-journal")
        self._syncer = ThreadPoolExecutor(1, "modelcall-journal-sync")
        self._copier = ThreadPoolExecutor(1, "modelcall-journal-copy")
        self.failure: FatalError | None = None
        self._not_copied: FatalError | None = None

    def prepare(self) -> None:
        """Make the folder, and fix how much of every earlier owner's journal counts. Blocking.

        What counts is to be synced like our own: its owner may have been killed before it came to that.
        """
        make_private_folder(self.folder)
        self._earlier = earlier_segments(self.folder, before=self._epoch)
        self._inherited = [AppendFile(segment.path) for some in self._earlier.values() for segment in some]

    def open(
        self, file: str, *, fingerprint: str, content: str = "", base: Base | None = None, retry: bool = True
    ) -> FileJournal:
        """Return the journal of an input file, with what earlier owners recorded of this very content. Blocking.

        With a ``base``, with what has been recorded since that was published, on top of it. Unless ``retry``, failures
        from before a retry count, too.
        """
        key = file_key(file)
        header = journal_header(file, fingerprint=fingerprint, content=content, run=self._identity)
        earlier = [believed(segment, header, file) for segment in self._earlier.get(key, [])]
        since = since_published(earlier, base.checksum) if base else earlier
        leftovers = earlier[: len(earlier) - len(since)]
        stem = str(Path(self.folder) / f"{key}.{self._epoch:06d}")
        if base is not None and (not since or is_bare(since[0])):
            first = since[0] if since else Segment(f"{stem}{PUBLISHED}", 0, self._epoch)
            since = [self._read_back(first, header, base), *since[1:]]
        journal = FileJournal(
            f"{stem}.log",
            header=header,
            earlier=since,
            content=content,
            leftovers=leftovers,
            retry_since=self._retry_since if retry else 0,
            copies=self._copies,
        )
        journal.load()
        with self._opening:
            self._open[key] = journal
        return journal

    def _read_back(self, to: Segment, header: bytes, base: Base) -> Segment:
        first = frame(0, published_header(header, base.checksum))
        size = _read_back(to.path, first, base)
        if self._copies is not None and to.epoch == self._epoch:
            self._copies.add(Path(to.path).name, first)
        return replace(to, size=size, published=base.checksum)

    def _opened(self) -> list[FileJournal]:
        """Return the journals there are now: files are opened in threads, at any moment."""
        with self._opening:
            return list(self._open.values())

    def close_file(self, file: str) -> None:
        """Forget a file's journal; what it holds must have been flushed."""
        with self._opening:
            self._open.pop(file_key(file), None)

    async def flush(self) -> None:
        """Write everything recorded so far.

        Raises:
            FatalError: The disk refused; progress so far is kept.
        """
        async with self._writing:
            self._raise()
            dirty = [(journal, journal.take()) for journal in self._opened() if journal.dirty]
            if dirty:
                await self._blocking(self._writer, partial(_write_all, dirty))

    async def _sync(self) -> None:
        async with self._syncing:
            self._raise()
            unsynced = [journal for journal in self._opened() if journal.unsynced]
            inherited, self._inherited = self._inherited, []
            if unsynced or inherited:
                await self._blocking(self._syncer, partial(_sync_all, [*unsynced, *inherited], self.folder))

    async def secure(self) -> None:
        """Make everything recorded so far outlive power and machine, so that what is made of it can be made again.

        Raises:
            FatalError: The disk, or the store, refused; progress so far is kept.
        """
        await self.flush()
        await self._sync()
        await self._send()

    async def _copy(self) -> None:
        if self._copies is not None and self._copies.is_due:
            await self._send()

    async def _send(self) -> None:
        if self._copies is not None:
            await _to_its_end(self._copier, partial(self._copied, self._copies))

    def _copied(self, copies: Copies) -> None:
        """Send copies. A failure is kept apart: what is still answered can be written here."""
        if self._not_copied is not None:
            raise self._not_copied
        try:
            copies.send()
        except FatalError as error:
            self._not_copied = error
            raise
        except OSError as error:
            self._not_copied = stopping(error, "the journal cannot be copied")
            raise self._not_copied from error

    async def _blocking(self, thread: Executor, work: Callable[[], object]) -> None:
        await _to_its_end(thread, partial(self._guarded, work))

    def _guarded(self, work: Callable[[], object]) -> None:
        self._raise()
        try:
            work()
        except OSError as error:
            where = error.filename or self.folder
            self.failure = FatalError(
                f"the journal cannot be written: {where}: {error.strerror or error}",
                hint="Free space or repair the storage, then start again: nothing recorded is lost.",
            )
            raise self.failure from error

    def _raise(self) -> None:
        if self.failure is not None:
            raise self.failure

    def start(self, on_failure: Callable[[BaseException], None]) -> None:
        """Begin writing in the background; ``on_failure`` is called with what went wrong."""
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(_repeat(self.flush, FLUSH_SECONDS)),
            loop.create_task(_repeat(self._sync, SYNC_SECONDS - FLUSH_SECONDS)),
            loop.create_task(_repeat(self._copy, LOOK_SECONDS)),
        ]
        for task in self._tasks:
            task.add_done_callback(partial(_tell_failure, on_failure))

    async def close(self) -> None:
        """Stop writing in the background, then write and sync what is left.

        Raises:
            FatalError: The disk, or the store, refused, now or before.
        """
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await self.flush()
            await self._sync()
            await self._send()
        finally:
            for thread in (self._writer, self._syncer, self._copier):
                await asyncio.to_thread(thread.shutdown)
        self._raise()  # what was under way when the background ended


async def _to_its_end(thread: Executor, work: Callable[[], object]) -> None:
    """Do what is done even if nobody waits for it any more: what was taken must be written, a failure be known."""
    await asyncio.shield(asyncio.get_running_loop().run_in_executor(thread, work))


def _read_back(path: str, first: bytes, base: Base) -> int:
    """Read the outcomes of an output back into a journal that appears whole; return its bytes.

    Raises:
        FatalError: The disk refused.
        FileFailure: The output is not what was published.
    """
    try:
        with LocalSink(path, overwrite=True, mode=0o600) as sink:
            sink.write(first)
            for row, outcome in base.outcomes():
                sink.write(frame(row, outcomes.encode(outcome)))
            size = sink.tell()
            sink.commit()
    except OSError as error:
        raise storage_failure(error, writing=True) from error
    return size


def _write_all(dirty: list[tuple[FileJournal, list[bytes]]]) -> None:
    for journal, buffer in dirty:
        journal.write(buffer)


def _sync_all(unsynced: list[FileJournal | AppendFile], folder: str) -> None:
    for journal in unsynced:
        with suppress(FileNotFoundError):  # retired meanwhile
            journal.sync()
    sync_folder(folder)


async def _repeat(work: Callable[[], Awaitable[None]], seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        await work()


def _tell_failure(on_failure: Callable[[BaseException], None], task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        on_failure(error)
