"""Append-only local files: the ground of the journal and the ledger. Blocking; callers use threads."""

from __future__ import annotations

import os
from pathlib import Path

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)


class AppendFile:
    """A private file that only grows. No descriptor is kept open between calls, so thousands may exist."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def append(self, data: bytes) -> None:
        """Write all of ``data`` at the end. It then survives the death of this process, not yet a power loss."""
        descriptor = self._open()
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)

    def sync(self) -> None:
        """Make everything appended so far survive a power loss. After a failure nothing is known: do not repeat."""
        descriptor = self._open()
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def cut(self, size: int) -> None:
        """Drop everything after the first ``size`` bytes."""
        os.truncate(self.path, size)

    def remove(self) -> None:
        """Remove the file; no error if it is gone."""
        Path(self.path).unlink(missing_ok=True)

    def _open(self) -> int:
        return os.open(self.path, _FLAGS, 0o600)
