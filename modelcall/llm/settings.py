"""What a client must know of its endpoint and of how to treat it. Picklable: it travels to worker processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from modelcall.redact import credentials_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelcall.types import Secret

Lane = Literal["aiohttp", "openai"]
Structured = Literal["auto", "schema", "object", "prompt"]


@dataclass(frozen=True, slots=True)
class Retries:
    """Extra attempts of one request, by what went wrong."""

    network: int = 3
    rate_limit: int = 3
    format: int = 3


@dataclass(frozen=True, slots=True)
class Adaptive:
    """How the number of requests in flight may move below the ceiling."""

    enabled: bool = True
    floor: int = 1
    """Refusals never push an endpoint's limit below this."""
    start: int | None = None
    """Limit at the start. None: a sixty-fourth of the ceiling, at least 8."""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """One endpoint (or pool of equal ones), one model."""

    base_urls: tuple[str, ...]
    """URLs below which ``/chat/completions`` lies; several make a pool."""
    model_name: str
    api_key: Secret | None = None
    completions_params: Mapping[str, Any] = field(default_factory=dict)
    """Sent as they are; ``extra_body``, ``extra_headers`` and ``extra_query`` mean what the SDK means by them."""
    lane: Lane = "aiohttp"
    structured: Structured = "auto"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    proxy: str | None = field(default=None, repr=False)
    masked: tuple[str, ...] = field(default=(), repr=False)
    """Further texts that no message may repeat: the credentials of the environment."""
    hosts_file: str | None = None
    """One URL a line, ``#`` comments; re-read while running. Adds to ``base_urls``."""
    timeout: float = 300.0
    """Total seconds of one attempt."""
    connect_timeout: float = 20.0
    """Seconds to connect, at most; the attempt's deadline holds too."""
    retries: Retries = field(default_factory=Retries)
    format_retry: bool = True
    outage_grace: float = 1800.0
    """Seconds without a success, failures only, after which the run stops."""
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    hedge_after: float | None = None
    """Seconds after which an unanswered attempt is asked of another endpoint of the pool too."""
    adaptive: Adaptive = field(default_factory=Adaptive)
    max_reply_bytes: int = 16 * 2**20
    """Of a reply's body, on the wire and decompressed."""
    max_header_bytes: int = 128 * 2**10
    keepalive: float = 3.0
    """Seconds an idle connection is kept: less than common servers keep it (vLLM, uvicorn and node: 5)."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that must stand nowhere: the key, and headers, which often carry another."""
        extra = self.completions_params.get("extra_headers") or {}
        query = self.completions_params.get("extra_query") or {}
        values = [str(value) for value in (*self.headers.values(), *extra.values(), *query.values())]
        key = [self.api_key.reveal()] if self.api_key is not None else []
        return (*key, *credentials_in(values))
