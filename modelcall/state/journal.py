"""The journal: every outcome of the files that are not published yet.

One file of frames for each input file and owner, ``<file key>.<epoch>.log``, in a private folder of the shard. Only the
owner of that epoch appends. A later owner reads what stood there at its takeover and writes to its own file, so a
process that wakes after it was replaced harms nobody.

Outcomes are handed over at once, written every 100 ms and synced every second, both off the event loop and each in its
own thread: a slow sync holds no write back. What was written survives ``kill -9``; what was synced, a power loss. A
failed write or sync is fatal and never repeated.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from modelcall.errors import FatalError
from modelcall.fs.append import AppendFile, make_private_folder
from modelcall.fs.local_sink import sync_folder
from modelcall.state import outcomes
from modelcall.state.frames import Damage, frame, parse, read_frames
from modelcall.state.merge import in_order

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator
    from concurrent.futures import Executor

    from modelcall.types import Outcome

FLUSH_SECONDS = 0.1
SYNC_SECONDS = 1.0
_HEADER_KEY = 0


def file_key(name: str) -> str:
    """Return the name under which a file's journals are kept: safe on every disk, whatever the input is called."""
    return hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()


class RowSet:
    """A set of row indexes at one bit each."""

    __slots__ = ("_bits", "count")

    def __init__(self) -> None:
        self._bits = bytearray()
        self.count = 0

    def add(self, row: int) -> bool:
        """Add a row; False if it was there."""
        byte, bit = row >> 3, 1 << (row & 7)
        if byte >= len(self._bits):
            self._bits.extend(bytes(byte + 1 - len(self._bits) + (len(self._bits) >> 3)))
        if self._bits[byte] & bit:
            return False
        self._bits[byte] |= bit
        self.count += 1
        return True

    def __contains__(self, row: int) -> bool:
        """Whether a row is in the set."""
        byte = row >> 3
        return byte < len(self._bits) and bool(self._bits[byte] & (1 << (row & 7)))


@dataclass(frozen=True, slots=True)
class _Segment:
    """What one owner wrote about one file."""

    path: str
    size: int
    """So many bytes are believed; 0 if it was killed during its first write."""


class FileJournal:
    """The recorded outcomes of one input file."""

    def __init__(self, path: str, *, header: bytes, earlier: list[_Segment]) -> None:
        self._log = AppendFile(path)
        self._header: bytes | None = header
        self._earlier = earlier
        self._buffer: list[bytes] = []
        self._written = 0
        self.unsynced = False
        self.recorded = RowSet()
        self.damage = Damage()

    def load(self) -> None:
        """Learn which rows earlier owners recorded. Blocking."""
        for segment in self._earlier:
            for row, _ in _records(segment, self.damage):
                self.recorded.add(row)

    def record(self, row: int, outcome: Outcome) -> None:
        """Take a row's outcome over; it is written within 100 ms. A second outcome of a row is left out."""
        if self.recorded.add(row):
            self._buffer.append(frame(row, outcomes.encode(outcome)))

    @property
    def path(self) -> str:
        """The file this owner writes to."""
        return self._log.path

    @property
    def dirty(self) -> bool:
        """Whether there is anything to write."""
        return bool(self._buffer)

    def take(self) -> list[bytes]:
        """Return what must be written, and forget it. On the event loop, where :meth:`record` is called."""
        buffer, self._buffer = self._buffer, []
        return buffer

    def write(self, buffer: list[bytes]) -> None:
        """Write what :meth:`take` returned. Blocking; one caller at a time."""
        data = b"".join(buffer)
        if self._header is not None:
            data, self._header = self._header + data, None
        self._log.append(data)
        self._written += len(data)
        self.unsynced = True

    def sync(self) -> None:
        """Make what was written survive a power loss. Blocking."""
        if self.unsynced:
            self.unsynced = False
            with suppress(FileNotFoundError):  # retired meanwhile
                self._log.sync()

    def outcomes(self, spill_folder: str) -> Iterator[tuple[int, Outcome]]:
        """Yield each recorded row once, by row index; the first recorded outcome counts. Bounded memory. Blocking."""
        segments = [*self._earlier, _Segment(self._log.path, self._written)]
        frames = (record for segment in segments for record in _records(segment, Damage()))
        for row, payload in in_order(frames, spill_folder):
            yield row, outcomes.decode(payload)

    def retire(self) -> None:
        """Remove the journal of a file that is published whole. Blocking."""
        for segment in self._earlier:
            Path(segment.path).unlink(missing_ok=True)
        self._log.remove()


def _write_all(dirty: list[tuple[FileJournal, list[bytes]]]) -> None:
    for journal, buffer in dirty:
        journal.write(buffer)


def _sync_all(unsynced: list[FileJournal], folder: str) -> None:
    for journal in unsynced:
        journal.sync()
    sync_folder(folder)


def _records(segment: _Segment, damage: Damage) -> Iterator[tuple[int, bytes]]:
    with suppress(FileNotFoundError), Path(segment.path).open("rb") as stream:
        stream.readline()  # the header was checked when the journal was opened
        yield from read_frames(stream, size=segment.size - stream.tell(), damage=damage)


