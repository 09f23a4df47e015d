"""Any other URL, through fsspec: ``s3://``, ``gs://``, ``az://``, ``hf://``, ``memory://``. Ours is only how to commit.

What a store can promise depends on its implementation; of those not in the table nothing is assumed.

How to reach a store, and as whom, is told to the implementation in its own ways. For S3 and its imitations::

    AWS_ENDPOINT_URL=https://s3.example.com        or AWS_ENDPOINT_URL_S3; read by botocore
    AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…    and AWS_SESSION_TOKEN, AWS_DEFAULT_REGION, AWS_PROFILE
    ~/.aws/config                                  endpoint_url = … below [default] or a profile

and for any implementation, by the names of its constructor's arguments, what fsspec reads when it is imported::

    FSSPEC_S3_ENDPOINT_URL=https://s3.example.com  in general FSSPEC_<PROTOCOL>_<ARGUMENT>
    ~/.config/fsspec/conf.json                     {"s3": {"endpoint_url": "https://s3.example.com"}}

A writer that is killed may leave an S3 multipart upload that nobody sees, and that is paid for: give the bucket a
lifecycle rule that ends incomplete uploads (AbortIncompleteMultipartUpload). Nothing here removes them, and of an owner
that was replaced and wakes nothing is taken away: :meth:`FileSystem.evict` does nothing.

A file that is replaced while it is being read is not noticed by the reader; :meth:`RemoteFileSystem.stat` before and
after tells. In names, s3fs takes ``?versionId=`` and what follows for a version: this version does not support them.
"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

import fsspec

from modelcall.errors import ConfigError
from modelcall.fs.base import Capabilities, FileStat, FileSystem, is_hidden
from modelcall.fs.ranges import RangeReader
from modelcall.fs.spooled import SpooledSink
from modelcall.fs.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

THREADS: Final = 8
_OBJECTS: Final = Capabilities(atomic=True, put_if_absent=True, calls_at_once=THREADS, content_etags=True)
PROMISES: Final[Mapping[str, Capabilities]] = {
    "s3": _OBJECTS,
    "s3a": _OBJECTS,
    "gs": _OBJECTS,
    "gcs": _OBJECTS,
    "az": _OBJECTS,
    "abfs": _OBJECTS,
}
"""Stores that create a name only if it is free, by a condition of their own, show files whole, and give etags."""
ETAGS: Final = (
    *("ETag", "etag", "generation", "md5Hash", "content_md5", "blob_id", "checksum"),
    *("mtime", "LastModified", "last_modified", "updated", "created"),
)
"""Where implementations tell that a file has changed; the first that is there counts."""


class RemoteFileSystem(FileSystem):
    """One fsspec implementation.

    Raises:
        ConfigError: There is none for this protocol, or its package is not installed.
    """

    def __init__(self, protocol: str, options: Mapping[str, Any] | None = None) -> None:
        self._fs = _implementation(protocol, options or {})
        self._protocol = protocol
        self.capabilities = PROMISES.get(protocol, Capabilities())
        self._pool = Threads(THREADS, "modelcall-remote")

    def open(self, path: str, mode: str = "rb") -> BinaryIO:
        """Open for reading in ranges (``rb``), or for writing (``wb``), which is not atomic: see :meth:`sink`."""
        with _named(path):
            if mode != "rb":
                return cast("BinaryIO", self._fs.open(self._key(path), mode))
            ranges = partial(self._range, path)
            return cast("BinaryIO", RangeReader(ranges, size=self.stat(path).size, pool=self._pool))

    def _range(self, path: str, begin: int, end: int) -> bytes:
        with _named(path):
            return bytes(self._fs.cat_file(self._key(path), start=begin, end=end))

    def exists(self, path: str) -> bool:
        """Whether a file or folder has this name."""
        with _named(path):
            return bool(self._fs.exists(self._key(path)))

    def listdir(self, path: str) -> list[str]:
        """Names in a folder, sorted; folders end with a slash."""
        with _named(path):
            entries = self._fs.ls(self._key(path), detail=True)
        return sorted(_name(entry) + ("/" if entry["type"] == "directory" else "") for entry in entries)

    def makedirs(self, path: str) -> None:
        """Make a folder where the store has such things."""
        with _named(path):
            self._fs.makedirs(self._key(path), exist_ok=True)

    def remove(self, path: str) -> None:
        """Remove a file."""
        self.stat(path)
        with _named(path):
            self._fs.rm_file(self._key(path))

    def stat(self, path: str) -> FileStat:
        """Size, and an etag of what the store says of the file's version."""
        with _named(path):
            info = self._fs.info(self._key(path))
        if info["type"] != "file":
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        return FileStat(path, int(info["size"]), _etag(info))

    def walk(self, folder: str) -> Iterator[FileStat]:
        """All files below a folder, by name."""
        key = self._key(folder)
        with _named(folder):
            found = self._fs.find(key, detail=True)
        for name, info in sorted(found.items()):
            below = name.removeprefix(key.rstrip("/")).lstrip("/")
            if below and not is_hidden(below):
                yield FileStat(f"{folder.rstrip('/')}/{below}", int(info["size"]), _etag(info))

    def sink(self, path: str, *, overwrite: bool = False) -> SpooledSink:
        """Begin a file: it waits on the local disk and is sent at ``commit``."""
        return SpooledSink(partial(self._send, path, overwrite=overwrite))

    def _send(self, path: str, spooled: str, *, overwrite: bool) -> None:
        if not overwrite and self.exists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        self._make_parent(path)
        with _named(path):
            exclusive = not overwrite and self.capabilities.put_if_absent
            self._fs.put_file(spooled, self._key(path), mode="create" if exclusive else "overwrite")

    def put_if_absent(self, path: str, data: bytes) -> bool:
        """Write a small file if the name is free; of writers of the same bytes, more than one may succeed."""
        self._make_parent(path)
        with _named(path):
            try:
                self._fs.pipe_file(self._key(path), data, mode="create")
            except FileExistsError:
                # The store's client may have tried again after an answer was lost: then our own stands there.
                return bool(self._fs.cat_file(self._key(path)) == data)
        return True

    def replace(self, path: str, data: bytes) -> None:
        """Write a small file in place of what is there."""
        self._make_parent(path)
        with _named(path):
            self._fs.pipe_file(self._key(path), data)

    def _key(self, path: str) -> str:
        return str(self._fs._strip_protocol(path))  # noqa: SLF001  fsspec has no public name for it

    def _make_parent(self, path: str) -> None:
        """Make the folder of a file; stores that know buckets alone would make a bucket of the first name."""
        parent = self._key(path).rpartition("/")[0]
        if "/" in parent.strip("/"):
            with _named(path):
                self._fs.makedirs(parent, exist_ok=True)


