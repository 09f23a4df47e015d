"""The fast lane: aiohttp, with as little as possible on the path of a request."""

from __future__ import annotations

import asyncio
import io
import socket
import ssl
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

import aiohttp
from yarl import URL

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
    from collections.abc import Mapping

    from aiohttp.client_proto import ResponseHandler
    from aiohttp.tracing import Trace

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

_LARGE = 2**20
"""Bytes from which aiohttp wants a body as a stream."""

_fresh: ContextVar[bool] = ContextVar("fresh", default=True)
"""Whether the attempt at hand made its connection. If not, the server may have closed it before."""


class _ForbiddenError(OSError):
    """A link-local address."""


def _guarded_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, _, where = address
    if is_forbidden(str(where[0])):
        raise _ForbiddenError(f"{where[0]} is a link-local address, where no model is served")
    made = socket.socket(family, kind, protocol)
    made.setblocking(False)  # noqa: FBT003  the standard library's own
    return made


class _Connector(aiohttp.TCPConnector):
    """Tells which connections are new."""

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  aiohttp's own signature
    ) -> ResponseHandler:
        _fresh.set(True)
        return await super()._create_connection(req, traces, timeout)


class AiohttpLane:
    """One session, one TLS context; connections as many as requests in flight."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._query = {str(k): str(v) for k, v in (settings.completions_params.get("extra_query") or {}).items()}
        self._urls: dict[str, URL] = {}
        self._session = aiohttp.ClientSession(
            connector=_Connector(
                limit=0,
                keepalive_timeout=settings.keepalive,
                ttl_dns_cache=10,
                socket_factory=_guarded_socket,
                ssl=tls_context(),
            ),
            headers=static_headers(settings),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, connect=settings.connect_timeout),
            auto_decompress=False,
            trust_env=False,
            max_line_size=settings.max_header_bytes,
            max_field_size=settings.max_header_bytes,
        )

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> RawResponse:
        """Post and read the whole reply."""
        begun = False
        _fresh.set(False)
        try:
            async with self._session.post(
                self._urls.get(url) or self._prepare(url),
                data=body if len(body) < _LARGE else io.BytesIO(body),
                headers=headers,
                proxy=self._settings.proxy,
                allow_redirects=False,
            ) as reply:
                begun = True
                return RawResponse(reply.status, reply.headers, await self._body(reply))
        except (aiohttp.ClientError, OSError, UnicodeError) as error:
            raise _fault(error, begun=begun) from error

    def _prepare(self, url: str) -> URL:
        made = URL(url.rstrip("/") + CHAT_PATH)
        self._urls[url] = made.update_query(self._query) if self._query else made
        return self._urls[url]

    async def _body(self, reply: aiohttp.ClientResponse) -> bytes:
        limit = self._settings.max_reply_bytes
        length = reply.content_length
        if length is not None and length > limit:
            raise too_large(limit)
        body = await (reply.read() if length is not None else read_body(reply.content.iter_any(), limit=limit))
        encoding = reply.headers.get("content-encoding")
        return decode(body, encoding, limit=limit) if encoding else body

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
        # A closed TLS transport ends its socket in the next turns of the loop.
        await asyncio.sleep(0)


def _fault(error: BaseException, *, begun: bool) -> TransportFault:
    if isinstance(getattr(error, "os_error", error), _ForbiddenError):
        return TransportFault(FaultKind.FORBIDDEN, str(error))
    kind = next(kind for known, kind in FAULTS if isinstance(error, known))
    stale = kind is FaultKind.DISCONNECTED and not begun and not _fresh.get()
    return TransportFault(kind, told(kind, error), stale=stale)