def retire_published(folder: str, files: Iterable[str]) -> None:
    """Remove journals that a process killed right after publishing left. Blocking."""
    keys = {file_key(name) for name in files}
    if Path(folder).is_dir():
        for path in list(Path(folder).iterdir()):
            if path.name.partition(".")[0] in keys:
                path.unlink(missing_ok=True)


class ShardJournal:
    """All journals of one shard, and the task that writes them."""

    def __init__(self, folder: str, *, epoch: int, identity: str) -> None:
        self.folder = folder
        self._epoch = epoch
        self._identity = identity
        self._open: dict[str, FileJournal] = {}
        self._earlier: dict[str, list[_Segment]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._writing, self._syncing = asyncio.Lock(), asyncio.Lock()
        self._writer = ThreadPoolExecutor(1, "modelcall-journal")
        self._syncer = ThreadPoolExecutor(1, "modelcall-journal-sync")
        self.failure: FatalError | None = None

    def prepare(self) -> None:
        """Make the folder, and fix how much of every earlier owner's journal counts. Blocking."""
        make_private_folder(self.folder)
        for entry in sorted(os.scandir(self.folder), key=lambda entry: entry.name):
            key, _, rest = entry.name.partition(".")
            epoch = rest.removesuffix(".log")
            if rest.endswith(".log") and epoch.isdigit() and int(epoch) < self._epoch:
                self._earlier.setdefault(key, []).append(_Segment(entry.path, entry.stat().st_size))

    def open(self, file: str, *, fingerprint: str) -> FileJournal:
        """Return the journal of an input file, with what earlier owners recorded of this very content. Blocking."""
        key = file_key(file)
        head = {"journal": 1, "file": file, "input": fingerprint, "run": self._identity}
        expected = orjson.dumps(head)
        earlier = [_believed(segment, expected, file) for segment in self._earlier.get(key, [])]
        path = str(Path(self.folder) / f"{key}.{self._epoch:06d}.log")
        journal = FileJournal(path, header=frame(_HEADER_KEY, expected), earlier=earlier)
        journal.load()
        self._open[key] = journal
        return journal

    def close_file(self, file: str) -> None:
        """Forget a file's journal; what it holds must have been flushed."""
        self._open.pop(file_key(file), None)

    async def flush(self) -> None:
        """Write everything recorded so far.

        Raises:
            FatalError: The disk refused; progress so far is kept.
        """
        async with self._writing:
            self._raise()
            dirty = [(journal, journal.take()) for journal in self._open.values() if journal.dirty]
            if dirty:
                await self._blocking(self._writer, partial(_write_all, dirty))

    async def _sync(self) -> None:
        async with self._syncing:
            self._raise()
            unsynced = [journal for journal in self._open.values() if journal.unsynced]
            if unsynced:
                await self._blocking(self._syncer, partial(_sync_all, unsynced, self.folder))

    async def _blocking(self, thread: Executor, work: Callable[[], object]) -> None:
        """Do what is done even if nobody waits for it any more: what was taken must be written, a failure be known."""
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(thread, self._guarded, work))

    def _guarded(self, work: Callable[[], object]) -> None:
        self._raise()
        try:
            work()
        except OSError as error:
            message = f"the journal in {self.folder} cannot be written: {error.strerror or error}"
            self.failure = FatalError(
                message, hint="Free space or repair the disk, then start again: nothing recorded is lost."
            )
            raise self.failure from error

    def _raise(self) -> None:
        if self.failure is not None:
            raise self.failure

    def start(self, on_failure: Callable[[BaseException], None]) -> None:
        """Begin writing in the background; ``on_failure`` is called with what went wrong."""
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(_repeat(self.flush, FLUSH_SECONDS, on_failure)),
            loop.create_task(_repeat(self._sync, SYNC_SECONDS - FLUSH_SECONDS, on_failure)),
        ]

    async def close(self) -> None:
        """Stop writing in the background, then write and sync what is left.

        Raises:
            FatalError: The disk refused, now or before.
        """
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await self.flush()
            await self._sync()
        finally:
            for thread in (self._writer, self._syncer):
                await asyncio.to_thread(thread.shutdown)
        self._raise()  # what was under way when the background ended


async def _repeat(
    work: Callable[[], Awaitable[None]], seconds: float, on_failure: Callable[[BaseException], None]
) -> None:
    try:
        while True:
            await asyncio.sleep(seconds)
            await work()
    except FatalError as error:
        on_failure(error)


def _believed(segment: _Segment, expected: bytes, file: str) -> _Segment:
    """Return what an earlier owner wrote, if it is about this very content of the file."""
    with Path(segment.path).open("rb") as stream:
        line = stream.readline()
    header = parse(line)
    if header is None:
        if segment.size <= len(line):
            return replace(segment, size=0)  # nothing was recorded
        message = f"{segment.path}: the journal of {file} is damaged at its start"
        raise FatalError(message, hint="Start over with --fresh, or restore the file.")
    if header[1] != expected:
        message = f"{segment.path}: this journal belongs to another input or run than {file} has now"
        raise FatalError(message, hint="Start over with --fresh.")
    return segment
