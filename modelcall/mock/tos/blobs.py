"""Bytes on the disk. A blob is written once; it is deleted when no version, part or reader has it any more."""

from __future__ import annotations

import contextlib
import itertools
import os
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from modelcall.mock.tos.checksum import Digests

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

PIECE: Final = 256 << 10


class Blob:
    """One file; its end of life is that of this object."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.delete = weakref.finalize(self, _unlink, str(path))
        """Do it now, if it is known that nobody has it."""


def _unlink(path: str) -> None:
    with contextlib.suppress(OSError):  # the whole root may be gone already
        os.unlink(path)  # noqa: PTH108  at the interpreter's end there is no pathlib


@dataclass(frozen=True, slots=True)
class Extent:
    """A stretch of a blob. Objects are made of these, so that joining parts and copying move no bytes."""

    blob: Blob
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Written:
    """A body that is on the disk."""

    extents: tuple[Extent, ...]
    size: int
    digests: Digests


class BlobWriter:
    """Takes a body in pieces; what is not finished leaves nothing behind."""

    def __init__(self, path: Path, *, sha256: bool = False) -> None:
        self._blob = Blob(path)
        self._file = path.open("xb")
        self._size = 0
        self._digests = Digests(sha256=sha256)

    def write(self, piece: bytes) -> None:
        """Append."""
        self._file.write(piece)
        self._digests.update(piece)
        self._size += len(piece)

    def finish(self) -> Written:
        """Return what was written."""
        self._file.close()
        extents = (Extent(self._blob, 0, self._size),) if self._size else ()
        return Written(extents, self._size, self._digests)

    def close(self) -> None:
        """Delete what was not finished, at once: a traceback may hold on to this writer."""
        if not self._file.closed:
            self._file.close()
            self._blob.delete()


class Blobs:
    """The folder of all blobs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = itertools.count(1)
        folder.mkdir(parents=True, exist_ok=True)

    def writer(self, *, sha256: bool = False) -> BlobWriter:
        """Return a writer for a new blob."""
        return BlobWriter(self.folder / f"{os.getpid()}-{next(self._numbers)}", sha256=sha256)


def cut(extents: Iterable[Extent], start: int, length: int) -> tuple[Extent, ...]:
    """Return the extents of a range of bytes."""
    found = []
    for extent in extents:
        skipped = min(start, extent.length)
        taken = min(extent.length - skipped, length)
        if taken:
            found.append(Extent(extent.blob, extent.start + skipped, taken))
        start, length = start - skipped, length - taken
    return tuple(found)


def pieces(extents: Iterable[Extent], size: int = PIECE) -> Iterator[bytes]:
    """Yield the bytes, at most ``size`` at a time."""
    for extent in extents:
        with extent.blob.path.open("rb", buffering=0) as file:
            file.seek(extent.start)
            left = extent.length
            while left:
                piece = file.read(min(size, left))
                if not piece:
                    raise EOFError(f"{extent.blob.path} ends {left} bytes early")
                left -= len(piece)
                yield piece
