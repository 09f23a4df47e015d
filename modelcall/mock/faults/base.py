"""What a fault is: a name, the verdict a client should reach, and a script for one request."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import orjson

from modelcall.mock.completion import completion
from modelcall.mock.wire import Send, json_reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelcall.mock.completion import Answer
    from modelcall.mock.wire import Headers, Script
    from modelcall.types import ErrorType


class Verdict(StrEnum):
    """What a correct client makes of one attempt."""

    ACCEPT = "accept"
    """A valid answer."""
    PERMANENT = "permanent"
    """The row fails, no further attempt."""
    NETWORK = "network"
    """Try again on the network budget."""
    RATE_LIMIT = "rate_limit"
    """Try again after a cool-down that all requests to this endpoint share."""
    VALIDATION = "validation"
    """Try again on the format budget."""
    FATAL = "fatal"
    """Stop the run."""


Position: TypeAlias = Literal["every", "once", "row", "first"]
"""Where a fault strikes if its rule does not say; see :class:`modelcall.mock.faults.rules.FaultRule`."""


@dataclass(slots=True)
class Scene:
    """One request, as far as a fault may care."""

    request_id: str
    """As sent: stem and attempt."""
    model: str
    key: str
    """The bearer token; empty if none came."""
    port: int
    now: float
    """Seconds since the epoch."""
    time_scale: float
    judge: Callable[[], Answer]
    """The right answer. Costs time: called only by faults that need it."""
    previous: bytes | None
    """Body of the last good reply to another row."""
    seconds: float | None = None
    """Duration that the rule asks for."""

    def lasting(self, default: float) -> float:
        """Seconds that this fault takes, unscaled."""
        return default if self.seconds is None else self.seconds

    def scaled(self, default: float) -> str:
        """Return seconds to be written into a header, scaled here because no player will do it."""
        return f"{self.lasting(default) * self.time_scale:.6g}"

    def completion(self) -> dict[str, Any]:
        """Return the good reply's body, to be spoilt."""
        return completion(self.judge(), request_id=self.request_id, model=self.model, created=int(self.now))

    def body(self) -> bytes:
        """Return the good reply's body."""
        return orjson.dumps(self.completion())

    def good(self, headers: Headers | None = None) -> bytes:
        """Return the good reply."""
        return json_reply(200, self.completion(), headers)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that endpoints do."""

    name: str
    number: int
    """Of the kind of fault; several forms of one kind share it."""
    description: str
    verdict: Verdict
    script: Callable[[Scene], Script] = field(repr=False)
    error_type: ErrorType | None = None
    """What the row fails with if the verdict is permanent."""
    also: Verdict | None = None
    """A second verdict that is right too: HTTP libraries differ."""
    early: bool = False
    """Strikes when the request's head is there, before its body."""
    target: Literal["chat", "models"] = "chat"
    position: Position = "every"
    brief: bool = True
    """Ends by itself, soon; faults that hold a connection for long stay out of ``mix``."""


def answering(status: int, value: Any, headers: Headers | None = None) -> Callable[[Scene], Script]:  # noqa: ANN401  JSON
    """Return the script of a fault that is one fixed JSON reply."""
    steps = (Send(json_reply(status, value, headers)),)
    return lambda _: steps


def spoiling(spoil: Callable[[dict[str, Any]], object]) -> Callable[[Scene], Script]:
    """Return the script of a fault that changes the good reply's body, in place or by returning another one."""

    def script(scene: Scene) -> Script:
        body = scene.completion()
        changed = spoil(body)
        return (Send(json_reply(200, body if changed is None else changed)),)

    return script