def _implementation(protocol: str, options: Mapping[str, Any]) -> Any:  # noqa: ANN401  fsspec has no types
    try:
        return fsspec.filesystem(protocol, use_listings_cache=False, skip_instance_cache=True, **options)
    except ImportError as error:
        raise ConfigError(
            f"{protocol}:// needs a package that is not installed: {error}", hint=_install(error)
        ) from error
    except ValueError as error:
        raise ConfigError(f"there is no storage for {protocol}://: {error}") from error


def _install(error: ImportError) -> str:
    """Return what to do; the messages read ``Install s3fs to access S3``."""
    words = str(error).split()
    package = words[words.index("Install") + 1] if "Install" in words[:-1] else None
    return f"`pip install {package}`, or `uv pip install {package}`." if package else "Install it, then start again."


def _etag(info: Mapping[str, Any]) -> str:
    told = next((info[name] for name in ETAGS if info.get(name) is not None), info.get("size"))
    # Of one implementation, a listing may write the time that another call returns as such.
    return str(told.timestamp() if isinstance(told, datetime) else told).strip('"')


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry["name"]).rstrip("/").rpartition("/")[2]


@contextmanager
def _named(path: str) -> Iterator[None]:
    """Errors of any implementation leave as ``OSError`` with the path."""
    try:
        yield
    except Exception as error:
        said = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        raise OSError(_number(error), said or str(error), path) from error


_CODES: Final = {
    FileNotFoundError: errno.ENOENT,
    FileExistsError: errno.EEXIST,
    PermissionError: errno.EACCES,
    IsADirectoryError: errno.EISDIR,
    NotADirectoryError: errno.ENOTDIR,
    TimeoutError: errno.ETIMEDOUT,
    ConnectionError: errno.ECONNRESET,
    socket.gaierror: errno.EHOSTUNREACH,
}
"""Implementations raise these without a number; ``OSError`` with the number is of the same class again."""


def _number(error: Exception) -> int:
    """Return what kind of failure it is. ``EIO`` is what implementations call any other: the store's, not a disk's."""
    told = error.errno if isinstance(error, OSError) else None
    if told is not None and told > 0 and told != errno.EIO:
        return told
    return next((number for kind, number in _CODES.items() if isinstance(error, kind)), errno.EPROTO)
