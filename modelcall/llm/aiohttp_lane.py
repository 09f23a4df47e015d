"""The fast lane: aiohttp's connections and its parser, with as little as possible on the path of a request.

What aiohttp does for every request of a session (merging headers, cookies, redirects, payloads, a response object) is
the same for all of ours, or not wanted, and costs more than all else together: 0.05 of 0.09 ms. So the head of a
request is written once an endpoint, and what comes is read from the connection itself.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import aiohttp
from yarl import URL

from modelcall.llm.aiohttp_target import Target
from modelcall.llm.bodies import decode, read_body, too_large
from modelcall.llm.telling import told
from modelcall.llm.transport import (
    CHAT_PATH,
    FaultKind,
    RawResponse,
    TransportFault,
    is_forbidden,
    static_headers,
    tls_context,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aiohttp.connector import Connection
    from aiohttp.http_parser import RawResponseMessage

    from modelcall.llm.settings import ClientSettings

FAULTS: Final[tuple[tuple[type[BaseException], FaultKind], ...]] = (
    (aiohttp.ClientConnectorCertificateError, FaultKind.TLS),
    (aiohttp.ClientConnectorSSLError, FaultKind.TLS),
    (aiohttp.ClientSSLError, FaultKind.TLS),
    (aiohttp.ServerFingerprintMismatch, FaultKind.TLS),
    (ssl.SSLError, FaultKind.TLS),
    (aiohttp.ClientHttpProxyError, FaultKind.PROXY),
    (aiohttp.ClientConnectorError, FaultKind.CONNECT),
    (aiohttp.ConnectionTimeoutError, FaultKind.CONNECT),
    (aiohttp.ServerTimeoutError, FaultKind.TIMEOUT),
    (aiohttp.ServerConnectionError, FaultKind.DISCONNECTED),
    (aiohttp.ClientConnectionError, FaultKind.DISCONNECTED),
    (aiohttp.ClientPayloadError, FaultKind.DISCONNECTED),
    # aiohttp reports a reply it cannot parse as a ClientResponseError with the invented status 400.
    (aiohttp.ClientResponseError, FaultKind.PROTOCOL),
    (aiohttp.InvalidURL, FaultKind.URL),
    (aiohttp.ClientError, FaultKind.PROTOCOL),
    (aiohttp.http_exceptions.HttpProcessingError, FaultKind.PROTOCOL),
    (OSError, FaultKind.DISCONNECTED),
    (UnicodeError, FaultKind.CONNECT),  # a name that cannot be one in DNS
)
"""Exceptions of a request, most specific first."""

_BUFFERED: Final = 2**16
"""Bytes of a reply from which on the connection is read no faster than the reply is."""
_FINAL: Final = 200
"""Statuses below it announce another reply, but for that of a connection which is HTTP no more."""
_SWITCHED: Final = 101


class _ForbiddenError(OSError):
    """A link-local address."""


def _guarded_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, _, where = address
    if is_forbidden(str(where[0])):
        raise _ForbiddenError(f"{where[0]} is a link-local address, where no model is served")
    made = socket.socket(family, kind, protocol)
    made.setblocking(False)  # noqa: FBT003  the standard library's own
    return made


class AiohttpLane:
    """Connections as many as requests in flight, kept for the next ones to the same endpoint; one TLS context."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._query = {str(k): str(v) for k, v in (settings.completions_params.get("extra_query") or {}).items()}
        self._timeout = aiohttp.ClientTimeout(total=None, connect=settings.connect_timeout)
        self._targets: dict[str, Target] = {}
        self._connector = aiohttp.TCPConnector(
            limit=0,
            ttl_dns_cache=10,
            socket_factory=_guarded_socket,
        )

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> RawResponse:
        """Post and read the whole reply."""
        may_be_stale = False
        try:
            target = self._targets.get(url) or self._prepare(url)
            kept = target.take()
            may_be_stale = kept is not None  # the server may have closed it while nobody looked
            connection = kept or await self._connect(target)
            try:
                message, content = await self._post(connection, (target.head(headers, len(body)), body))
                may_be_stale = False
                reply = RawResponse(
                    message.code, message.headers, await self._body(connection, message.headers, content)
                )
            except BaseException:
                _give_up(connection)
                raise
            target.keep(connection)
        except (aiohttp.ClientError, aiohttp.http_exceptions.HttpProcessingError, OSError, UnicodeError) as error:
            raise _fault(error, may_be_stale=may_be_stale) from error
        return reply

    def _prepare(self, url: str) -> Target:
        made = URL(url.rstrip("/") + CHAT_PATH)
        proxy = None if self._settings.proxy is None else URL(self._settings.proxy)
        is_secret = made.scheme == "https" or (proxy is not None and proxy.scheme == "https")
        loop = asyncio.get_running_loop()
        request = aiohttp.ClientRequest(
            "POST",
            made.update_query(self._query) if self._query else made,
            headers=static_headers(self._settings),
            proxy=proxy,
            ssl=tls_context() if is_secret else True,
            loop=loop,
        )
        self._targets[url] = Target(request, keepalive=self._settings.keepalive, loop=loop)
        return self._targets[url]

    async def _connect(self, target: Target) -> Connection:
        try:
            connection = await self._connector.connect(target.request, [], self._timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError(f"no connection within {self._timeout.connect:g} s") from error
        if (end := _end_of(connection)) is not None:
            end.add_done_callback(asyncio.Future.exception)  # else one that breaks while it is idle is logged
        return connection

    async def _post(
        self, connection: Connection, request: tuple[bytes, bytes]
    ) -> tuple[RawResponseMessage, aiohttp.StreamReader]:
        """Send a request; return the head of its reply, and what its body is read from."""
        protocol, transport = connection.protocol, connection.transport
        if protocol is None or transport is None:
            raise aiohttp.ServerDisconnectedError
        protocol.set_response_params(
            read_until_eof=True,
            auto_decompress=False,
            read_bufsize=_BUFFERED,
            max_line_size=self._settings.max_header_bytes,
            max_field_size=self._settings.max_header_bytes,
        )
        transport.writelines(request)
        message, content = await protocol.read()
        while message.code < _FINAL and message.code != _SWITCHED:
            message, content = await protocol.read()
        return message, content

    async def _body(self, connection: Connection, headers: Mapping[str, str], content: aiohttp.StreamReader) -> bytes:
        limit = self._settings.max_reply_bytes
        length = headers.get("content-length")
        if length is not None and int(length) > limit:
            raise too_large(limit)
        if length is not None and content.is_eof():
            body = content.read_nowait()
        else:
            with _ending_with(connection, content):
                body = await (content.read() if length is not None else read_body(content.iter_any(), limit=limit))
        encoding = headers.get("content-encoding")
        return decode(body, encoding, limit=limit) if encoding else body

    async def close(self) -> None:
        """Close all connections."""
        await self._connector.close()
        for target in self._targets.values():
            target.close()
        # A closed TLS transport ends its socket in the next turns of the loop.
        await asyncio.sleep(0)


def _end_of(connection: Connection) -> asyncio.Future[None] | None:
    """Return what is done when a connection is closed; None: it is."""
    return None if connection.protocol is None else connection.protocol.closed


@contextmanager
def _ending_with(connection: Connection, content: aiohttp.StreamReader) -> Iterator[None]:
    """Let a body fail at the end of its connection.

    Of bytes that are no HTTP aiohttp tells who waits for a reply, but nobody who waits for the rest of its body.
    """
    protocol, end = connection.protocol, _end_of(connection)

    def fail(_: object = None) -> None:
        if not content.is_eof() and content.exception() is None:
            error = protocol.exception() if protocol is not None else None
            content.set_exception(error or aiohttp.ServerDisconnectedError())

    if end is None:
        fail()
        yield
        return
    end.add_done_callback(fail)
    try:
        yield
    finally:
        end.remove_done_callback(fail)


def _give_up(connection: Connection) -> None:
    """Close a connection at once: a request that nobody waits for any more need not be sent to its end."""
    if connection.transport is not None:
        connection.transport.abort()
    connection.close()


def _fault(error: BaseException, *, may_be_stale: bool) -> TransportFault:
    if isinstance(getattr(error, "os_error", error), _ForbiddenError):
        return TransportFault(FaultKind.FORBIDDEN, str(error))
    kind = next(kind for known, kind in FAULTS if isinstance(error, known))
    return TransportFault(kind, told(kind, error), stale=may_be_stale and kind is FaultKind.DISCONNECTED)
