"""The server: routes requests, holds what they share, and goes down when a fault says so."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

from modelcall.mock.admin import ROOT, AdminVisit
from modelcall.mock.chat import ChatVisit
from modelcall.mock.faults.base import Scene
from modelcall.mock.faults.plan import Ask, Plan
from modelcall.mock.limits import Bucket, Latency, Queue
from modelcall.mock.referee import Referee
from modelcall.mock.visit import Reaction
from modelcall.mock.wire import Send, error_body, json_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from modelcall.mock.completion import Answer
    from modelcall.mock.connection import Connection
    from modelcall.mock.faults.rules import FaultRule
    from modelcall.mock.judge import Judge
    from modelcall.mock.options import MockOptions
    from modelcall.mock.reading import Head
    from modelcall.mock.visit import Visit

_CHAT = {"/v1/chat/completions", "/chat/completions"}
_MODELS = {"/v1/models", "/models"}
_ELSEWHERE = "/elsewhere/"
MODEL = "embedded-judge"
_KEPT_ALIVE = 75.0


class MockServer:
    """Everything but sockets. One event loop; not thread-safe."""

    def __init__(
        self,
        options: MockOptions,
        *,
        judge: Judge,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.options = options
        self.judge = judge
        self.wall_clock = wall_clock
        self.time_scale = options.time_scale
        self.max_body = options.max_body
        idle = options.idle_timeout
        self.idle_timeout = _KEPT_ALIVE if idle is None else idle * options.time_scale
        self.referee = Referee(log_size=options.log_requests)
        self.plan = Plan(options.faults, seed=options.seed)
        self.port = options.port
        """The real one, once it is known."""
        self.outage: Callable[[float, Literal["refuse", "ignore"]], None] | None = None
        """How to go down; set by whoever listens."""
        self.connections: set[Connection] = set()
        self._clock = clock
        self._latency = Latency(options)
        self._bucket = self._new_bucket()
        self._queue = Queue(self.time_scale / options.service_rate) if options.service_rate else None
        self._last: tuple[str, bytes] | None = None

    # What a connection asks for.

    def opened(self, connection: Connection) -> None:
        """Count the connection; reset it if it is one too many."""
        self.connections.add(connection)
        self.referee.connected()
        limit = self.options.max_connections
        if limit is not None and len(self.connections) > limit:
            connection.reset()

    def closed(self, connection: Connection) -> None:
        """Count it out."""
        self.connections.discard(connection)
        self.referee.disconnected()

    def visit(self, head: Head) -> Visit:
        """Find who answers."""
        if head.path == ROOT or head.path.startswith(f"{ROOT}/"):
            return AdminVisit(self, head.method, head.path)
        if head.path in _CHAT and head.method == "POST":
            return ChatVisit(self, head)
        return FixedVisit(self._fixed(head))

    def go_down(self, seconds: float, how: Literal["refuse", "ignore"]) -> None:
        """Drop all connections and take no new ones for so many real seconds."""
        for connection in tuple(self.connections):
            connection.reset()
        if self.outage is not None:
            self.outage(seconds, how)

    # What requests for completions share.

    def set_faults(self, rules: Iterable[FaultRule]) -> None:
        """Play these faults from now on."""
        self.plan = Plan(rules, seed=self.options.seed)

    def delay(self, ask: Ask) -> float:
        """Return the real seconds until the reply begins."""
        delay = self._latency.seconds(ask)
        return delay if self._queue is None else delay + self._queue.wait(self._clock())

    def must_wait(self) -> float:
        """Return 0, or the real seconds until the rate limit allows a request."""
        return 0.0 if self._bucket is None else self._bucket.wait(self._clock())

    def remember(self, stem: str, body: bytes) -> None:
        """Keep the latest good reply, for the fault that swaps replies."""
        self._last = (stem, body)

    def previous(self, stem: str) -> bytes | None:
        """Return the latest good reply if another row got it."""
        return self._last[1] if self._last is not None and self._last[0] != stem else None

    # Everything else.

    def _new_bucket(self) -> Bucket | None:
        rate = self.options.requests_per_second
        return None if rate is None else Bucket(rate / self.time_scale, now=self._clock())

    def _fixed(self, head: Head) -> Reaction:
        if head.path.startswith(_ELSEWHERE):
            return self._elsewhere(head)
        get = head.method in {"GET", "HEAD"}
        if head.path in _MODELS and get:
            return self._models()
        if head.path in {"/health", "/v1/health"} and get:
            return Reaction((Send(json_reply(200, {"status": "ok"})),))
        self.referee.refused[405 if head.path in _CHAT | _MODELS else 404] += 1
        if head.path in _CHAT | _MODELS:
            allow = {"allow": "POST" if head.path in _CHAT else "GET, HEAD"}
            return _error(405, f"{head.method} is not allowed here.", allow)
        return _error(404, f"Nothing is at {head.path}; completions are at /v1/chat/completions.")

    def _elsewhere(self, head: Head) -> Reaction:
        """Where redirects lead: a host that should never see the key."""
        self.referee.keys_elsewhere += "authorization" in head.headers
        self.referee.hosts[head.headers.get("host", "")] += 1
        return _error(405, "This host answers no POST.", {"allow": "GET"})

    def _models(self) -> Reaction:
        strike = self.plan.strike(Ask("models", 1, self.referee.requests), models=True)
        if strike is not None:
            self.referee.faults[strike.fault.name] += 1
            return Reaction(strike.fault.script(self._scene()))
        model = {"id": MODEL, "object": "model", "created": 1, "owned_by": "modelcall"}
        return Reaction((Send(json_reply(200, {"object": "list", "data": [model]})),))

    def _scene(self) -> Scene:
        return Scene("models-1", MODEL, "", self.port, self.wall_clock(), self.time_scale, _no_answer, None)


class FixedVisit:
    """A request whose answer does not depend on its body."""

    def __init__(self, reaction: Reaction) -> None:
        self._reaction = reaction

    def early(self) -> None:
        """Let the body come."""

    def answer(self, body: bytes) -> Reaction:  # noqa: ARG002  the protocol's signature
        """Say it."""
        return self._reaction

    def end(self, *, complete: bool) -> None:
        """Nothing to count."""


def _no_answer() -> Answer:
    raise RuntimeError("the list of models has no completion")


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Reaction:
    return Reaction((Send(json_reply(status, error_body(message, kind="invalid_request_error"), headers)),))
