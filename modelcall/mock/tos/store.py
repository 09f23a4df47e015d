"""Buckets of versions. Every change is one step under one lock, and conditions are checked in that step."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from modelcall.mock.tos.replies import Refused, no_such_bucket, no_such_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from modelcall.mock.tos.blobs import Blobs, Extent, Written
    from modelcall.mock.tos.uploads import Upload

Kind: TypeAlias = Literal["Normal", "Multipart", "Appendable"]

_REMEMBERED: Final = 1000


@dataclass(frozen=True, slots=True)
class Version:
    """An object as it is at one time. Never changed."""

    extents: tuple[Extent, ...]
    size: int
    etag: str
    crc64: int
    modified: float
    headers: Mapping[str, str]
    """What the client gave it to be returned: content type, user meta."""
    kind: Kind = "Normal"

    @classmethod
    def of(cls, written: Written, headers: Mapping[str, str], *, now: float) -> Version:
        """Return the version that was put whole."""
        return cls(written.extents, written.size, written.digests.etag, written.digests.crc64, now, headers)


@dataclass(frozen=True, slots=True)
class Change:
    """One step of the store, as readers see it; None: no object."""

    bucket: str
    key: str
    before: Version | None
    after: Version | None


@dataclass(frozen=True, slots=True)
class Conditions:
    """What must hold at the commit."""

    forbid_overwrite: bool = False
    if_match: str | None = None
    if_none_match: str | None = None

    def check(self, before: Version | None) -> None:
        """Do nothing if they hold.

        Raises:
            Refused: 409 for an object in the way, 412 for another condition.
        """
        if self.forbid_overwrite and before is not None:
            message = "The object you specified already exists and can not be overwritten."
            raise Refused(409, "ObjectAlreadyExists", message)
        matches = before is not None and self.if_match in {"*", before.etag, before.etag.strip('"')}
        met = self.if_match is None or matches
        absent = before is None or self.if_none_match not in {"*", before.etag, before.etag.strip('"')}
        if not met or not absent:
            raise precondition_failed()


def precondition_failed() -> Refused:
    """Return the refusal of a condition that does not hold."""
    message = "The condition specified using HTTP conditional header(s) is not met."
    return Refused(412, "PreconditionFailed", message)


@dataclass(slots=True)
class Bucket:
    """Objects by key, and the uploads that are open."""

    name: str
    created: float
    versions: dict[str, Version] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    """Sorted, as UTF-8 is."""
    uploads: dict[str, Upload] = field(default_factory=dict)
    recent: deque[tuple[str, Version | None]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    """What was there before the latest changes, without the bytes."""

    def get(self, key: str) -> Version:
        """Return the object that is there now.

        Raises:
            Refused: None is; 404.
        """
        version = self.versions.get(key)
        if version is None:
            raise no_such_key(key)
        return version

    def upload(self, upload_id: str, key: str) -> Upload:
        """Return an open upload.

        Raises:
            Refused: It is not open, or is for another key; 404.
        """
        upload = self.uploads.get(upload_id)
        if upload is None or upload.key != key:
            raise Refused(404, "NoSuchUpload", f"The specified multipart upload does not exist: {upload_id}")
        return upload

    def set(self, key: str, version: Version | None) -> Version | None:
        """Put a version in place, or take it away; return what was there."""
        before = self.versions.get(key)
        if version is not None:
            self.versions[key] = version
            if before is None:
                insort(self.keys, key)
        elif before is not None:
            del self.versions[key]
            del self.keys[bisect_left(self.keys, key)]
        self.recent.append((key, before and replace(before, extents=())))
        return before

    def as_of(self, changes: int) -> Bucket:
        """Return this bucket as it was so many changes ago: its names and facts, not its bytes."""
        versions = dict(self.versions)
        for key, before in list(self.recent)[::-1][:changes]:
            versions.pop(key, None)
            if before is not None:
                versions[key] = before
        return Bucket(self.name, self.created, versions, sorted(versions))

    def previous(self, key: str) -> Version | None:
        """Return what the key held before its latest change."""
        return next((before for name, before in reversed(self.recent) if name == key), None)


class Store:
    """All buckets. Its methods may be called from any thread."""

    def __init__(self, blobs: Blobs, *, clock: Callable[[], float] = time.time) -> None:
        self.blobs = blobs
        self.clock = clock
        self.buckets: dict[str, Bucket] = {}
        self.lock = threading.RLock()
        """Held over every change, and to be held by whoever reads more than one thing."""
        self.watchers: list[Callable[[Change], None]] = []
        """Called in the order of changes, under the lock: between two calls no reader can see anything else."""

    def create(self, name: str) -> None:
        """Make a bucket.

        Raises:
            Refused: It is there already; 409.
        """
        with self.lock:
            if name in self.buckets:
                raise Refused(409, "BucketAlreadyOwnedByYou", f"The bucket exists: {name}")
            self.buckets[name] = Bucket(name, self.clock())

    def drop(self, name: str) -> None:
        """Remove an empty bucket.

        Raises:
            Refused: It is not empty, 409, or not there, 404.
        """
        with self.lock:
            bucket = self.bucket(name)
            if bucket.versions or bucket.uploads:
                raise Refused(409, "BucketNotEmpty", f"The bucket is not empty: {name}")
            del self.buckets[name]

    def bucket(self, name: str) -> Bucket:
        """Return a bucket.

        Raises:
            Refused: There is none; 404.
        """
        bucket = self.buckets.get(name)
        if bucket is None:
            raise no_such_bucket(name)
        return bucket

    def put(self, bucket: str, key: str, pieces: Iterable[bytes]) -> None:
        """Put an object in place without a request.

        Raises:
            Refused: There is no such bucket.
        """
        writer = self.blobs.writer()
        try:
            for piece in pieces:
                writer.write(piece)
            written = writer.finish()
        finally:
            writer.close()
        self.commit(bucket, key, Version.of(written, {}, now=self.clock()), Conditions())

    def commit(self, bucket: str, key: str, version: Version, conditions: Conditions) -> None:
        """Put a version in place if the conditions hold.

        Raises:
            Refused: They do not.
        """
        with self.lock:
            conditions.check(self.bucket(bucket).versions.get(key))
            self._set(bucket, key, version)

    def remove(self, bucket: str, key: str) -> None:
        """Take an object away, if there is one."""
        with self.lock:
            if key in self.bucket(bucket).versions:
                self._set(bucket, key, None)

    def rename(self, bucket: str, key: str, new_key: str, conditions: Conditions) -> None:
        """Move an object to another name, in two steps that no reader can see between.

        Raises:
            Refused: There is no object, or one in the way.
        """
        with self.lock:
            version = self.bucket(bucket).get(key)
            conditions.check(self.bucket(bucket).versions.get(new_key))
            self.bucket(bucket).set(key, None)
            self._set(bucket, new_key, version)
            self._tell(Change(bucket, key, version, None))

    def _set(self, bucket: str, key: str, version: Version | None) -> None:
        before = self.bucket(bucket).set(key, version)
        self._tell(Change(bucket, key, before, version))

    def _tell(self, change: Change) -> None:
        for watcher in tuple(self.watchers):
            watcher(change)
