"""The seam between the client and HTTP: bytes out, status, headers and bytes back, or a :class:`TransportFault`.

Both lanes map their library's exceptions to fault kinds here, at their one edge, by type. Redirects are not followed,
proxies of the environment not used, link-local addresses (where clouds keep their credentials) not connected to.
"""

from __future__ import annotations

import pkgutil
import ssl
from enum import StrEnum
from functools import cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Protocol, cast

from modelcall.errors import RetryableError
from modelcall.values import row_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from modelcall.llm.settings import ClientSettings, Lane

LANES: Mapping[Lane, str] = {
    "aiohttp": "modelcall.llm.aiohttp_lane:AiohttpLane",
    "openai": "modelcall.llm.openai_lane:OpenAILane",
}
"""Where the lanes live. Only the one in use is imported: the SDK alone takes most of a second."""

CHAT_PATH = "/chat/completions"


class FaultKind(StrEnum):
    """What kept a reply from arriving whole."""

    CONNECT = "connect"
    """No connection: refused, unreachable, no such name, no answer in time."""
    TLS = "tls"
    """The server's certificate or handshake cannot be trusted."""
    TIMEOUT = "timeout"
    """The attempt's deadline passed."""
    DISCONNECTED = "disconnected"
    """The connection broke before the reply was whole."""
    PROTOCOL = "protocol"
    """What came is not HTTP as we can read it."""
    BODY = "body"
    """The body cannot be decoded, or is larger than allowed."""
    PROXY = "proxy"
    """The configured proxy refused."""
    URL = "url"
    """The URL is none."""
    FORBIDDEN = "forbidden"
    """The address must not be connected to."""


class TransportFault(RetryableError):  # noqa: N818  what happened, not an error of ours
    """No reply. ``stale``: on a connection kept from before, closed before any byte of the reply."""

    def __init__(self, kind: FaultKind, message: str, *, stale: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.stale = stale


@row_value
class RawResponse:
    """A whole reply, decompressed. Any status."""

    status: int
    headers: Mapping[str, str]
    """Names compare without regard to case."""
    body: bytes


class Transport(Protocol):
    """One way to speak HTTP. The caller sets the deadline, by cancelling."""

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> RawResponse:
        """Post a JSON body to ``<url>/chat/completions``; ``headers`` come on top of those of the settings.

        Raises:
            TransportFault: No whole reply came.
        """

    async def close(self) -> None:
        """Close all connections; no task or socket is left."""


def open_lane(settings: ClientSettings) -> Transport:
    """Import and open the lane that the settings ask for. Call it on the event loop that will send."""
    lane = cast("Callable[[ClientSettings], Transport]", pkgutil.resolve_name(LANES[settings.lane]))
    return lane(settings)


@cache
def tls_context() -> ssl.SSLContext:
    """Return the one TLS context of the process: both lanes trust what this machine trusts."""
    return ssl.create_default_context()


def static_headers(settings: ClientSettings) -> dict[str, str]:
    """Return the headers that are the same in every attempt, the key among them."""
    headers = {"content-type": "application/json", "accept": "application/json", "accept-encoding": "gzip, deflate"}
    headers["user-agent"] = "modelcall"
    if settings.api_key is not None:
        headers["authorization"] = f"Bearer {settings.api_key.reveal()}"
    extra = settings.completions_params.get("extra_headers") or {}
    return headers | {str(name).lower(): str(value) for name, value in {**settings.headers, **extra}.items()}


def is_forbidden(address: str) -> bool:
    """Whether this IP address is link-local."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    return (mapped or ip).is_link_local
