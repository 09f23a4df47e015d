"""The journal: every outcome of the files that are not published yet.

One file of frames for each input file and owner, ``<file key>.<epoch>.log``, in a private folder of the shard. Only the
owner of that epoch appends. Where worker processes record for it, each has its own, ``<file key>.<epoch>.<worker>-<part
of the file>.log``: who takes the place of one that died reads what that one wrote, and appends nothing to it. A later
owner reads what stood there at its takeover and writes to its own file, so a
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
from typing import TYPE_CHECKING, Final, Protocol

from modelcall.errors import FatalError
from modelcall.fs.append import AppendFile, make_private_folder
from modelcall.fs.errors import storage_failure
from modelcall.fs.local_sink import LocalSink, sync_folder
from modelcall.state import outcomes
from modelcall.state.file_journal import FileJournal
from modelcall.state.frames import frame
from modelcall.state.segments import (
    PUBLISHED,
    Segment,
    Writer,
    believed,
    earlier_segments,
    file_key,
    is_bare,
    journal_header,
    journal_name,
    published_header,
    segments_of,
    since_published,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
    from concurrent.futures import Executor

    from modelcall.types import Outcome

FLUSH_SECONDS = 0.1
SYNC_SECONDS = 1.0
_WHOLE: Final = 99_999
"""Part of a file that all parts are put together as; it has no records of its own."""
LOOK_SECONDS = 1.0
"""Between looks whether a copy is due."""


@dataclass(frozen=True, slots=True)
class Base:
    """A published output whose outcomes its journal is to begin with."""

    checksum: str
    """As the manifest has it."""
    outcomes: Callable[[], Iterable[tuple[int, Outcome]]]
    """Reads them back, by row index."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that records for the owner of a shard."""

    number: int
    """From 1; no other one of this owner ever had it."""
    earlier: Mapping[str, list[Segment]]
    """What the owner found of the owners before it, by file key."""


class Sends(Protocol):
    """Where copies of the journal go: :class:`~modelcall.state.copies.Copies`, or who hands them on to it."""

    def add(self, name: str, data: bytes) -> None:
        """Take over what was written to a journal file, to be sent."""

    @property
    def is_due(self) -> bool:
        """Whether there is enough to send, or it has waited long enough."""

    def send(self) -> None:
        """Store what waits. Blocking."""

    def retire(self, keys: Collection[str]) -> None:
        """Forget what waits of published files, by their keys. Blocking."""


class ShardJournal:
    """All journals of one shard, and the task that writes them."""

    def __init__(
        self,
        folder: str,
        *,
        epoch: int,
        identity: str,
        retry_since: int = 0,
        copies: Sends | None = None,
        worker: Worker | None = None,
    ) -> None:
        self.folder = folder
        self._worker = worker
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

    def prepare(self) -> None:
        """Make the folder, and fix how much of every earlier owner's journal counts. Blocking.

        What counts is to be synced like our own: its owner may have been killed before it came to that. A worker is
        told what its owner found, which syncs it.
        """
        make_private_folder(self.folder)
        if self._worker is not None:
            self._earlier = dict(self._worker.earlier)
            return
        self._earlier = earlier_segments(self.folder, before=self._epoch)
        self._inherited = _logs(self._earlier)

    def open(
        self,
        file: str,
        *,
        fingerprint: str,
        content: str = "",
        base: Base | None = None,
        retry: bool = True,
        part: int | None = 0,
    ) -> FileJournal:
        """Return the journal of an input file, with what earlier owners recorded of this very content. Blocking.

        With a ``base``, with what has been recorded since that was published, on top of it. Unless ``retry``, failures
        from before a retry count, too. Of a ``part`` of the file, with what other workers recorded of it before they
        died; None: of all parts, which are done: its outcomes are read, and which rows have one is not asked.
        """
        key = file_key(file)
        header = journal_header(file, fingerprint=fingerprint, content=content, run=self._identity)
        known = [*self._earlier.get(key, []), *self._of_other_workers(key, part)]
        earlier = [believed(segment, header, file) for segment in known]
        since = since_published(earlier, base.checksum) if base else earlier
        leftovers = earlier[: len(earlier) - len(since)]
        if base is not None and (not since or is_bare(since[0])):
            published = str(Path(self.folder) / f"{key}.{self._epoch:06d}{PUBLISHED}")
            first = since[0] if since else Segment(published, 0, self._epoch)
            since = [self._read_back(first, header, base), *since[1:]]
        writer = None if self._worker is None else Writer(self._worker.number, part if part is not None else _WHOLE)
        journal = FileJournal(
            str(Path(self.folder) / journal_name(key, self._epoch, writer)),
            header=header,
            earlier=since,
            content=content,
            leftovers=leftovers,
            retry_since=self._retry_since if retry else 0,
            copies=self._copies,
        )
        if part is not None:
            journal.load()
        with self._opening:
            self._open[journal.path] = journal
        return journal

    def _of_other_workers(self, key: str, part: int | None) -> list[Segment]:
        """Return what other workers wrote, and see to it that it is synced: they may have been killed before that."""
        if self._worker is None:
            return []
        found = [
            segment
            for segment in segments_of(self.folder, key, epoch=self._epoch)
            if part is None
            or segment.writer is None
            or (segment.writer.part == part and segment.writer.worker != self._worker.number)
        ]
        with self._opening:
            self._inherited += [AppendFile(segment.path) for segment in found]
        return found

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

    def close_file(self, journal: FileJournal) -> None:
        """Forget a file's journal; what it holds must have been flushed."""
        with self._opening:
            self._open.pop(journal.path, None)

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
            with self._opening:
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
            await _to_its_end(self._copier, self._copies.send)

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
            await self._blocking(self._writer, lambda: None)  # behind a write that nobody waits for
            await self._sync()
            await self._send()
        finally:
            for thread in (self._writer, self._syncer, self._copier):
                await asyncio.to_thread(thread.shutdown)
        self._raise()  # what was under way when the background ended


def synced_earlier(folder: str, *, before: int) -> dict[str, list[Segment]]:
    """Return what the owners before an epoch wrote, by file key, synced, for the workers of that one. Blocking.

    Raises:
        OSError: The disk refused.
    """
    earlier = earlier_segments(folder, before=before)
    _sync_all(_logs(earlier), folder)
    return earlier


def _logs(segments: Mapping[str, list[Segment]]) -> list[AppendFile]:
    return [AppendFile(segment.path) for some in segments.values() for segment in some]


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


def _sync_all(unsynced: Iterable[FileJournal | AppendFile], folder: str) -> None:
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
