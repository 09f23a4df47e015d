"""``tos://bucket/key`` and back."""

from __future__ import annotations

import errno
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
        OSError: (``EINVAL``) Not of the form ``tos://bucket/key``, or a key that cannot be asked for: ``.`` and ``..``
            between slashes are resolved on the way to the server, after the request was signed.
    """
    bucket, _, key = path.removeprefix(SCHEME).partition("/")
    key = key.removesuffix("/")
    if not path.startswith(SCHEME) or not _BUCKET.fullmatch(bucket):
        raise OSError(errno.EINVAL, "not of the form tos://bucket/key (buckets: 3 to 63 of a-z, 0-9 and -)", path)
    if not {".", ".."}.isdisjoint(key.split("/")):
        raise OSError(errno.EINVAL, "a key with . or .. between slashes cannot be asked for", path)
    if len(key.encode("utf-8", "surrogateescape")) > _MOST_BYTES:
        raise OSError(errno.ENAMETOOLONG, f"a key has at most {_MOST_BYTES} bytes", path)
    return Place(bucket, key)
