"""What the fast lane knows of an endpoint: the head of every request to it, and the connections that wait for one."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from aiohttp.hdrs import CONTENT_LENGTH

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from aiohttp import ClientRequest
    from aiohttp.connector import Connection


class Target:
    """An endpoint.

    Args:
        request: What connections are asked for with. Its headers are what aiohttp makes of ours.
        keepalive: Seconds for which a connection may wait for its next request.
        loop: Where connections are used; its clock tells how long they wait.
    """

    def __init__(self, request: ClientRequest, *, keepalive: float, loop: asyncio.AbstractEventLoop) -> None:
        self.request = request
        self._keepalive = keepalive
        self._loop = loop
        self._start: bytes = b""
        self._idle: deque[tuple[float, Connection]] = deque()
        """Since when, the longest first."""
        self._timer: asyncio.TimerHandle | None = None

    def head(self, headers: Mapping[str, str], length: int) -> bytes:
        """Return the head of a request with a body of ``length`` bytes; call it when there is a connection.

        A proxy's credentials are added by aiohttp when it makes one.
        """
        if not self._start:
            request = self.request
            path = str(request.url) if request.proxy and not request.is_ssl() else request.url.raw_path_qs
            lines = _lines({name: value for name, value in request.headers.items() if name != CONTENT_LENGTH})
            self._start = f"POST {path} HTTP/1.1\r\n{lines}".encode()
        return b"%b%bContent-Length: %d\r\n\r\n" % (self._start, _lines(headers).encode(), length)

    def take(self) -> Connection | None:
        """Return the connection that was used last of those still good for a request: it is open, and nothing came."""
        now = self._loop.time()
        while self._idle:
            since, connection = self._idle.pop()
            protocol = connection.protocol
            is_quiet = protocol is not None and protocol.is_connected() and not protocol.should_close
            if is_quiet and now - since < self._keepalive:
                return connection
            connection.close()
        return None

    def keep(self, connection: Connection) -> None:
        """Keep a connection whose reply has been read for the next request, if the server does."""
        if connection.protocol is None or connection.protocol.should_close:
            connection.close()
            return
        self._idle.append((self._loop.time(), connection))
        if self._timer is None:
            self._timer = self._loop.call_later(self._keepalive, self._sweep)

    def _sweep(self) -> None:
        """Close the connections that have waited too long, and look again when the next one will have."""
        self._timer = None
        oldest = self._loop.time() - self._keepalive
        while self._idle and self._idle[0][0] <= oldest:
            self._idle.popleft()[1].close()
        if self._idle:
            self._timer = self._loop.call_later(self._idle[0][0] - oldest, self._sweep)

    def close(self) -> None:
        """Let go of the connections that wait."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._idle:
            self._idle.pop()[1].close()


def _lines(headers: Mapping[str, str]) -> str:
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers):
        raise ValueError("a header holds a line break")  # it would be read as a header of its own
    return lines
