"""The objects that hold copies of a journal, and what is written in them.

``<folder>/<epoch>/<number>.copy``, each created by put-if-absent. A copy holds pieces of journal files, each behind a
line that names the file, where in it the piece begins, and how long it is. Nothing is ever listed: numbers have no
gaps, so a reader ends at the first that is not there, or is closed. ``<folder>/<epoch>/base.json`` tells what that
owner knew of itself and those before it: the first number of each that still matters, those before it have been
removed. The largest that anybody tells counts, so an owner that slept and was replaced takes nothing back.
"""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from modelcall.errors import FatalError
from modelcall.state import records
from modelcall.state.frames import frame, parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelcall.fs.base import FileSystem

CLOSED: Final = b""
"""What stands where an owner that was replaced would have stored its next copy."""
_SUFFIX: Final = ".copy"


class CopyObjects:
    """The copies of all owners of a shard, by epoch and number. All calls block."""

    def __init__(self, fs: FileSystem, folder: str) -> None:
        self._fs = fs
        self._folder = folder

    def read(self, epoch: int, number: int) -> bytes | None:
        """Return a copy, or None if there is none."""
        try:
            return self._fs.read_bytes(self.path(epoch, number))
        except FileNotFoundError:
            return None

    def put(self, epoch: int, number: int, data: bytes) -> bool:
        """Store a copy; False if the number is taken."""
        return self._fs.put_if_absent(self.path(epoch, number), data)

    def remove(self, epoch: int, number: int) -> bool:
        """Remove a copy; whether there was one."""
        with suppress(FileNotFoundError):
            self._fs.remove(self.path(epoch, number))
            return True
        return False

    def bases(self, epoch: int) -> dict[int, int]:
        """Return what an owner told: by epoch, the first copy that still matters."""
        told = records.load(self._fs, self._base(epoch))
        return {} if told is None else {int(owner): first for owner, first in told["first"].items()}

    def tell_bases(self, epoch: int, bases: Mapping[int, int]) -> None:
        """Tell, as the owner of an epoch, which copies matter no more."""
        self._fs.replace(self._base(epoch), records.dump({"first": {str(owner): bases[owner] for owner in bases}}))

    def path(self, epoch: int, number: int) -> str:
        """Return where a copy stands."""
        return f"{self._folder}/{epoch:06d}/{number:08d}{_SUFFIX}"

    def _base(self, epoch: int) -> str:
        return f"{self._folder}/{epoch:06d}/base.json"


def holds_copies(fs: FileSystem, folder: str) -> bool:
    """Whether there is any copy that holds something, as listings tell. Blocking."""
    return fs.exists(folder) and any(stat.size and stat.path.endswith(_SUFFIX) for stat in fs.walk(folder))


class Piece(NamedTuple):
    """A part of a journal file."""

    name: str
    begin: int
    data: bytes


def head(name: str, begin: int, size: int) -> bytes:
    """Return the line that stands before a piece."""
    return frame(size, orjson.dumps({"journal": name, "begin": begin}))


def pieces_of(data: bytes, path: str) -> Iterator[Piece]:
    """Yield the pieces in a copy.

    Raises:
        FatalError: It is damaged.
    """
    stream = BytesIO(data)
    while line := stream.readline():
        head = parse(line)
        piece = stream.read(head[0]) if head else b""
        if head is None or len(piece) != head[0]:
            raise FatalError(f"{path}: damaged", hint="Restore the object, or start over with --fresh.")
        facts = orjson.loads(head[1])
        yield Piece(facts["journal"], facts["begin"], piece)
