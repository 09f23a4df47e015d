"""The referee: what was asked of the server, how often, and with which key. It holds the truth about calls made."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(slots=True)
class RowRecord:
    """All requests of one row: those whose ``x-request-id`` has the same stem."""

    attempts: list[int] = field(default_factory=list)
    """Attempt numbers in order of arrival; a number that stands twice was sent twice."""
    answered: int = 0
    """Good replies that were handed to the connection."""
    faults: list[str] = field(default_factory=list)
    after_answer: int = 0
    """Requests that arrived after a good reply."""
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request, for the log."""

    arrival: int
    time: float
    """Seconds since the epoch."""
    stem: str
    attempt: int
    fault: str | None
    in_flight: int
    """With this one."""
    host: str
    retry_count: str | None
    """``x-stainless-retry-count``, as it came."""
    accept_encoding: str | None
    connection: str | None
    body_sha256: str


@dataclass(frozen=True, slots=True)
class RefereeReport:
    """Sums over all requests for completions since the start or the last reset."""

    requests: int = 0
    rows: int = 0
    answered: int = 0
    """Good replies handed to connections."""
    answered_rows: int = 0
    abandoned: int = 0
    """Requests whose client left before the end of the reply."""
    after_answer: int = 0
    """Requests for rows that had a good reply already."""
    repeated_attempts: int = 0
    """Requests with a stem and attempt seen before: hidden retries, or a run started again."""
    requests_per_row: Mapping[int, int] = field(default_factory=dict)
    """How many rows were asked for so often."""
    attempts: Mapping[int, int] = field(default_factory=dict)
    """How many requests had this attempt number."""
    faults: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[int, int] = field(default_factory=dict)
    """Requests the server itself refused (400, 401, 404, 429 of its limits, …), by status."""
    in_flight: int = 0
    max_in_flight: int = 0
    connections: int = 0
    """Opened in all."""
    max_connections: int = 0
    first_arrival: float | None = None
    """Seconds since the epoch."""
    last_arrival: float | None = None
    keys: Mapping[str, int] = field(default_factory=dict)
    """Requests by :func:`key_print` of their key; the empty name: no key."""
    hosts: Mapping[str, int] = field(default_factory=dict)
    """Requests by Host header."""
    keys_elsewhere: int = 0
    """Requests that followed a redirect to another host and brought the key along."""
    unlabelled: int = 0
    """Requests without ``x-request-id``."""
    hidden_retries: int = 0
    """Requests that say ``x-stainless-retry-count`` 1 or more."""
    idempotency_keys: int = 0
    """Requests with an ``idempotency-key``."""
    idempotency_broken: int = 0
    """Requests whose ``idempotency-key`` differs from that of the row's earlier ones."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a JSON document."""
        plain = asdict(self)
        return {k: {str(n): c for n, c in v.items()} if isinstance(v, dict) else v for k, v in plain.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> RefereeReport:
        """Undo :meth:`to_json`."""
        numbered = ("requests_per_row", "attempts", "refused")
        return cls(**{**values, **{name: {int(n): c for n, c in values[name].items()} for name in numbered}})


def key_print(key: str) -> str:
    """Return what stands for a key in reports: the head of its SHA-256, or nothing if there is none."""
    return hashlib.sha256(key.encode()).hexdigest()[:12] if key else ""


@dataclass(slots=True)
class Arrival:
    """One request as its head tells it."""

    request_id: str | None
    key: str
    host: str
    headers: Mapping[str, str]
    """By lower-case name."""


class Referee:
    """Counts. Memory grows with the number of rows, by some hundred bytes each."""

    def __init__(self, *, log_size: int) -> None:
        self.log: deque[RequestRecord] = deque(maxlen=log_size)
        self.connections_open = 0
        self.in_flight = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything but what is open and in flight now."""
        self.rows: dict[str, RowRecord] = {}
        self.log.clear()
        self.requests = self.answered = self.abandoned = self.after_answer = self.repeated = 0
        self.unlabelled = self.hidden_retries = self.idempotency_keys = self.idempotency_broken = (
            self.keys_elsewhere
        ) = 0
        self.connections = self.max_connections = self.connections_open
        self.max_in_flight = self.in_flight
        self.first_arrival: float | None = None
        self.last_arrival: float | None = None
        self.attempts: Counter[int] = Counter()
        self.faults: Counter[str] = Counter()
        self.refused: Counter[int] = Counter()
        self.keys: Counter[str] = Counter()
        self.hosts: Counter[str] = Counter()

    def connected(self) -> None:
        """A connection was opened."""
        self.connections += 1
        self.connections_open += 1
        self.max_connections = max(self.max_connections, self.connections_open)

    def disconnected(self) -> None:
        """A connection is gone."""
        self.connections_open -= 1

    def arrived(self, arrival: Arrival, *, now: float) -> int:
        """A request for a completion has begun; return its number, from 1."""
        self.requests += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        self.first_arrival = now if self.first_arrival is None else self.first_arrival
        self.last_arrival = now
        self.keys[arrival.key] += 1
        self.hosts[arrival.host] += 1
        self.unlabelled += arrival.request_id is None
        self.hidden_retries += arrival.headers.get("x-stainless-retry-count", "0") != "0"
        return self.requests

    def asked(self, stem: str, attempt: int, *, idempotency_key: str | None) -> None:
        """It is known which row the request is for."""
        row = self.rows.setdefault(stem, RowRecord())
        self.repeated += attempt in row.attempts
        row.attempts.append(attempt)
        self.attempts[attempt] += 1
        if row.answered:
            row.after_answer += 1
            self.after_answer += 1
        if idempotency_key is not None:
            self.idempotency_keys += 1
            self.idempotency_broken += row.idempotency_key not in {None, idempotency_key}
            row.idempotency_key = idempotency_key

    def struck(self, stem: str, fault: str) -> None:
        """A fault is played instead of the plain reply."""
        self.faults[fault] += 1
        self.rows[stem].faults.append(fault)

    def replied(self, stem: str) -> None:
        """A good reply was handed to the connection."""
        self.answered += 1
        self.rows[stem].answered += 1

    def ended(self, *, abandoned: bool) -> None:
        """A request is over."""
        self.in_flight -= 1
        self.abandoned += abandoned

    def report(self) -> RefereeReport:
        """Return the sums as they are now."""
        per_row = Counter(len(row.attempts) for row in self.rows.values())
        return RefereeReport(
            requests=self.requests,
            rows=len(self.rows),
            answered=self.answered,
            answered_rows=sum(1 for row in self.rows.values() if row.answered),
            abandoned=self.abandoned,
            after_answer=self.after_answer,
            repeated_attempts=self.repeated,
            requests_per_row=dict(sorted(per_row.items())),
            attempts=dict(sorted(self.attempts.items())),
            faults=dict(sorted(self.faults.items())),
            refused=dict(sorted(self.refused.items())),
            in_flight=self.in_flight,
            max_in_flight=self.max_in_flight,
            connections=self.connections,
            max_connections=self.max_connections,
            first_arrival=self.first_arrival,
            last_arrival=self.last_arrival,
            keys={key_print(key): count for key, count in self.keys.items()},
            hosts=dict(sorted(self.hosts.items())),
            keys_elsewhere=self.keys_elsewhere,
            unlabelled=self.unlabelled,
            hidden_retries=self.hidden_retries,
            idempotency_keys=self.idempotency_keys,
            idempotency_broken=self.idempotency_broken,
        )
