"""What the fast lane knows of an endpoint: the head of every request to it, and the connections that wait for one."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from aiohttp.hdrs import CONTENT_LENGTH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import ClientRequest
    from aiohttp.connector import Connection


class Target:
    """An endpoint.

    Args:
        request: What connections are asked for with. Its headers are what aiohttp makes of ours.
        keepalive: Seconds for which a connection may wait for its next request.
    """

    def __init__(self, request: ClientRequest, *, keepalive: float) -> None:
        self.request = request
        self._keepalive = keepalive
        self._start: bytes = b""
        self._idle: deque[tuple[float, Connection]] = deque()
        """Since when, the longest first."""

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

    def take(self, now: float) -> Connection | None:
        """Return the connection that was used last of those still good for a request: nobody asked, nothing came."""
        while self._idle:
            since, connection = self._idle.pop()
            protocol = connection.protocol
            is_there = protocol is not None and protocol.is_connected() and not protocol.should_close
            if is_there and now - since < self._keepalive:
                return connection
            connection.close()
        return None

    def keep(self, connection: Connection, now: float) -> None:
        """Keep a connection whose reply has been read for the next request, if the server does; close old ones."""
        if connection.protocol is None or connection.protocol.should_close:
            connection.close()
        else:
            self._idle.append((now, connection))
        while self._idle and now - self._idle[0][0] >= self._keepalive:
            self._idle.popleft()[1].close()

    def close(self) -> None:
        """Close the connections that wait."""
        while self._idle:
            self._idle.pop()[1].close()


def _lines(headers: Mapping[str, str]) -> str:
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers):
        raise ValueError("a header holds a line break")  # it would be read as a header of its own
    return lines
