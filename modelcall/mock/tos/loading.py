"""Files as objects, at the start: what a rehearsal reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelcall.errors import ConfigError
from modelcall.mock.tos.blobs import PIECE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelcall.mock.tos.store import Store


def load(store: Store, bucket: str, folder: str) -> None:
    """Put a copy of every file below a folder into a bucket; its key is its path from there.

    Raises:
        ConfigError: A file cannot be read, or the folder is none.
    """
    root = Path(folder)
    if not root.is_dir():
        raise ConfigError(f"The local TOS cannot load {folder}: it is no folder.", hint="Name a folder.")
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        try:
            store.put(bucket, path.relative_to(root).as_posix(), _pieces(path))
        except OSError as error:
            raise ConfigError(f"The local TOS cannot load {path}: {error.strerror}.") from error


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece
