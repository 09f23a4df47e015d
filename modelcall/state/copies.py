"""Copies of the journal in a store, for the day its machine is lost.

Beside the local journal, which is written first, what is recorded goes up in numbered objects that are never changed
(:mod:`modelcall.state.copy_objects`). A journal whose beginning is not among the copies was published before, and is
left alone.

Whoever takes a shard over closes the numbers of the owners before: where the next copy would come, it puts an empty
object. An owner that slept meanwhile can store nothing more, and since what a file is made of is stored before the file
is published, nothing that only that owner knows can ever be published.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple

from modelcall.errors import FatalError
from modelcall.fs.errors import stopping
from modelcall.state.copied import Copied, Restored
from modelcall.state.copy_objects import CLOSED, CopyObjects, head, pieces_of
from modelcall.state.lock import taken_over
from modelcall.state.segments import key_of

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
        self._objects = CopyObjects(fs, folder)
        self._epoch = epoch
        self._local = local
        self._clock = clock
        self._next = 1
        self._pending: dict[str, list[bytes]] = {}
        self._begun: dict[str, int] = {}
        """How much of each journal file was added."""
        self._bytes = 0
        self._failure: FatalError | None = None
        self._since = 0.0
        self._adding, self._storing = threading.Lock(), threading.Lock()
        self._copied = Copied()
        self._bases: dict[int, int] = {}
        """The first copy of each owner that still matters; 1, if nothing is told."""

    def add(self, name: str, data: bytes) -> None:
        """Take over what was written to a journal file, to be sent."""
        with self._adding:
            if not self._pending:
                self._since = self._clock()
            begin = self._begun.get(name, 0)
            self._pending.setdefault(name, []).append(head(name, begin, len(data)) + data)
            self._begun[name] = begin + len(data)
            self._bytes += len(data)

    @property
    def is_due(self) -> bool:
        """Whether there is enough to send, or it has waited long enough."""
        waited = self._clock() - self._since
        return bool(self._pending) and (self._bytes >= COPY_BYTES or waited >= COPY_SECONDS)

    def catch_up(self, journal: Path) -> None:
        """Take over what was written to a journal file and was not added, by a process that has ended. Blocking."""
        with journal.open("rb") as stream:
            stream.seek(self._begun.get(journal.name, 0))
            if data := stream.read():
                self.add(journal.name, data)

    def send(self) -> None:
        """Store what waits. Blocking. After a failure nothing is sent any more: what was taken is not there.

        Raises:
            FatalError: Another process has taken over, stored something under our number, or the store refused; now, or
                before.
        """
        if self._failure is not None:
            raise self._failure
        try:
            self._send()
        except FatalError as error:
            self._failure = error
            raise
        except OSError as error:
            self._failure = stopping(error, "the journal cannot be copied")
            raise self._failure from error

    def _send(self) -> None:
        with self._storing:
            with self._adding:
                pieces, sizes = self._pending, {name: self._begun[name] for name in self._pending}
                self._pending, self._bytes = {}, 0
            if not pieces:
                return
            data = b"".join(piece for some in pieces.values() for piece in some)
            if not self._objects.put(self._epoch, self._next, data):
                raise self._refused()
            self._copied.add(self._epoch, self._next, sizes)
            self._next += 1
            self._copied.note(self._local)

    def _refused(self) -> FatalError:
        path = self._objects.path(self._epoch, self._next)
        if self._objects.read(self._epoch, self._next) == CLOSED:
            return taken_over(path)
        message = f"{path}: another process wrote this under our name"
        return FatalError(message, hint="Start again; nothing recorded is lost.")

    def retire(self, keys: Collection[str]) -> None:
        """Forget what waits of published files, by their keys, and remove copies that hold nothing else. Blocking."""
        with self._storing:
            with self._adding:
                for name in [name for name in self._pending if key_of(name) in keys]:
                    self._bytes -= sum(map(len, self._pending.pop(name)))
            if self._copied.forget(keys):
                self._remove_useless()

    def _remove_useless(self) -> None:
        """Remove the first copies of each owner, as far as they hold nothing that is not published."""
        gone = {epoch: useless for epoch in self._copied.epochs() if (useless := self._copied.useless(epoch))}
        self._bases |= {epoch: numbers[-1] + 1 for epoch, numbers in gone.items()}
        if gone:
            self._objects.tell_bases(self._epoch, self._bases)
        for epoch, numbers in gone.items():
            for number in numbers:
                self._objects.remove(epoch, number)
                self._copied.drop(epoch, number)
        self._copied.note(self._local)

    def restore(self) -> None:
        """Bring what earlier owners stored into the local journal folder, where it is not there already. Blocking.

        Nothing more can be stored by them from now on.

        Raises:
            FatalError: A copy is damaged.
            OSError: The store, or the disk, refused.
        """
        self._copied = Copied.noted(self._local)
        with ThreadPoolExecutor(_AT_ONCE, "modelcall-copies") as pool:
            for span in self._fetch_all(pool):
                self._close(span, pool)
                self._remove_before(span.epoch)
        self._remove_useless()

    def fetch(self) -> None:
        """Do so, and change nothing in the store. Blocking; errors as above."""
        with ThreadPoolExecutor(_AT_ONCE, "modelcall-copies") as pool:
            self._fetch_all(pool)

    def _fetch_all(self, pool: ThreadPoolExecutor) -> list[_Span]:
        self._look(pool)
        return [self._fetch(_Span(epoch, self._copied.last(epoch) + 1), pool) for epoch in range(1, self._epoch)]

    def _look(self, pool: ThreadPoolExecutor) -> None:
        """Learn what has been removed by now."""
        for told in pool.map(self._objects.bases, range(1, self._epoch)):
            self._bases |= {epoch: max(first, self._base(epoch)) for epoch, first in told.items()}
        for epoch, first in self._bases.items():
            self._copied.drop_before(epoch, first)

    def _base(self, epoch: int) -> int:
        return self._bases.get(epoch, 1)

    def _fetch(self, span: _Span, pool: ThreadPoolExecutor) -> _Span:
        """Take in the copies from a number on; return what is behind the last.

        Somebody may be removing the first of them meanwhile, if he lives: then we have not seen the last.
        """
        while True:
            span = span._replace(first=max(span.first, self._base(span.epoch)))
            with Restored(self._local) as restored:
                for number, data in self._stored(span, pool):
                    if data:
                        self._take(span.epoch, number, data, restored)
                if data == CLOSED:
                    return _Span(span.epoch, number, closed=True)
                self._look(pool)
                if self._base(span.epoch) <= number:
                    return _Span(span.epoch, number)
                restored.forget()

    def _take(self, epoch: int, number: int, data: bytes, restored: Restored) -> None:
        sizes: dict[str, int] = {}
        for piece in pieces_of(data, self._objects.path(epoch, number)):
            if restored.add(piece.name, piece.begin, piece.data):
                sizes[piece.name] = piece.begin + len(piece.data)
        self._copied.add(epoch, number, sizes)

    def _stored(self, span: _Span, pool: ThreadPoolExecutor) -> Iterator[tuple[int, bytes | None]]:
        """Yield copies, and at last the first number at which there is none, with what is there instead."""
        numbers = count(span.first)
        at_once = 1  # most owners have nothing more
        while True:
            some = [next(numbers) for _ in range(at_once)]
            read = pool.map(lambda number: self._objects.read(span.epoch, number), some)
            for number, data in zip(some, read, strict=True):
                yield number, data
                if not data:
                    return
            at_once = min(2 * at_once, _AT_ONCE)

    def _close(self, span: _Span, pool: ThreadPoolExecutor) -> None:
        """Take the number that an owner would use next, so that it can store nothing any more."""
        while not span.closed and not self._objects.put(span.epoch, span.first, CLOSED):
            span = self._fetch(span, pool)  # it was quicker

    def _remove_before(self, epoch: int) -> None:
        """Remove what was left by an owner that died between telling the base and removing."""
        for number in range(self._base(epoch) - 1, 0, -1):
            if not self._objects.remove(epoch, number):
                break


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
    first: int
    closed: bool = False
    """Whether no more can come."""
