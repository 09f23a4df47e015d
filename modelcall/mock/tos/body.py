"""Bodies in and out, in pieces: nothing is ever held whole but small JSON."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp import ClientError, web

from modelcall.mock.tos.blobs import pieces
from modelcall.mock.tos.replies import Dropped, Refused, invalid
from modelcall.mock.tos.signature import PAYLOAD, UNSIGNED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from modelcall.mock.tos.blobs import BlobWriter, Written
    from modelcall.mock.tos.call import Call
    from modelcall.mock.tos.checksum import Digests
    from modelcall.mock.tos.replies import Answer
    from modelcall.mock.tos.store import Store
    from modelcall.mock.tos.strike import Strike

_SMALL: Final = 4 << 20


class Body:
    """What comes with a request."""

    def __init__(self, request: web.BaseRequest, call: Call, strike: Strike) -> None:
        self._request = request
        self._call = call
        self._strike = strike
        self._announced = request.content_length or 0
        self.received = 0

    @property
    def chunked(self) -> bool:
        """Whether its length was not said."""
        return "chunked" in self._call.headers.get("transfer-encoding", "")

    async def small(self) -> bytes:
        """Return it whole.

        Raises:
            Refused: It is too large, or not what was announced.
        """
        pieces = [piece async for piece in self._pieces(most=_SMALL)]
        return b"".join(pieces)

    async def stored(self, store: Store) -> Written:
        """Write it to the disk.

        Raises:
            Refused: It is not what was announced.
            Dropped: It ended early.
        """
        announced = self._call.headers.get(PAYLOAD, UNSIGNED)
        writer = store.blobs.writer(sha256=announced != UNSIGNED)
        try:
            await self._copy(writer)
            written = writer.finish()
        finally:
            writer.close()
        self._check(written.digests, announced)
        return written

    async def _copy(self, writer: BlobWriter) -> None:
        async for piece in self._pieces():
            writer.write(piece)

    async def _pieces(self, *, most: int | None = None) -> AsyncIterator[bytes]:
        if self._call.headers.get("expect", "").lower() == "100-continue" and self._request.transport is not None:
            self._request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        content = self._request.content
        while not content.at_eof():
            try:
                piece = await content.readany()
            except (ClientError, ConnectionError, web.HTTPException) as error:
                raise Dropped from error
            self.received += len(piece)
            if most is not None and self.received > most:
                raise invalid(f"The body is larger than {most} bytes.", code="EntityTooLarge")
            if piece:
                yield self._strike.upload(piece, self.received, self._announced)

    def _check(self, digests: Digests, sha256: str) -> None:
        md5 = self._call.headers.get("content-md5")
        if md5 is not None and md5 != digests.content_md5:
            raise Refused(400, "BadDigest", "The Content-MD5 you specified is not that of what arrived.")
        if digests.sha256 not in {None, sha256}:
            raise Refused(400, "BadDigest", f"The {PAYLOAD} you specified is not that of what arrived.")


async def send(
    request: web.BaseRequest, answer: Answer, strike: Strike, sent: Callable[[int], None]
) -> web.StreamResponse:
    """Send an answer, spoilt as the fault says; ``sent`` is told how many bytes of the body went out, again and again.

    Raises:
        Dropped: The connection is over.
    """
    if strike.cuts and not answer.size:
        raise Dropped
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.content_length = answer.size if answer.length is None else answer.length
    try:
        await response.prepare(request)
        if request.method != "HEAD":
            for piece in strike.download(_content(answer, strike.piece), answer.size):
                await response.write(piece)
                sent(len(piece))
                if strike.pause:
                    await asyncio.sleep(strike.pause)
        if strike.cuts:
            await _flush(request)
            raise Dropped
        await response.write_eof()
    except ConnectionError as error:
        raise Dropped from error
    return response


def _content(answer: Answer, size: int) -> Iterator[bytes]:
    for start in range(0, len(answer.body), size):
        yield answer.body[start : start + size]
    yield from pieces(answer.extents, size)


async def _flush(request: web.BaseRequest) -> None:
    """Let the kernel have everything, so that the client gets it before the end."""
    transport = request.transport
    if transport is not None:
        transport.set_write_buffer_limits(0)
        await request.writer.drain()
