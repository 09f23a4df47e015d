"""Append-only local files: the ground of the journal and the ledger. Blocking; callers use threads."""

from __future__ import annotations

import os
from pathlib import Path

from modelcall.fs.folders import make_folder

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)


class AppendFile:
    """A private file that only grows. No descriptor is kept open between calls, so thousands may exist."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def append(self, data: bytes) -> None:
        """Write all of ``data`` at the end. It then survives the death of this process, not yet a power loss."""
        descriptor = os.open(self.path, _FLAGS, 0o600)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)

    def sync(self) -> None:
        """Make everything appended so far survive a power loss. After a failure nothing is known: do not repeat.

        Raises:
            FileNotFoundError: It was removed; it is not made anew.
        """
        descriptor = os.open(self.path, _FLAGS & ~os.O_CREAT)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def remove(self) -> None:
        """Remove the file; no error if it is gone."""
        Path(self.path).unlink(missing_ok=True)


def make_private_folder(path: str) -> None:
    """Make a folder for this user only, and its parents as usual, durably."""
    make_folder(Path(path), mode=0o700, parents=0o777)
