"""Checksummed text frames: one record a line, readable with any pager, damage found record by record.

A frame is ``crc32 key json`` and a newline: eight hex digits over what follows them, a decimal key (the row index, 0
where there is none), a JSON text. Every frame stands for itself, so a torn or flipped one costs only itself.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = 9  # eight hex digits and a space


def frame(key: int, payload: bytes) -> bytes:
    """Return the line that holds a record. ``payload`` is JSON without line breaks."""
    body = b"%d %s" % (key, payload)
    return b"%08x %s\n" % (crc32(body), body)


@dataclass(slots=True)
class Damage:
    """What a reader passed over."""

    frames: int = 0
    torn_tail: bool = False
    """The file ends in the middle of a frame, as a killed writer leaves it."""


def parse(line: bytes) -> tuple[int, bytes] | None:
    """Return key and payload of a frame, or None if it is not whole."""
    if len(line) <= _PREFIX or line[-1] != 0x0A or line[8] != 0x20:  # noqa: PLR2004  newline, space
        return None
    body = line[_PREFIX:-1]
    if b"%08x" % crc32(body) != line[:8]:
        return None
    key, _, payload = body.partition(b" ")
    return int(key), payload


def apparent_key(line: bytes) -> int:
    """Return the key of a frame without looking whether it is whole; of a damaged one perhaps another."""
    try:
        return int(line[_PREFIX : line.find(b" ", _PREFIX)])
    except ValueError:
        return sys.maxsize


def read_frames(stream: BinaryIO, *, size: int, damage: Damage) -> Iterator[tuple[int, bytes]]:
    """Yield the whole frames among the first ``size`` bytes, in order; count the others in ``damage``."""
    seen = 0
    for line in stream:
        seen += len(line)
        if seen > size:
            return
        record = parse(line)
        if record is not None:
            yield record
        elif line[-1] != 0x0A:  # noqa: PLR2004  newline
            damage.torn_tail = True
        else:
            damage.frames += 1
