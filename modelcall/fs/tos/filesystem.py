"""The store: :class:`~modelcall.fs.base.FileSystem` over TOS."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from os.path import commonprefix
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from modelcall.fs.base import Capabilities, FileStat, FileSystem, is_hidden
from modelcall.fs.ranges import RangeReader
from modelcall.fs.threads import Threads
from modelcall.fs.tos.client import BUDGET_SECONDS, TosCalls
from modelcall.fs.tos.places import Place, object_place, place
from modelcall.fs.tos.reading import fetch, fetch_whole
from modelcall.fs.tos.writing import TosSink, abort_upload, put

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from modelcall.types import TosAccess

THREADS: Final = 16
"""Requests of parts and ranges at a time, of all open objects together; and of whoever makes many calls, each."""


class TosFileSystem(FileSystem):
    """Objects in TOS under ``tos://bucket/key``. Folders are what keys have before a slash.

    A forked child may use it, with connections and threads of its own; what was open at the fork stays the parent's.
    """

    capabilities = Capabilities(atomic=True, put_if_absent=True, calls_at_once=THREADS, content_etags=True)

    def __init__(self, access: TosAccess, *, budget: float = BUDGET_SECONDS) -> None:
        self._calls = TosCalls(access, budget=budget)
        self._pool = Threads(THREADS, "modelcall-tos")

    def open(self, path: str, mode: str = "rb") -> BinaryIO:
        """Open for reading, pinned to the object as it is now. Writing is what :meth:`sink` is for."""
        if mode != "rb":
            raise ValueError(f"mode {mode!r}: objects are written by a sink")
        return self.open_listed(self.stat(path))

    def open_listed(self, listed: FileStat) -> BinaryIO:
        """Open for reading, pinned to the object as it was then; asks TOS nothing yet."""
        ranges = partial(fetch, self._calls, place(listed.path), etag=listed.etag)
        return cast("BinaryIO", RangeReader(ranges, size=listed.size, pool=self._pool))

    def read_bytes(self, path: str) -> bytes:
        """Return a small object's content, by one request."""
        return fetch_whole(self._calls, object_place(path))

    def is_file(self, path: str) -> bool:
        """Whether there is such an object."""
        try:
            self._head(path)
        except FileNotFoundError:
            return False
        return True

    def exists(self, path: str) -> bool:
        """Whether there is such an object, or one below it."""
        at = place(path)
        return not at.key or self.is_file(path) or any(self._page(at, prefix=at.prefix, max_keys=1).contents)

    def listdir(self, path: str) -> list[str]:
        """Names in a folder, sorted; folders end with a slash."""
        at = place(path)
        names: set[str] = set()
        for page in self._pages(at, delimiter="/"):
            names.update(entry.key.removeprefix(at.prefix) for entry in page.contents)
            names.update(entry.prefix.removeprefix(at.prefix) for entry in page.common_prefixes)
        return sorted(names - {""})

    def makedirs(self, path: str) -> None:
        """Folders need not be made."""
        place(path)

    def remove(self, path: str) -> None:
        """Remove an object."""
        self._head(path)
        self._calls.do(self._calls.sdk.delete_object, place(path))

    def stat(self, path: str) -> FileStat:
        """Size and etag, as TOS tells them."""
        head = self._head(path)
        return FileStat(path, head.content_length, _bare(head.etag))

    def walk(self, folder: str) -> Iterator[FileStat]:
        """All objects below a folder, by key. Markers of folders are left out."""
        at = place(folder)
        for page in self._pages(at):
            for entry in page.contents:
                name = entry.key.removeprefix(at.prefix)
                if name and not name.endswith("/") and not is_hidden(name):
                    yield FileStat(at.url(entry.key), entry.size, _bare(entry.etag))

    def sink(self, path: str, *, overwrite: bool = False) -> TosSink:
        """Begin an object that appears at ``commit``: three requests at least, which is the price of :meth:`evict`."""
        return TosSink(self._calls, object_place(path), overwrite=overwrite, pool=self._pool)

    def put_if_absent(self, path: str, data: bytes) -> bool:
        """Write a small object if the name is free; of any number of writers exactly one succeeds."""
        try:
            put(self._calls, object_place(path), data, overwrite=False)
        except FileExistsError:
            return False
        return True

    def replace(self, path: str, data: bytes) -> None:
        """Write a small object in place of what is there."""
        put(self._calls, object_place(path), data, overwrite=True)

    def evict(self, paths: Iterable[str]) -> None:
        """Abort the uploads that were begun under exactly these names: they can then not be completed.

        One listing of open uploads a bucket, however many the names are, below what these have in common. It clears
        away what killed writers left, too. Sees what TOS lists, of which it does not promise that it is never late.
        """
        keys: defaultdict[str, set[str]] = defaultdict(set)
        for at in map(place, paths):
            keys[at.bucket].add(at.key)
        for bucket, wanted in keys.items():
            common = commonprefix(list(wanted))  # noqa: RUF071  of characters, as TOS compares keys
            for upload in self._uploads(Place(bucket, ""), prefix=common):
                if upload.key in wanted:
                    abort_upload(self._calls, Place(bucket, upload.key), upload.upload_id)

    def close(self) -> None:
        """Close connections and threads."""
        self._pool.shutdown(cancel_futures=True)
        self._calls.close()

    def _head(self, path: str) -> Any:  # noqa: ANN401  the SDK's own
        return self._calls.head(object_place(path))

    def _pages(self, at: Place, *, delimiter: str | None = None) -> Iterator[Any]:
        token: str | None = None
        while True:
            page = self._page(at, prefix=at.prefix, delimiter=delimiter, continuation_token=token)
            yield page
            if not page.is_truncated:
                return
            token = page.next_continuation_token

    def _uploads(self, bucket: Place, *, prefix: str) -> Iterator[Any]:
        markers: dict[str, str] = {}
        while True:
            page = self._calls.do(self._calls.sdk.list_multipart_uploads, bucket, prefix=prefix, **markers)
            yield from page.uploads
            if not page.is_truncated:
                return
            markers = {"key_marker": page.next_key_marker, "upload_id_marker": page.next_upload_id_marker}

    def _page(self, at: Place, *, prefix: str, **options: Any) -> Any:  # noqa: ANN401  the SDK's own
        """Return one page of a listing: the SDK's own paging ends after a thousand entries, without a word."""
        bucket = Place(at.bucket, "")
        return self._calls.do(self._calls.sdk.list_objects_type2, bucket, prefix=prefix, list_only_once=True, **options)


def _bare(etag: str) -> str:
    return etag.strip('"')
