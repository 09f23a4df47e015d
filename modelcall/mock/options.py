"""What a user may choose about the embedded server."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from modelcall.errors import ConfigError
from modelcall.mock.faults.rules import FaultRule

if TYPE_CHECKING:
    from collections.abc import Mapping

Certificate: TypeAlias = Literal["self_signed", "expired", "wrong_host"]
JudgeName: TypeAlias = Literal["rules", "instant"]
Distribution: TypeAlias = Literal["lognormal", "uniform"]


@dataclass(frozen=True, slots=True)
class MockOptions:
    """The embedded server's behaviour. Durations are seconds; every one of them is multiplied by ``time_scale``."""

    port: int = 0
    """0: any free port."""
    seed: int = 0
    """Faults and latencies are functions of (seed, request, attempt)."""
    judge: JudgeName = "rules"
    """The quality rules, or for measuring clients a checksum that costs nothing."""
    latency: float = 0.0
    """Median time from request to reply."""
    jitter: float = 0.0
    """Spread of the latency: half its range if uniform; if lognormal, one deviation up is ``latency + jitter``."""
    distribution: Distribution = "lognormal"
    faults: tuple[FaultRule, ...] = ()
    time_scale: float = 1.0
    capacity: int | None = None
    """Requests in flight above this get 429."""
    requests_per_second: float | None = None
    """Requests above this rate get 429 that says when to come back."""
    service_rate: float | None = None
    """The server answers so many requests a second and lets the others wait."""
    max_connections: int | None = None
    """Connections above this are reset."""
    idle_timeout: float | None = None
    """Idle connections are closed after this; None: after 75 real seconds."""
    restart_every: float | None = None
    """The server restarts this often: it drops all connections and refuses new ones for ``restart_for``."""
    restart_for: float = 1.0
    starts_after: float = 0.0
    """Connections are refused for this long at the start."""
    api_key: str | None = None
    """The only key that is accepted; None: any, also none."""
    context_length: int | None = None
    """Prompts of more tokens are refused, as vLLM does."""
    max_body: int = 64 << 20
    """Bytes of a request body; larger ones get 413."""
    log_requests: int = 1000
    """So many of the latest requests are kept in the referee's log."""
    tls: Certificate | None = None
    """Speak https with a certificate of this kind (made with the ``openssl`` command)."""

    def __post_init__(self) -> None:
        mistakes = [text for text in self._mistakes() if text]
        if mistakes:
            raise ConfigError(
                f"The embedded server cannot run so: {'; '.join(mistakes)}.", hint="Correct these options."
            )

    def _mistakes(self) -> list[str | None]:
        positive = ("time_scale", "capacity", "requests_per_second", "service_rate", "max_connections", "restart_every")
        natural = ("latency", "jitter", "idle_timeout", "restart_for", "starts_after", "port", "log_requests")
        return [
            *(_below(self, name, least=0, strict=True) for name in positive),
            *(_below(self, name, least=0, strict=False) for name in natural),
            None if self.port <= 65535 else f"port must be at most 65535, got {self.port}",  # noqa: PLR2004  16 bits
            _other_than(self.judge, "judge", get_args(JudgeName)),
            _other_than(self.distribution, "distribution", get_args(Distribution)),
            _other_than(self.tls, "tls", (None, *get_args(Certificate))),
            "a lognormal jitter needs a latency" if self._has_spread_of_nothing() else None,
        ]

    def _has_spread_of_nothing(self) -> bool:
        return self.distribution == "lognormal" and self.jitter > 0 and self.latency == 0

    def to_json(self) -> dict[str, Any]:
        """Return plain values, for another process."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> MockOptions:
        """Undo :meth:`to_json`."""
        return cls(**{**values, "faults": tuple(FaultRule(**rule) for rule in values["faults"])})


def _other_than(value: object, name: str, choices: tuple[object, ...]) -> str | None:
    known = " or ".join(str(choice) for choice in choices if choice is not None)
    return None if value in choices else f"{name} must be {known}, got {value}"


def _below(options: MockOptions, name: str, *, least: float, strict: bool) -> str | None:
    value = getattr(options, name)
    if value is None or value > least or (value == least and not strict):
        return None
    return f"{name} must be {'above' if strict else 'at least'} {least:g}, got {value:g}"
