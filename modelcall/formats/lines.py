"""The lines of a text file, compressed or not, in bounded memory."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa

from modelcall.formats.base import Start
from modelcall.formats.detect import MAGIC_BYTES, compression_of, content_of, refuse_content
from modelcall.formats.failures import reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from modelcall.formats.base import Opener

CHUNK_BYTES = 1 << 18
"""Read at a time; a MiB would come from the system each time, page by page: see :mod:`modelcall.garbage`."""
STRIDE_BYTES = 1 << 20
"""From one noted start of a line to the next, at least."""


def read_lines(
    opener: Opener, *, name: str, max_bytes: int, passed: Callable[[int], bool] = lambda _: False, begin: int = 0
) -> Iterator[bytes | int | None]:
    r"""Yield the lines of a file, split on ``\n`` only and without it; None for one of more than ``max_bytes``.

    Before the next so many lines, none of them blank, are split, ``passed`` is asked whether they are to be passed
    over; then their number is yielded for them. A file that is not compressed may be read from the byte ``begin`` on,
    where a line begins.

    A byte order mark at the start is dropped. Compressed members and frames follow each other without a border. One
    that is cut short is an error wherever it is cut, never a shorter file.

    Raises:
        FileFailure: Compressed data that is cut or damaged; content that its name does not promise.
    """
    with reading(name), opener() as stream:
        text = _bytes(stream, begin) if begin else _text(stream, name)
        yield from split_lines(text, max_bytes=max_bytes, passed=passed)


def line_starts(opener: Opener, *, name: str, max_bytes: int) -> Iterator[Start]:
    r"""Yield where lines of a file that is not compressed begin, one about every MiB, and where it ends.

    Lines are counted as :func:`read_lines` gives them, blank ones apart; one of more than ``max_bytes`` is none of
    these, whatever it holds. Of a file that is compressed nothing is told.

    Raises:
        FileFailure: It cannot be read, or is not what its name promises.
    """
    rows = blank = length = 0
    is_blank = True  # what has been seen of the line at hand, which may be longer than memory
    with reading(name), opener() as stream:
        head = stream.read(CHUNK_BYTES)
        if compression_of(head[:MAGIC_BYTES], name=name):
            return
        refuse_content(content_of(head), name=name, expected="JSON Lines")
        noted = byte = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
        for chunk in _bytes(stream, byte):
            end = chunk.rfind(b"\n") + 1
            if end:
                first = chunk.index(b"\n") + 1
                is_blank = is_blank and length + first - 1 <= max_bytes and not chunk[: first - 1].strip(_SPACE)
                empty = is_blank + _blank_lines(chunk, first, end, max_bytes=max_bytes)
                rows, blank = rows + chunk.count(b"\n", 0, end) - empty, blank + empty
                byte, length, is_blank = byte + length + end, 0, True
            length += len(chunk) - end
            is_blank = is_blank and not chunk[end:].strip(_SPACE)
            if byte - noted >= STRIDE_BYTES:
                noted = byte
                yield Start(rows, byte, blank)
    last = length > 0
    is_blank = is_blank and length <= max_bytes
    yield Start(rows + (last and not is_blank), byte + length, blank + (last and is_blank))


def _blank_lines(chunk: bytes, first: int, end: int, *, max_bytes: int) -> int:
    """Count the blank ones among whole lines; the newline of another stands before them."""
    if _MAYBE_BLANK.search(chunk, first - 1, end) is None:
        return 0
    return sum(len(line) <= max_bytes and not line.strip(_SPACE) for line in chunk[first : end - 1].split(b"\n"))


def split_lines(
    chunks: Iterable[bytes], *, max_bytes: int, passed: Callable[[int], bool] = lambda _: False
) -> Iterator[bytes | int | None]:
    r"""Join and split pieces at ``\n``; what stands behind the last one is a line unless it is empty."""
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        start, end = 0, chunk.rfind(b"\n")
        if end >= 0:
            start = chunk.index(b"\n") + 1
            size += start - 1
            yield _joined(held, chunk[: start - 1]) if size <= max_bytes else None
            if start <= end:
                yield from _split(chunk, start, end, max_bytes=max_bytes, passed=passed)
            held, size, start = [], 0, end + 1
        size += len(chunk) - start
        if size <= max_bytes:
            held.append(chunk[start:])
        else:
            held.clear()
    if size:
        yield b"".join(held) if size <= max_bytes else None


_SPACE = b" \t\r"
_MAYBE_BLANK = re.compile(rb"\n[ \t\r\n]")


def _split(
    chunk: bytes, start: int, end: int, *, max_bytes: int, passed: Callable[[int], bool]
) -> Iterator[bytes | int | None]:
    """Split whole lines, the last one's end at ``end``, or pass over them; among blank ones that is hard to tell."""
    if passed(1) and _MAYBE_BLANK.search(chunk, start - 1, end + 1) is None:
        count = chunk.count(b"\n", start, end) + 1
        if passed(count):
            yield count
            return
    for line in chunk[start:end].split(b"\n"):
        yield line if len(line) <= max_bytes else None


def _joined(held: list[bytes], head: bytes) -> bytes:
    return b"".join((*held, head)) if held else head


def _text(stream: BinaryIO, name: str) -> Iterator[bytes]:
    chunks = _plain(stream, name)
    first = next(chunks, b"")
    refuse_content(content_of(first), name=name, expected="JSON Lines")
    yield first.removeprefix(codecs.BOM_UTF8)
    yield from chunks


def _bytes(stream: BinaryIO, begin: int) -> Iterator[bytes]:
    stream.seek(begin)
    source = pa.PythonFile(stream, mode="r")
    while chunk := source.read(CHUNK_BYTES):
        yield chunk


def _plain(stream: BinaryIO, name: str) -> Iterator[bytes]:
    compression = compression_of(stream.read(MAGIC_BYTES), name=name)
    stream.seek(0)
    source = pa.PythonFile(stream, mode="r")
    if compression:
        source = pa.CompressedInputStream(source, compression)
    while chunk := source.read(CHUNK_BYTES):
        yield chunk
