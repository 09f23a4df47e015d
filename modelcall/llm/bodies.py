"""Reply bodies: read and decompressed within a bound, so that no server can fill the memory."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from modelcall.llm.transport import FaultKind, TransportFault

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

_WINDOW: dict[str, int] = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


async def read_body(chunks: AsyncIterable[bytes], *, limit: int) -> bytes:
    """Join a body that arrives in pieces.

    Raises:
        TransportFault: It is larger than ``limit`` bytes.
    """
    parts = bytearray()
    async for chunk in chunks:
        parts += chunk
        if len(parts) > limit:
            raise too_large(limit)
    return bytes(parts)


def too_large(limit: int) -> TransportFault:
    """Return the fault of a body beyond the limit."""
    return TransportFault(FaultKind.BODY, f"the reply is larger than {limit} bytes")


def decode(body: bytes, encoding: str, *, limit: int) -> bytes:
    """Undo a Content-Encoding.

    Raises:
        TransportFault: The encoding is unknown, the data broken or cut, or the result larger than ``limit`` bytes.
    """
    for name in reversed([part.strip().lower() for part in encoding.split(",")]):
        if name not in {"", "identity"}:
            body = _inflate(body, name, limit=limit)
    return body


def _inflate(body: bytes, name: str, *, limit: int) -> bytes:
    if name not in _WINDOW:
        raise TransportFault(FaultKind.BODY, f"the reply is encoded as {name[:40]!r}, which was not asked for")
    # Some servers send deflate without its zlib frame; its first byte tells.
    raw = name == "deflate" and body[:1] != b"\x78"
    stream = zlib.decompressobj(-zlib.MAX_WBITS if raw else _WINDOW[name])
    try:
        plain = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise TransportFault(FaultKind.BODY, f"the reply claims to be {name} and is not: {error}") from error
    if len(plain) > limit:
        raise too_large(limit)
    if not stream.eof:
        raise TransportFault(FaultKind.BODY, f"the {name} reply is cut")
    return plain
