"""Bodies in content encodings: correct ones nobody announced, broken ones, and the bomb."""

from __future__ import annotations

import functools
import gzip
import zlib
from typing import TYPE_CHECKING

from modelcall.mock.faults.base import Fault, Scene, Verdict
from modelcall.mock.wire import LAST_CHUNK, Beat, Send, chunk, chunked_head, reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from modelcall.mock.wire import Script

_STORED_LIMIT = 1 << 16


def gzip_cut(body: bytes) -> bytes:
    """Return a gzip stream that lacks its last 8 bytes, checksum and length."""
    return gzip.compress(body, mtime=0)[:-8]


def brotli(body: bytes) -> bytes:
    """Return a Brotli stream of uncompressed meta-blocks (RFC 7932, section 9.2)."""
    blocks = [body[at : at + _STORED_LIMIT] for at in range(0, len(body), _STORED_LIMIT)]
    stream = b""
    for index, block in enumerate(blocks):
        # Bits, lowest first: WBITS 0 (first block only), ISLAST 0, MNIBBLES 00, MLEN-1 in 16 bits, ISUNCOMPRESSED 1.
        header = ((len(block) - 1) << 3) | (1 << 19)
        stream += (header << (index == 0)).to_bytes(3, "little") + block
    return stream + b"\x03"  # ISLAST, ISLASTEMPTY


def zstd(body: bytes) -> bytes:
    """Return a Zstandard frame of raw blocks (RFC 8878, section 3.1.1)."""
    frame = b"\x28\xb5\x2f\xfd\xa0" + len(body).to_bytes(4, "little")  # single segment, 4 bytes of content size
    blocks = [body[at : at + _STORED_LIMIT] for at in range(0, len(body), _STORED_LIMIT)]
    for index, block in enumerate(blocks):
        last = index == len(blocks) - 1
        frame += (len(block) << 3 | last).to_bytes(3, "little") + block
    return frame


def bomb_parts(block_size: int = 10 << 20) -> tuple[bytes, bytes]:
    """Return the start of a gzip stream and a block to repeat: every repetition inflates to ``block_size`` zeros.

    A full flush ends the block on a byte and forgets the window, so that its bytes mean the same each time.
    """
    packer = zlib.compressobj(level=9, wbits=-zlib.MAX_WBITS)
    block = packer.compress(bytes(block_size)) + packer.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff", block


def _fault(
    name: str, about: str, script: Callable[[Scene], Script], *, also: Verdict | None = None, brief: bool = True
) -> Fault:
    return Fault(name, 52, about, Verdict.NETWORK, script, also=also, brief=brief)


def _encoded(encoding: str, encode: Callable[[bytes], bytes]) -> Callable[[Scene], Script]:
    return lambda scene: (Send(reply(200, encode(scene.body()), {"content-encoding": encoding})),)


def _encodings() -> Iterable[Fault]:
    yield _fault("gzip_garbage", "gzip announced, the bytes ABCD", _encoded("gzip", lambda _: b"ABCD"))
    yield _fault("gzip_plain", "gzip announced, plain JSON", _encoded("gzip", bytes))
    yield _fault("gzip_cut", "a gzip stream without its last 8 bytes", _encoded("gzip", gzip_cut), also=Verdict.ACCEPT)
    yield _fault("brotli", "Brotli nobody asked for", _encoded("br", brotli), also=Verdict.ACCEPT)
    yield _fault("zstd", "Zstandard nobody asked for", _encoded("zstd", zstd), also=Verdict.ACCEPT)
    yield _fault("gzip_bomb", "10 GB of zeros in 10 MB of gzip", lambda _: _bomb(), brief=False)


@functools.cache
def _bomb() -> Script:
    start, block = bomb_parts()
    return (
        Send(chunked_head({"content-encoding": "gzip"}) + chunk(start)),
        Beat(chunk(block), 0, 1000),
        Send(LAST_CHUNK),
    )


ENCODING_FAULTS = tuple(_encodings())
