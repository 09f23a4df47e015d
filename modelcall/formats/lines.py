"""The lines of a text file, compressed or not, in bounded memory."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa

from modelcall.formats.detect import MAGIC_BYTES, compression_of, content_of, refuse_content
from modelcall.formats.failures import reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from modelcall.formats.base import Opener

CHUNK_BYTES = 1 << 20


def read_lines(opener: Opener, *, name: str, max_bytes: int) -> Iterator[bytes | None]:
    r"""Yield the lines of a file, split on ``\n`` only and without it; None for one of more than ``max_bytes``.

    A byte order mark at the start is dropped. Compressed members and frames follow each other without a border. One
    that is cut short is an error wherever it is cut, never a shorter file.

    Raises:
        FileFailure: Compressed data that is cut or damaged; content that its name does not promise.
    """
    with reading(name), opener() as stream:
        yield from split_lines(_text(stream, name), max_bytes=max_bytes)


def split_lines(chunks: Iterable[bytes], *, max_bytes: int) -> Iterator[bytes | None]:
    r"""Join and split pieces at ``\n``; what stands behind the last one is a line unless it is empty."""
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        head, *tails = chunk.split(b"\n")
        for following in tails:
            yield _joined(held, head) if size + len(head) <= max_bytes else None
            held, size, head = [], 0, following
        size += len(head)
        if size <= max_bytes:
            held.append(head)
        else:
            held.clear()
    if size:
        yield b"".join(held) if size <= max_bytes else None


def _joined(held: list[bytes], head: bytes) -> bytes:
    return b"".join((*held, head)) if held else head


def _text(stream: BinaryIO, name: str) -> Iterator[bytes]:
    chunks = _plain(stream, name)
    first = next(chunks, b"")
    refuse_content(content_of(first), name=name, expected="JSON Lines")
    yield first.removeprefix(codecs.BOM_UTF8)
    yield from chunks


def _plain(stream: BinaryIO, name: str) -> Iterator[bytes]:
    compression = compression_of(stream.read(MAGIC_BYTES), name=name)
    stream.seek(0)
    source = pa.PythonFile(stream, mode="r")
    if compression:
        source = pa.CompressedInputStream(source, compression)
    while chunk := source.read(CHUNK_BYTES):
        yield chunk
