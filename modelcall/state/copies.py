"""Copies of the journal in a store, for the day its machine is lost.

Beside the local journal, which is written first, what is recorded goes up in numbered objects that are never changed,
each created by put-if-absent: ``<folder>/<epoch>/<number>.copy``. A copy holds pieces of journal files, each behind a
line that names the file and the piece's length. Nothing is ever listed: numbers have no gaps, so a reader ends at the
first that is not there; ``base.json`` names the first that still matters, those before it have been removed.
"""

from __future__ import annotations

import os
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import orjson

from modelcall.errors import FatalError
from modelcall.fs.local_sink import sync_folder
from modelcall.state import records
from modelcall.state.frames import frame, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from modelcall.fs.base import FileSystem

COPY_SECONDS: Final = 8.0
"""Between a record and its copy, at most; a call of the store may add to it."""
COPY_BYTES: Final = 4 << 20
_AT_ONCE: Final = 16
"""Copies fetched at a time."""


class Copies:
    """The copies of one owner of a shard, and those of the owners before it.

    Args:
        fs: The store; it must be able to put if absent.
        folder: Of this shard.
        epoch: The owner's number.
    """

    def __init__(self, fs: FileSystem, folder: str, *, epoch: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._fs = fs
        self._folder = folder
        self._epoch = epoch
        self._clock = clock
        self._next = 1
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._since = 0.0
        self._names: set[str] = set()
        self._holds: dict[tuple[int, int], set[str]] = {}
        """What is still of use in each copy, by epoch and number: names of journal files."""

    def add(self, name: str, data: bytes) -> None:
        """Take over what was written to a journal file, to be sent."""
        if not self._pieces:
            self._since = self._clock()
        self._pieces += [_head(name, len(data)), data]
        self._bytes += len(data)
        self._names.add(name)

    @property
    def is_due(self) -> bool:
        """Whether there is enough to send, or it has waited long enough."""
        waited = self._clock() - self._since
        return bool(self._pieces) and (self._bytes >= COPY_BYTES or waited >= COPY_SECONDS)

    def take(self) -> tuple[bytes, set[str]] | None:
        """Return the next copy and forget its pieces; None if there is nothing."""
        if not self._pieces:
            return None
        data, names = b"".join(self._pieces), self._names
        self._pieces, self._bytes, self._names = [], 0, set()
        return data, names

    def send(self, data: bytes, names: set[str]) -> None:
        """Store a copy. Blocking; one at a time.

        Raises:
            FatalError: Another process stored one under our number.
            OSError: The store refused.
        """
        if not self._fs.put_if_absent(self._path(self._epoch, self._next), data):
            raise FatalError(
                f"{self._path(self._epoch, self._next)}: another process wrote this under our name",
                hint="Start again; nothing recorded is lost.",
            )
        self._holds[self._epoch, self._next] = set(names)
        self._next += 1

    def retire(self, names: set[str]) -> None:
        """Remove copies of which everything is published. Blocking."""
        for held in self._holds.values():
            held.difference_update(names)
        for epoch in {epoch for epoch, _ in self._holds}:
            self._advance(epoch)

    def _advance(self, epoch: int) -> None:
        ours = sorted(number for owner, number in self._holds if owner == epoch)
        gone = list(takewhile(lambda number: not self._holds[epoch, number], ours))
        if not gone:
            return
        self._fs.replace(self._base(epoch), records.dump({"first": gone[-1] + 1}))
        for number in gone:
            self._fs.remove(self._path(epoch, number))
            del self._holds[epoch, number]

    def restore(self, local: str) -> None:
        """Bring what earlier owners stored into the local journal folder, where it is not there already. Blocking.

        Raises:
            FatalError: A copy is damaged.
            OSError: The store, or the disk, refused.
        """
        for epoch in range(1, self._epoch):
            with _Restored(local) as restored:
                for number, data in self._stored(epoch):
                    held = self._holds[epoch, number] = set()
                    for name, piece in _pieces(data, self._path(epoch, number)):
                        restored.add(name, piece)
                        held.add(name)

    def _stored(self, epoch: int) -> Iterator[tuple[int, bytes]]:
        base = records.load(self._fs, self._base(epoch))
        numbers = count(base["first"] if base else 1)
        with ThreadPoolExecutor(_AT_ONCE, "modelcall-copies") as pool:
            while True:
                some = [next(numbers) for _ in range(_AT_ONCE)]
                for number, data in zip(some, pool.map(lambda number: self._read(epoch, number), some), strict=True):
                    if data is None:
                        return
                    yield number, data

    def _read(self, epoch: int, number: int) -> bytes | None:
        try:
            return self._fs.read_bytes(self._path(epoch, number))
        except FileNotFoundError:
            return None

    def _path(self, epoch: int, number: int) -> str:
        return f"{self._folder}/{epoch:06d}/{number:08d}.copy"

    def _base(self, epoch: int) -> str:
        return f"{self._folder}/{epoch:06d}/base.json"


class _Restored:
    """Journal files being put together; they take their names when all is there, and only where they hold more."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._mark = f".{secrets.token_hex(8)}.tmp"
        self._sizes: dict[str, int] = {}

    def add(self, name: str, piece: bytes) -> None:
        """Append a piece."""
        with (self._folder / f".{name}{self._mark}").open("ab") as stream:
            stream.write(piece)
        self._sizes[name] = self._sizes.get(name, 0) + len(piece)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for name, size in self._sizes.items():
            made, target = self._folder / f".{name}{self._mark}", self._folder / name
            known = target.stat().st_size if target.exists() else -1
            if kind is None and size > known:
                with made.open("rb") as stream:
                    os.fsync(stream.fileno())
                made.replace(target)
            else:
                made.unlink(missing_ok=True)
        sync_folder(str(self._folder))


def _head(name: str, size: int) -> bytes:
    return frame(size, orjson.dumps({"journal": name}))


def _pieces(data: bytes, path: str) -> Iterator[tuple[str, bytes]]:
    stream = BytesIO(data)
    while line := stream.readline():
        head = parse(line)
        piece = stream.read(head[0]) if head else b""
        if head is None or len(piece) != head[0]:
            raise FatalError(f"{path}: damaged", hint="Restore the object, or start over with --fresh.")
        yield orjson.loads(head[1])["journal"], piece
