"""Sinks and etags for stores that can only open files: built on reading and writing whole files."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from typing import Self

_IN_MEMORY_BYTES = 8 << 20
_COPY_BYTES = 1 << 20


class Store(Protocol):
    """What spooling needs of a store."""

    def open(self, path: str, mode: str = "rb") -> BinaryIO:
        """Open for reading or writing."""

    def exists(self, path: str) -> bool:
        """Whether the name is taken."""

    def makedirs(self, path: str) -> None:
        """Make a folder and its parents."""

    def remove(self, path: str) -> None:
        """Remove a file."""


class SpooledSink:
    """Holds a file on the local disk and copies it to the store at ``commit``. Not atomic."""

    def __init__(self, store: Store, path: str, *, overwrite: bool) -> None:
        self._store = store
        self._path = path
        self._overwrite = overwrite
        self._spool = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115  closed by abort

    def write(self, data: bytes | memoryview) -> int:
        """Add bytes."""
        return self._spool.write(data)

    def tell(self) -> int:
        """Bytes written."""
        return self._spool.tell()

    def commit(self) -> None:
        """Copy the file to its name; what a failed copy leaves there is removed.

        Raises:
            FileExistsError: The name exists and ``overwrite`` was not asked for.
        """
        if not self._overwrite and self._store.exists(self._path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self._path)
        self._store.makedirs(self._path.rpartition("/")[0] or "/")
        self._spool.seek(0)
        try:
            with self._store.open(self._path, "wb") as target:
                shutil.copyfileobj(self._spool, target, _COPY_BYTES)
        except BaseException:
            with suppress(OSError):
                self._store.remove(self._path)
            raise
        self.abort()

    def abort(self) -> None:
        """Let the held bytes go; nothing of them is in the store before ``commit``."""
        self._spool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.abort()


def sampled_etag(stream: BinaryIO, *, blocks: int = 2, block_bytes: int = 64 << 10) -> tuple[int, str]:
    """Return size in bytes and an etag of a seekable stream, made of the size and of blocks spread evenly over it.

    The first block is at the start, the last at the end; with two of them nothing between is looked at. What is not
    longer than the blocks together is read whole.
    """
    size = stream.seek(0, os.SEEK_END)
    digest = hashlib.blake2b(str(size).encode(), digest_size=16)
    whole = size <= blocks * block_bytes
    spread = ((size - block_bytes) * number // (blocks - 1) for number in range(blocks))
    for start in range(0, size, block_bytes) if whole else spread:
        stream.seek(start)
        digest.update(stream.read(block_bytes))
    return size, digest.hexdigest()
