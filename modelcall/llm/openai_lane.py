"""The SDK lane: the official client writes the request, so that whatever it alone can do is at hand.

It retries nothing itself (``max_retries=0``) and parses nothing: its replies are read raw, below it, with our bounds.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, Final, cast

import httpx2
import orjson
from openai import APIStatusError, AsyncOpenAI, Omit

from modelcall.llm.bodies import decode, read_body
from modelcall.llm.telling import told
from modelcall.llm.transport import FaultKind, RawResponse, TransportFault, is_forbidden, static_headers, tls_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Mapping

    from modelcall.llm.settings import ClientSettings

FAULTS: Final[tuple[tuple[type[BaseException], FaultKind], ...]] = (
    (ssl.SSLError, FaultKind.TLS),
    (httpx2.ConnectTimeout, FaultKind.CONNECT),
    (httpx2.ConnectError, FaultKind.CONNECT),
    (httpx2.TimeoutException, FaultKind.TIMEOUT),
    (httpx2.NetworkError, FaultKind.DISCONNECTED),
    (httpx2.ProxyError, FaultKind.PROXY),
    (httpx2.UnsupportedProtocol, FaultKind.URL),
    (httpx2.InvalidURL, FaultKind.URL),
    (httpx2.ProtocolError, FaultKind.PROTOCOL),
    (httpx2.RequestError, FaultKind.PROTOCOL),
    (OSError, FaultKind.DISCONNECTED),
)
"""Exceptions of a request, most specific first."""

_CUT: Final = ("disconnected", "closed connection", "incomplete")
"""Words by which a RemoteProtocolError tells a broken connection from a broken reply: it has no field for it."""
_NO_KEY: Final = "EMPTY"
"""What the SDK gets if there is no key; it is not sent."""


class OpenAILane:
    """One SDK client per base URL over one connection pool."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._clients: dict[str, AsyncOpenAI] = {}
        extra_query = settings.completions_params.get("extra_query")
        self._query = dict(extra_query) if extra_query else None
        self._http = httpx2.AsyncClient(
            transport=_Guard(settings),
            trust_env=False,
            follow_redirects=False,
            timeout=httpx2.Timeout(None, connect=settings.connect_timeout),
        )

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> RawResponse:
        """Hand the request to the SDK; its status errors are replies like any other."""
        client = self._clients.get(url) or self._prepare(url)
        request: dict[str, Any] = orjson.loads(body)
        model, messages = request.pop("model"), request.pop("messages")
        try:
            raw = await client.chat.completions.with_raw_response.create(
                model=model, messages=messages, extra_body=request, extra_headers=headers, extra_query=self._query
            )
        except APIStatusError as error:
            reply = error.response
        else:
            reply = raw.http_response
        return RawResponse(reply.status_code, reply.headers, reply.content)

    def _prepare(self, url: str) -> AsyncOpenAI:
        settings = self._settings
        # The SDK would add organization and project from the environment, which is not ours to read.
        ambient: dict[str, Any] = {"OpenAI-Organization": Omit(), "OpenAI-Project": Omit()}
        self._clients[url] = AsyncOpenAI(
            api_key=settings.api_key.reveal() if settings.api_key is not None else _NO_KEY,
            base_url=url,
            max_retries=0,
            http_client=self._http,
            default_headers=ambient | _own_headers(settings),
        )
        return self._clients[url]

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()


def _own_headers(settings: ClientSettings) -> dict[str, str]:
    headers = static_headers(settings)
    return {name: value for name, value in headers.items() if name not in {"content-type", "accept"}}


class _Guard(httpx2.AsyncBaseTransport):
    """Reads replies within their bounds, and turns the HTTP library's exceptions into faults."""

    def __init__(self, settings: ClientSettings) -> None:
        self._limit = settings.max_reply_bytes
        self._is_keyless = "authorization" not in static_headers(settings)
        self._inner = httpx2.AsyncHTTPTransport(
            verify=tls_context(),
            trust_env=False,
            proxy=settings.proxy,
            limits=httpx2.Limits(
                max_connections=None, max_keepalive_connections=None, keepalive_expiry=settings.keepalive
            ),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        watch = _Watch()
        if is_forbidden(request.url.host):
            raise _forbidden(request.url.host)
        if self._is_keyless:  # the SDK cannot do without a key; a server without one need not see a made-up one
            request.headers.pop("authorization", None)
        request.extensions = {**request.extensions, "trace": watch}
        try:
            reply = await self._inner.handle_async_request(request)
            try:
                content = await read_body(cast("AsyncIterable[bytes]", reply.stream), limit=self._limit)
            finally:
                await reply.aclose()
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise _fault(error, watch) from error
        encoding = reply.headers.get("content-encoding")
        if encoding:
            content = decode(content, encoding, limit=self._limit)
        kept = [(name, value) for name, value in reply.headers.multi_items() if name.lower() not in _DONE]
        return httpx2.Response(reply.status_code, headers=kept, content=content, request=request)

    async def aclose(self) -> None:
        await self._inner.aclose()


_DONE: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""Headers of what the guard has undone."""


class _Watch:
    """Follows one request: whether its connection is new, where it leads, whether the reply had begun."""

    def __init__(self) -> None:
        self.is_new = False
        self.begun = False

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.started":
            self.is_new = True
        elif event == "connection.connect_tcp.complete":
            address = info["return_value"].get_extra_info("server_addr")
            if address and is_forbidden(str(address[0])):
                raise _forbidden(str(address[0]))
        elif event == "http11.receive_response_headers.complete":
            self.begun = True


def _forbidden(address: str) -> TransportFault:
    return TransportFault(FaultKind.FORBIDDEN, f"{address} is a link-local address, where no model is served")


def _fault(error: BaseException, watch: _Watch) -> TransportFault:
    kind = next(kind for known, kind in FAULTS if isinstance(error, known))
    if _is_tls(error):
        kind = FaultKind.TLS
    elif isinstance(error, httpx2.RemoteProtocolError) and any(word in str(error).lower() for word in _CUT):
        kind = FaultKind.DISCONNECTED
    stale = kind is FaultKind.DISCONNECTED and not watch.is_new and not watch.begun
    return TransportFault(kind, told(kind, error), stale=stale)


def _is_tls(error: BaseException | None) -> bool:
    """Whether the handshake is at the bottom of it: httpx tells it as a ConnectError like any other."""
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False
