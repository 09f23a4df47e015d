"""Local folders that stay: made durably, whoever made them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from modelcall.fs.local_sink import sync_folder

if TYPE_CHECKING:
    from pathlib import Path


def make_folder(folder: Path, *, mode: int, parents: int) -> None:
    """Make a folder of this mode, and its parents of theirs, durably: what is synced in it must stay reachable.

    One that is there may have been made by a process that was killed before it came to sync it.
    """
    if folder.is_dir():
        with suppress(PermissionError):  # folders in one that we may not list were made by somebody else
            sync_folder(str(folder.parent))
        return
    make_folder(folder.parent, mode=parents, parents=parents)
    folder.mkdir(mode, exist_ok=True)
    sync_folder(str(folder.parent))
