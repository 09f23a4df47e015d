"""The endpoints of a client: which one takes the next attempt, and how many attempts there may be in all.

An attempt goes to the endpoint with the fewest in flight. One that fails is left alone for a while, then tried with a
single attempt; one that asks for a pause gets it. The sum of what the endpoints allow is the limit of the permits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelcall.errors import ConfigError, Mistake
from modelcall.llm.endpoint import Endpoint
from modelcall.llm.hosts import HostsFile, is_url
from modelcall.llm.limits import AdaptiveLimit
from modelcall.llm.verdicts import Kind
from modelcall.redact import redact

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from modelcall.llm.endpoint import Ticket
    from modelcall.llm.exchange import EventHook
    from modelcall.llm.settings import ClientSettings
    from modelcall.llm.verdicts import Fault
    from modelcall.permits import Permits

MISSES: Final = 5
"""Failures in a row after which an endpoint is left alone for a while."""
STRIKES: Final = 5
"""Refusals in a row of what another endpoint took, after which an endpoint is left alone for long."""
REREAD: Final = 2.0
"""Seconds between looks at the hosts file."""
_TELL: Final = (1.0, 60.0)
"""Seconds between two reports of the limit: at first, and at most, doubling while it keeps moving."""
_PAUSE: Final = "endpoints"
_LOAD_FAULTS: Final = frozenset({"connect", "disconnected"})
"""What servers and balancers do when they have too many connections."""


class Pool:
    """All endpoints, and their effect on the permits. Told of time, keeps none itself."""

    def __init__(self, settings: ClientSettings, *, permits: Permits, hook: EventHook) -> None:
        self._settings = settings
        self._permits = permits
        self._hook = hook
        self._hosts = HostsFile(settings.hosts_file) if settings.hosts_file else None
        self._reread_at = 0.0
        self._ticked: float | None = None
        self._ceiling = permits.ceiling
        self._is_open = False
        self._told = 0
        self._tell_at = 0.0
        self._tell_every = _TELL[0]
        self.endpoints: list[Endpoint] = []
        self._set_urls(self._first_urls())

    def _first_urls(self) -> tuple[str, ...]:
        given = self._settings.base_urls
        mistakes = [
            Mistake(f"not an http(s) URL of a host alone: {redact(url)!r}", path="base_url")
            for url in given
            if not is_url(url)
        ]
        if mistakes:
            raise ConfigError("the endpoint cannot be asked", mistakes=mistakes)
        served = self._hosts.changed() if self._hosts is not None else None
        if not given and not served:
            raise ConfigError("there is no endpoint to ask", hint="set base_url, or a hosts_file that names servers")
        return (*given, *(served or ()))

    @property
    def names(self) -> str:
        """The endpoints, for messages."""
        names = [endpoint.name for endpoint in self.endpoints]
        return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")  # noqa: PLR2004  as said

    @property
    def limit_reason(self) -> str:
        """Why the limit is what it is now."""
        return "; ".join(dict.fromkeys(endpoint.limit_reason for endpoint in self.endpoints))

    def pick(self, failed_at: Collection[Endpoint] = (), refused_by: Collection[Endpoint] = ()) -> Endpoint | None:
        """Return the least busy endpoint that may be asked; None if the request should wait for one.

        One of ``failed_at`` is returned only if no other will have room soon, one of ``refused_by`` only if no other is
        well: it would refuse again.
        """
        if len(self.endpoints) == 1:
            only = self.endpoints[0]
            return only if only.outstanding < only.allowed else None
        if refused_by and self.has_other(refused_by):
            known = [endpoint for endpoint in self.endpoints if endpoint not in refused_by]
        else:
            known = self.endpoints
        others = [endpoint for endpoint in known if endpoint not in failed_at and endpoint not in refused_by]
        if not any(endpoint.allowed for endpoint in others):
            others = known
        return min((one for one in others if one.outstanding < one.allowed), key=_load, default=None)

    def has_other(self, tried: Collection[Endpoint]) -> bool:
        """Whether an endpoint not in ``tried`` is well."""
        return any(not e.is_sick for e in self.endpoints if e not in tried)

    def succeeded(self, ticket: Ticket, now: float) -> None:
        """An attempt was answered."""
        endpoint = ticket.endpoint
        endpoint.outstanding -= 1
        endpoint.limit.accepted(now, ticket.epoch)
        if endpoint.recover(now, now - ticket.started):
            self._hook("rejoined", {"endpoint": endpoint.name})
            self.refresh(now)

    def failed(self, ticket: Ticket, fault: Fault, now: float) -> None:
        """An attempt was not answered, or with a refusal."""
        endpoint, kind = ticket.endpoint, fault.verdict.kind
        endpoint.outstanding -= 1
        if kind is Kind.RATE_LIMIT:
            self._refused(ticket, now)
        elif kind is Kind.NETWORK:
            endpoint.limit.troubled(now)
            if fault.verdict.outage:
                self._missed(ticket, fault, now)
        elif ticket.probing and len(self.endpoints) > 1:
            endpoint.ban(now)
        if fault.wait and kind in {Kind.RATE_LIMIT, Kind.NETWORK} and endpoint.cool(now, fault.wait):
            self._hook("cooldown", {"endpoint": endpoint.name, "seconds": fault.wait, "cause": fault.verdict.cause})
        self.refresh(now)

    def cooled(self, name: str, seconds: float, now: float) -> None:
        """An endpoint asked somebody else to wait."""
        for endpoint in self.endpoints:
            if endpoint.name == name:
                endpoint.cool(now, seconds)
        self.refresh(now)

    def abandoned(self, ticket: Ticket) -> None:
        """An attempt was cancelled by us."""
        ticket.endpoint.outstanding -= 1

    def struck(self, endpoint: Endpoint, now: float) -> None:
        """The endpoint refused what another one took."""
        endpoint.strikes += 1
        if len(self.endpoints) > 1 and not endpoint.is_sick and (endpoint.strikes >= STRIKES or not endpoint.succeeded):
            endpoint.ban(now)
            self._hook("ejected", {"endpoint": endpoint.name, "cause": "refuses what others take"})
            self.refresh(now)

    def _refused(self, ticket: Ticket, now: float) -> None:
        ticket.endpoint.limit.refused(now, epoch=ticket.epoch, level=ticket.level)

    def _missed(self, ticket: Ticket, fault: Fault, now: float) -> None:
        endpoint = ticket.endpoint
        endpoint.misses += 1
        if fault.verdict.cause in _LOAD_FAULTS and endpoint.succeeded and endpoint.misses < MISSES:
            self._refused(ticket, now)
        if ticket.probing or endpoint.misses >= MISSES:
            seconds = endpoint.rest(now, ticket)
            if seconds is not None:
                self._hook("ejected", {"endpoint": endpoint.name, "cause": fault.verdict.cause, "seconds": seconds})

    def wake(self, now: float) -> None:
        """An outage ended: all endpoints get their load back little by little."""
        for endpoint in self.endpoints:
            endpoint.wake(now)
        self.refresh(now)

    def tick(self, now: float) -> None:
        """Let time pass: limits grow, pauses end, the hosts file is looked at."""
        elapsed = 0.0 if self._ticked is None else min(now - self._ticked, 1.0)
        self._ticked = now
        self._reread(now)
        self._follow_ceiling()
        for endpoint in self.endpoints:
            busy = endpoint.outstanding >= 0.9 * endpoint.allowed - 1
            endpoint.limit.tick(now, elapsed, busy=busy, latency=endpoint.latency)
        self.refresh(now)
        self._tell(now)

    def refresh(self, now: float) -> None:
        """Give the permits the limit that the endpoints allow together."""
        allowed = sum(endpoint.refresh(now) for endpoint in self.endpoints)
        if allowed or self._is_open:
            self._permits.set_limit(allowed)
            self._permits.resume(_PAUSE)
        else:
            self._permits.pause(_PAUSE)

    def open_gates(self) -> None:
        """Hold nobody back any longer: the client stops, and who waits must learn of it."""
        self._is_open = True
        self._permits.resume(_PAUSE)

    def _follow_ceiling(self) -> None:
        if self._ceiling != self._permits.ceiling:
            self._ceiling = self._permits.ceiling
            for endpoint in self.endpoints:
                endpoint.limit.set_ceiling(self._ceiling)

    def _reread(self, now: float) -> None:
        if self._hosts is None or now < self._reread_at:
            return
        self._reread_at = now + REREAD
        served = self._hosts.changed()
        if served is not None:
            self._set_urls((*self._settings.base_urls, *served))
            self._hook("hosts", {"endpoints": [endpoint.name for endpoint in self.endpoints]})

    def _set_urls(self, urls: Iterable[str]) -> None:
        wanted = tuple(dict.fromkeys(url.rstrip("/") for url in urls))
        known = {endpoint.url: endpoint for endpoint in self.endpoints}
        self.endpoints = [known.get(url) or self._make(url, len(wanted)) for url in wanted]

    def _make(self, url: str, count: int) -> Endpoint:
        limit = AdaptiveLimit(ceiling=self._permits.ceiling, adaptive=self._settings.adaptive, sharers=count)
        return Endpoint(url, limit)

    def _tell(self, now: float) -> None:
        limit = self._permits.limit
        if abs(limit - self._told) < max(1, self._told // 10) or now < self._tell_at:
            return
        is_quiet = now - self._tell_at > _TELL[1]
        self._tell_every = _TELL[0] if is_quiet else min(2 * self._tell_every, _TELL[1])
        self._told, self._tell_at = limit, now + self._tell_every
        self._hook("limit", {"limit": limit, "ceiling": self._permits.ceiling, "reason": self.limit_reason})


def _load(endpoint: Endpoint) -> int:
    return endpoint.outstanding
