"""What ModelCall needs of a store: the interface, its capabilities, and the sink that publishes.

Paths are strings the store understands: absolute local paths, or URLs. All calls block; callers on an event loop
run them in threads. Storage errors leave as :class:`~modelcall.errors.ModelCallError` or as ``OSError`` of the fitting
kind (``FileNotFoundError``, ``PermissionError``, ``FileExistsError``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class FileStat:
    """A file as it was listed. ``etag`` differs whenever the content does."""

    path: str
    size: int
    """Bytes."""
    etag: str


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a store can promise. Stat folders and locks need ``put_if_absent``."""

    atomic: bool = False
    """A sink's ``commit`` makes the whole file visible at once."""
    put_if_absent: bool = False
    """Of several writers of one new name exactly one succeeds."""
    append: bool = False
    """Files can be appended to and synced (journals)."""


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

    def __enter__(self) -> Sink: ...

    def __exit__(self, *exc: object) -> None: ...


class FileSystem(ABC):
    """A store. The five abstract methods are enough to work; the others make it first-class."""

    capabilities = Capabilities()

    @abstractmethod
    def open(self, path: str, mode: str = "rb") -> BinaryIO:
        """Open for seekable reading (``rb``) or writing (``wb``)."""

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
        """Remove a file."""

    @abstractmethod
    def stat(self, path: str) -> FileStat:
        """Size and etag of a file.

        Raises:
            FileNotFoundError: No such file.
        """

    @abstractmethod
    def walk(self, folder: str) -> Iterator[FileStat]:
        """All files below a folder, any order. Names that begin with a dot or underscore are skipped, folders too."""

    @abstractmethod
    def sink(self, path: str, *, overwrite: bool = False) -> Sink:
        """Begin a file that appears under its name only at ``commit``."""

    @abstractmethod
    def put_if_absent(self, path: str, data: bytes) -> bool:
        """Write a small file whole if the name is free; False if somebody was first."""

    @abstractmethod
    def replace(self, path: str, data: bytes) -> None:
        """Write a small file whole, in place of what is there."""

    def read_bytes(self, path: str) -> bytes:
        """Return a small file's content.

        Raises:
            FileNotFoundError: No such file.
        """
        with self.open(path) as stream:
            return stream.read()
