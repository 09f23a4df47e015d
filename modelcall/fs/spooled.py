"""Sinks and etags for stores that can only open files: built on reading and writing whole files."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

_COPY_BYTES = 1 << 20


class Store(Protocol):
    """What copying needs of a store."""

    def open(self, path: str, mode: str = "rb") -> BinaryIO:
        """Open for reading or writing."""

    def exists(self, path: str) -> bool:
        """Whether the name is taken."""

    def makedirs(self, path: str) -> None:
        """Make a folder and its parents."""

    def remove(self, path: str) -> None:
        """Remove a file."""


class SpooledSink:
    """Holds a file on the local disk and delivers it to the store at ``commit``: no more atomic than ``deliver`` is.

    Args:
        deliver: Brings a local file, by its path, to where it belongs. Raises ``FileExistsError`` where that is taken.
    """

    def __init__(self, deliver: Callable[[str], None]) -> None:
        self._deliver = deliver
        self._spool = tempfile.NamedTemporaryFile(prefix="modelcall-")  # noqa: SIM115  closed by abort

    def write(self, data: bytes | memoryview) -> int:
        """Add bytes."""
        return self._spool.write(data)

    def tell(self) -> int:
        """Bytes written."""
        return self._spool.tell()

    def commit(self) -> None:
        """Deliver the file.

        Raises:
            FileExistsError: The name exists and ``overwrite`` was not asked for.
        """
        self._spool.flush()
        self._deliver(self._spool.name)
        self.abort()

    def abort(self) -> None:
        """Let the held bytes go; nothing of them is in the store before ``commit``."""
        self._spool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.abort()


def copy_into(store: Store, path: str, spooled: str, *, overwrite: bool) -> None:
    """Copy a local file into a store that can only open files; what a failed copy leaves there is removed.

    Raises:
        FileExistsError: The name exists and ``overwrite`` was not asked for.
    """
    if not overwrite and store.exists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
    store.makedirs(path.rpartition("/")[0] or "/")
    try:
        with Path(spooled).open("rb") as source, store.open(path, "wb") as target:
            shutil.copyfileobj(source, target, _COPY_BYTES)
    except BaseException:
        with suppress(OSError):
            store.remove(path)
        raise


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
