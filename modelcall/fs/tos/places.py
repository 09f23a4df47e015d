"""``tos://bucket/key`` and back."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from typing import Final

SCHEME: Final = "tos://"
_BUCKET: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{1,61}[a-z0-9])")
_MOST_BYTES: Final = 1024


@dataclass(frozen=True, slots=True)
class Place:
    """An object, a folder (all keys that begin with its key and a slash), or with an empty key the whole bucket."""

    bucket: str
    key: str

    @property
    def prefix(self) -> str:
        """What the keys of everything below this folder begin with."""
        return f"{self.key}/" if self.key else ""

    def url(self, key: str) -> str:
        """Return the path of another key of the bucket."""
        return f"{SCHEME}{self.bucket}/{key}"


def place(path: str) -> Place:
    """Take a path apart.

    Raises:
        OSError: ``EINVAL`` if it is not of the form ``tos://bucket/key``, or the key cannot be asked for: ``.`` and
            ``..`` between slashes are resolved on the way to the server, after the request was signed. ``EILSEQ`` or
            ``ENAMETOOLONG`` for what can be no key.
    """
    bucket, _, key = path.removeprefix(SCHEME).partition("/")
    key = key.removesuffix("/")
    if not path.startswith(SCHEME) or not _BUCKET.fullmatch(bucket):
        raise OSError(errno.EINVAL, "not of the form tos://bucket/key (buckets: 3 to 63 of a-z, 0-9 and -)", path)
    if not {".", ".."}.isdisjoint(key.split("/")):
        raise OSError(errno.EINVAL, "a key with . or .. between slashes cannot be asked for", path)
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        shown = path.encode(errors="backslashreplace").decode()
        raise OSError(errno.EILSEQ, "a key is UTF-8; rename the file", shown) from None
    if size > _MOST_BYTES:
        raise OSError(errno.ENAMETOOLONG, f"a key has at most {_MOST_BYTES} bytes", path)
    return Place(bucket, key)


def object_place(path: str) -> Place:
    """Take the path of an object apart.

    Raises:
        OSError: As of :func:`place`; ``IsADirectoryError`` for a bucket, and for what ends with a slash.
    """
    at = place(path)
    if not at.key or path.endswith("/"):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    return at
