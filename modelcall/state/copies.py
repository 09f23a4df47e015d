"""Copies of the journal in a store, for the day its machine is lost.

Beside the local journal, which is written first, what is recorded goes up in numbered objects that are never changed,
each created by put-if-absent: ``<folder>/<epoch>/<number>.copy``. A copy holds pieces of journal files, each behind a
line that names the file, where in it the piece begins, and how long it is. Nothing is ever listed: numbers have no
gaps, so a reader ends at the first that is not there; ``base.json`` names the first that still matters, those before it
have been removed. A journal whose beginning is not among the copies was published before, and is left alone.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from io import BytesIO
from itertools import count, takewhile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from modelcall.errors import FatalError
from modelcall.state import records
from modelcall.state.copied import Copied, Restored
from modelcall.state.frames import frame, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from modelcall.fs.base import FileSystem
    from modelcall.state.place import WorkFolder

COPY_SECONDS: Final = 7.0
"""Between a record and its copy, at most; looking every second and a call of the store add to it."""
COPY_BYTES: Final = 4 << 20
_AT_ONCE: Final = 16
"""Objects asked for at a time."""


class Copies:
    """The copies of one owner of a shard, and those of the owners before it. Threads may share it.

    Args:
        fs: The store; it must be able to put if absent.
        folder: Of this shard.
        epoch: The owner's number.
        local: Folder of the local journal.
    """

    def __init__(
        self, fs: FileSystem, folder: str, *, epoch: int, local: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fs = fs
        self._folder = folder
        self._epoch = epoch
        self._local = local
        self._clock = clock
        self._next = 1
        self._pending: dict[str, list[bytes]] = {}
        self._begun: dict[str, int] = {}
        """How much of each journal file was added."""
        self._bytes = 0
        self._since = 0.0
        self._adding, self._storing = threading.Lock(), threading.Lock()
        self._copied = Copied()

    def add(self, name: str, data: bytes) -> None:
        """Take over what was written to a journal file, to be sent."""
        with self._adding:
            if not self._pending:
                self._since = self._clock()
            begin = self._begun.get(name, 0)
            self._pending.setdefault(name, []).append(_head(name, begin, len(data)) + data)
            self._begun[name] = begin + len(data)
            self._bytes += len(data)

    @property
    def is_due(self) -> bool:
        """Whether there is enough to send, or it has waited long enough."""
        waited = self._clock() - self._since
        return bool(self._pending) and (self._bytes >= COPY_BYTES or waited >= COPY_SECONDS)

    def send(self) -> None:
        """Store what waits. Blocking.

        Raises:
            FatalError: Another process stored something under our number.
            OSError: The store refused.
        """
        with self._storing:
            with self._adding:
                pieces, sizes = self._pending, {name: self._begun[name] for name in self._pending}
                self._pending, self._bytes = {}, 0
            if not pieces:
                return
            path = self._path(self._epoch, self._next)
            if not self._fs.put_if_absent(path, b"".join(piece for some in pieces.values() for piece in some)):
                message = f"{path}: another process wrote this under our name"
                raise FatalError(message, hint="Start again; nothing recorded is lost.")
            self._copied.add(self._epoch, self._next, sizes)
            self._next += 1
            self._copied.note(self._local)

    def retire(self, keys: Collection[str]) -> None:
        """Forget what waits of published files, by their keys, and remove copies that hold nothing else. Blocking."""
        with self._storing:
            with self._adding:
                for name in [name for name in self._pending if name.partition(".")[0] in keys]:
                    self._bytes -= sum(map(len, self._pending.pop(name)))
            if self._copied.forget(keys):
                for epoch in self._copied.epochs():
                    self._advance(epoch)
                self._copied.note(self._local)

    def _advance(self, epoch: int) -> None:
        gone = list(takewhile(lambda number: not self._copied.is_of_use(epoch, number), self._copied.numbers(epoch)))
        if not gone:
            return
        self._fs.replace(self._base(epoch), records.dump({"first": gone[-1] + 1}))
        for number in gone:
            self._remove(epoch, number)
            self._copied.drop(epoch, number)

    def _remove(self, epoch: int, number: int) -> bool:
        """Remove a copy; whether there was one."""
        with suppress(FileNotFoundError):
            self._fs.remove(self._path(epoch, number))
            return True
        return False

    def restore(self) -> None:
        """Bring what earlier owners stored into the local journal folder, where it is not there already. Blocking.

        Raises:
            FatalError: A copy is damaged.
            OSError: The store, or the disk, refused.
        """
        self._copied = Copied.noted(self._local)
        for span in self.fetch():
            # those before it were left by an owner that died between telling the base and removing them
            for number in range(span.base - 1, 0, -1):
                if not self._remove(span.epoch, number):
                    break
            self._advance(span.epoch)
        self._copied.note(self._local)

    def fetch(self) -> list[_Span]:
        """Do so, and change nothing in the store. Blocking; errors as above."""
        with ThreadPoolExecutor(_AT_ONCE, "modelcall-copies") as pool:
            spans = list(pool.map(self._span, range(1, self._epoch)))
            for span in spans:
                self._fetch(span, pool)
        return spans

    def _span(self, epoch: int) -> _Span:
        """Look what is there of an owner beyond what this machine is known to have."""
        base = records.load(self._fs, self._base(epoch))
        first = int(base["first"]) if base else 1
        self._copied.drop_before(epoch, first)
        known = self._copied.numbers(epoch)
        return _Span(epoch, first, max(first, known[-1] + 1 if known else 1))

    def _fetch(self, span: _Span, pool: ThreadPoolExecutor) -> None:
        with Restored(self._local) as restored:
            for number, data in self._stored(span, pool):
                sizes: dict[str, int] = {}
                for piece in _pieces(data, self._path(span.epoch, number)):
                    if restored.add(piece.name, piece.begin, piece.data):
                        sizes[piece.name] = piece.begin + len(piece.data)
                self._copied.add(span.epoch, number, sizes)

    def _stored(self, span: _Span, pool: ThreadPoolExecutor) -> Iterator[tuple[int, bytes]]:
        numbers = count(span.first)
        at_once = 1  # most owners have nothing more
        while True:
            some = [next(numbers) for _ in range(at_once)]
            for number, data in zip(some, pool.map(lambda number: self._read(span.epoch, number), some), strict=True):
                if data is None:
                    return
                yield number, data
            at_once = min(2 * at_once, _AT_ONCE)

    def _read(self, epoch: int, number: int) -> bytes | None:
        try:
            return self._fs.read_bytes(self._path(epoch, number))
        except FileNotFoundError:
            return None

    def _path(self, epoch: int, number: int) -> str:
        return f"{self._folder}/{epoch:06d}/{number:08d}.copy"

    def _base(self, epoch: int) -> str:
        return f"{self._folder}/{epoch:06d}/base.json"


@contextmanager
def journals_of(work: WorkFolder, *, epoch: int) -> Iterator[str]:
    """Have the journals of the owners before ``epoch`` in a local folder to be read: those of other machines, too.

    Raises:
        FatalError: A copy is damaged.
        OSError: The store, or the disk, refused.
    """
    if work.copies is None:
        yield work.journals
        return
    here = work.local if Path(work.local).is_dir() else None
    with TemporaryDirectory(prefix="results-", dir=here) as folder:
        for journal in Path(work.journals).glob("*.log"):
            with suppress(FileNotFoundError):  # retired meanwhile
                Path(folder, journal.name).hardlink_to(journal)
        Copies(work.fs, work.copies, epoch=epoch, local=folder).fetch()
        yield folder


class _Span(NamedTuple):
    """The copies of an owner from a number on."""

    epoch: int
    base: int
    """The first that matters."""
    first: int
    """The first that is not known here."""


class _Piece(NamedTuple):
    """A part of a journal file."""

    name: str
    begin: int
    data: bytes


def _head(name: str, begin: int, size: int) -> bytes:
    return frame(size, orjson.dumps({"journal": name, "begin": begin}))


def _pieces(data: bytes, path: str) -> Iterator[_Piece]:
    stream = BytesIO(data)
    while line := stream.readline():
        head = parse(line)
        piece = stream.read(head[0]) if head else b""
        if head is None or len(piece) != head[0]:
            raise FatalError(f"{path}: damaged", hint="Restore the object, or start over with --fresh.")
        facts = orjson.loads(head[1])
        yield _Piece(facts["journal"], facts["begin"], piece)
