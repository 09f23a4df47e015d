"""Small state files: JSON that carries its own checksum, written whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zlib import crc32

import orjson

from modelcall.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelcall.fs.base import FileSystem

_CHECK = "crc32"


def dump(record: Mapping[str, Any]) -> bytes:
    """Return the text of a record, its checksum last."""
    body = orjson.dumps(record)
    sealed = {**record, _CHECK: f"{crc32(body):08x}"}
    return orjson.dumps(sealed, option=orjson.OPT_INDENT_2) + b"\n"


def load(fs: FileSystem, path: str) -> dict[str, Any] | None:
    """Return a record, or None if there is none.

    Raises:
        FatalError: The file is there but damaged.
    """
    try:
        data = fs.read_bytes(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        record = orjson.loads(data)
        check = record.pop(_CHECK)
        whole = isinstance(record, dict) and check == f"{crc32(orjson.dumps(record)):08x}"
    except (ValueError, AttributeError, KeyError, TypeError):
        whole = False
    if not whole:
        raise FatalError(f"{path}: damaged", hint="Restore the file, or choose another output folder.")
    return dict(record)
