"""What ModelCall needs of a store: the interface, its capabilities, and the sink that publishes.

Paths are strings the store understands: absolute local paths, or URLs. All calls block; callers on an event loop
run them in threads. Storage errors leave as :class:`~modelcall.errors.ModelCallError` or as ``OSError`` of the fitting
kind (``FileNotFoundError``, ``PermissionError``, ``FileExistsError``).

A store of one's own is a subclass with five methods::

    class MyFileSystem(FileSystem):
        def open(self, path, mode="rb"): ...
        def exists(self, path): ...
        def listdir(self, path): ...
        def makedirs(self, path): ...
        def remove(self, path): ...

The other methods then work through these, each with what it cannot promise in its docstring; overriding them, and
``capabilities``, makes the store first-class. :class:`modelcall.fs.contract.FileSystemContract` tests either.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Protocol, Self

from modelcall.fs.spooled import SpooledSink, copy_into, sampled_etag

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True)
class FileStat:
    """A file as it was listed. ``etag`` differs whenever the content does."""

    path: str
    size: int
    """Bytes."""
    etag: str

    @property
    def fingerprint(self) -> str:
        """Differs whenever the content does, as far as the store can tell."""
        return f"{self.size}-{self.etag}"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a store can promise. Stat folders and locks need ``put_if_absent``."""

    atomic: bool = False
    """A sink's ``commit`` makes the whole file visible at once."""
    put_if_absent: bool = False
    """Of several writers of one new name exactly one succeeds."""
    append: bool = False
    """Files can be appended to and synced (journals)."""
    calls_at_once: int = 1
    """So many calls are made side by side where there are many to make: a store far away answers late, not seldom."""
    content_etags: bool = False
    """An equal etag means equal bytes: the store draws it from the content, or anew at each write.

    Then nobody need read a file to know that it is still the same. A time of change, or samples, do not tell as much.
    """


def is_hidden(name: str) -> bool:
    """Whether a name, or a folder in it, begins with a dot or underscore, as side files and temporary ones do."""
    return any(part.startswith((".", "_")) for part in name.split("/"))


class Sink(Protocol):
    """A file in the making. Only :meth:`commit` publishes; leaving its block without it aborts."""

    def write(self, data: bytes | memoryview) -> int:
        """Add bytes."""

    def tell(self) -> int:
        """Bytes written."""

    def commit(self) -> None:
        """Make the file visible under its name, whole and durable.

        Raises:
            FileExistsError: The name exists and ``overwrite`` was not asked for.
        """

    def abort(self) -> None:
        """Leave no trace. Without effect after :meth:`commit`."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


class FileSystem(ABC):
    """A store. The five abstract methods are enough to work; the others make it first-class."""

    capabilities = Capabilities()

    @abstractmethod
    def open(self, path: str, mode: str = "rb") -> BinaryIO:
        """Open for seekable reading (``rb``) or writing (``wb``).

        Raises:
            FileNotFoundError: Nothing there to read.
            IsADirectoryError: A folder; ``FileNotFoundError`` will do.
        """

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Whether a file or folder has this name."""

    @abstractmethod
    def listdir(self, path: str) -> list[str]:
        """Names in a folder; folders end with a slash."""

    @abstractmethod
    def makedirs(self, path: str) -> None:
        """Make a folder and its parents; no error if it exists."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """Remove a file.

        Raises:
            FileNotFoundError: No such file.
        """

    def is_file(self, path: str) -> bool:
        """Whether a file has this name; what a folder of this name gives is left open.

        By default the same as :meth:`exists`.
        """
        return self.exists(path)

    def open_listed(self, listed: FileStat) -> BinaryIO:
        """Open for seekable reading what was listed.

        By default what stands there now: whoever must know compares. A store whose etags are of the content gives the
        listed bytes or an error, :class:`~modelcall.fs.errors.ReplacedError` if there are others now; the error may
        come with the first read.
        """
        return self.open(listed.path)

    def stat(self, path: str) -> FileStat:
        """Size and etag of a file.

        By default the file is opened, and the etag made of its size, its first and its last 64 KiB: changes of equal
        size in between go unnoticed.

        Raises:
            FileNotFoundError: No such file.
            IsADirectoryError: A folder; where folders are no things of their own, ``FileNotFoundError``.
        """
        with self.open(path) as stream:
            size, etag = sampled_etag(stream)
        return FileStat(path, size, etag)

    def walk(self, folder: str) -> Iterator[FileStat]:
        """All files below a folder, any order. Names that begin with a dot or underscore are skipped, folders too."""
        for name in sorted(self.listdir(folder)):
            path = f"{folder.rstrip('/')}/{name.rstrip('/')}"
            if is_hidden(name):
                continue
            if name.endswith("/"):
                yield from self.walk(path)
            else:
                yield self.stat(path)

    def sink(self, path: str, *, overwrite: bool = False) -> Sink:
        """Begin a file that appears under its name only at ``commit``; its folder is made if need be.

        By default the bytes wait on the local disk and are copied at ``commit``: not atomic, readers may see a part,
        and of two writers the second may win.
        """
        return SpooledSink(partial(copy_into, self, path, overwrite=overwrite))

    def put_if_absent(self, path: str, data: bytes) -> bool:
        """Write a small file whole if the name is free; False if somebody was first. Its folder is made if need be.

        By default looks, then writes: of two writers at the same time both may believe that they were first.
        """
        if self.exists(path):
            return False
        self.replace(path, data)
        return True

    def replace(self, path: str, data: bytes) -> None:
        """Write a small file whole, in place of what is there; its folder is made if need be.

        By default not atomic.
        """
        with self.sink(path, overwrite=True) as sink:
            sink.write(data)
            sink.commit()

    def sweep(self, folder: str, *, deep: bool) -> None:  # noqa: B027  a store that leaves nothing behind does nothing
        """Remove what writers that died left in a folder (``deep``: and below); what living ones are writing stays.

        What they finished is made as durable as if they had lived. A store that cannot tell the dead from the living
        leaves that to :meth:`evict`, and removes nothing here: other shards write beside us.
        """

    def evict(self, paths: Iterable[str]) -> None:  # noqa: B027  as above
        """Make every sink fail at its commit that was begun under one of these names before this call.

        How a successor keeps an owner that slept from publishing. A sink must exist before its owner is seen to be the
        owner still: then either this call finds the sink, or its commit came before, and what it published can be seen.
        It also clears away what killed writers of these names left: nobody but us may write them. What was left under
        names that nobody writes again stays; a rule of the bucket that ends incomplete uploads removes it.
        By default nothing happens: an owner that slept between its last look at the lock and the commit may publish.
        """

    def read_bytes(self, path: str) -> bytes:
        """Return a small file's content.

        Raises:
            FileNotFoundError: No such file.
        """
        with self.open(path) as stream:
            return stream.read()
