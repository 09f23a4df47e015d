"""One socket: requests are read, answered one after the other, and the connection is kept or closed."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Literal, cast

from modelcall.mock.player import play
from modelcall.mock.reading import BadHttp, RequestReader
from modelcall.mock.wire import Send, error_body, head, json_reply

if TYPE_CHECKING:
    from modelcall.mock.reading import Head
    from modelcall.mock.visit import House, Reaction, Visit

_CONTINUE = head(100, {})
_READ_AHEAD = 1 << 20
"""Bytes that may wait behind a request that is being answered."""


class Connection(asyncio.Protocol):
    """Speaks HTTP/1.1 on one socket; also the line on which scripts are played."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._reader = RequestReader(max_body=house.max_body)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._head: Head | None = None
        self._visit: Visit | None = None
        self._reaction: asyncio.TimerHandle | asyncio.Task[None] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._idle_limit = house.idle_timeout
        self._trapped = False
        self._writable = asyncio.Event()
        self._writable.set()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._house.opened(self)
        self._rest()

    def data_received(self, data: bytes) -> None:
        """Read on; a trap that a fault has set snaps now."""
        if self._trapped:
            self.fin()
            return
        self._reader.feed(data)
        if self._reaction is None:
            self._advance()
        elif self._reader.waiting > _READ_AHEAD and self._transport is not None:
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  the protocol's signature
        """Stop answering."""
        self._transport = None
        self._writable.set()
        self._wake()
        if self._reaction is not None:
            self._reaction.cancel()
        self._end(complete=False)
        self._house.closed(self)

    def pause_writing(self) -> None:
        """The client reads slower than we write."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._writable.set()

    # The life of a request.

    def _advance(self) -> None:
        """Answer requests that have arrived until one needs time or is incomplete."""
        try:
            while self._transport is not None and not self._transport.is_closing() and self._reaction is None:
                if not self._step():
                    return
        except BadHttp as error:
            self._refuse(error)

    def _step(self) -> bool:
        """Read one head or one body; False if there is nothing to read yet."""
        if self._head is None:
            self._head = self._reader.head()
            return self._head is not None and self._begin(self._head)
        body = self._reader.body(self._head)
        if body is None or self._visit is None:
            return False
        self._react(self._visit.answer(body))
        return True

    def _begin(self, head: Head) -> bool:
        self._wake()
        self._visit = self._house.visit(head)
        early = self._visit.early()
        if early is not None:
            self._react(early)
        elif head.expects_continue:
            self.send(_CONTINUE)
        return True

    def _refuse(self, error: BadHttp) -> None:
        body = error_body(str(error), kind="invalid_request_error")
        self.send(json_reply(error.status, body, {"connection": "close"}))
        self.fin()
        self._end(complete=False)

    def _react(self, reaction: Reaction) -> None:
        """A plain reply is written here and now, or by a timer; everything else gets a task."""
        script = reaction.script
        if len(script) == 1 and isinstance(script[0], Send):
            if reaction.delay > 0:
                self._reaction = self._loop.call_later(reaction.delay, self._reply_late, script[0].data)
            else:
                self._reply(script[0].data)
        else:
            self._reaction = self._loop.create_task(self._play(reaction))

    def _reply(self, data: bytes) -> None:
        self.send(_adapted(data, self._head))
        self._complete()

    def _reply_late(self, data: bytes) -> None:
        self._reply(data)
        self._advance()

    async def _play(self, reaction: Reaction) -> None:
        await asyncio.sleep(reaction.delay)
        await play(reaction.script, self, scale=self._house.time_scale)
        self._complete()
        self._advance()

    def _complete(self) -> None:
        keep = self._head is not None and self._head.keep_alive
        self._end(complete=True)
        self._reaction = None
        if self._transport is None or self._transport.is_closing():
            return
        if not keep:
            self._transport.close()
            return
        self._transport.resume_reading()
        self._rest()

    def _end(self, *, complete: bool) -> None:
        visit, self._visit, self._head = self._visit, None, None
        if visit is not None:
            visit.end(complete=complete)

    # Idle connections.

    def _rest(self) -> None:
        self._idle = self._loop.call_later(self._idle_limit, self.fin)

    def _wake(self) -> None:
        self._idle_limit = self._house.idle_timeout
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    # The line, as scripts use it.

    def send(self, data: bytes) -> None:
        """Write, if the client is still there."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def drained(self) -> None:
        """Wait until the client has read enough."""
        await self._writable.wait()

    def fin(self) -> None:
        """Close after what was sent."""
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """Drop with RST: a socket that lingers for no time sends no FIN."""
        if self._transport is not None:
            sock = self._transport.get_extra_info("socket")
            if sock is not None and sock.fileno() >= 0:  # a transport that is closing may have let it go
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()

    def close_idle(self, seconds: float) -> None:
        """Close if nothing arrives for so long after this reply."""
        self._idle_limit = seconds

    def close_on_next(self) -> None:
        """Close when the next request begins."""
        self._trapped = True

    def go_down(self, seconds: float, how: Literal["refuse", "ignore"]) -> None:
        """Take the whole server down."""
        self._house.go_down(seconds, how)


def _adapted(data: bytes, head: Head | None) -> bytes:
    """Tell a client whose connection will be closed, and leave out what HEAD does not want."""
    if head is None:
        return data
    if not head.keep_alive:
        data = data.replace(b"\r\n", b"\r\nconnection: close\r\n", 1)
    return data[: data.index(b"\r\n\r\n") + 4] if head.method == "HEAD" else data
