"""The life of one request: what its attempts have used up, and what the next one does differently."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tenacity import AsyncRetrying, RetryCallState, stop_after_attempt, wait_exponential
from tenacity.wait import wait_base

from modelcall.llm.exchange import Failure
from modelcall.llm.replies import add_usage
from modelcall.llm.verdicts import Kind
from modelcall.types import ErrorType

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

    from modelcall.llm.attempt import Answer
    from modelcall.llm.endpoint import Endpoint
    from modelcall.llm.exchange import ChatRequest, FormatFault, Message, Reply
    from modelcall.llm.settings import ClientSettings
    from modelcall.llm.verdicts import Fault
    from modelcall.types import Usage

_LONGEST: Final[Mapping[Kind, float]] = {Kind.NETWORK: 15.0, Kind.RATE_LIMIT: 60.0}
"""Seconds of the longest wait between two attempts."""


class Jittered(wait_base):
    """Waits between half and all of what another strategy says, so that requests do not come back together."""

    def __init__(self, wait: wait_base, rng: random.Random) -> None:
        self._wait = wait
        self._rng = rng

    def __call__(self, retry_state: RetryCallState) -> float:
        """Return seconds."""
        return self._wait(retry_state) * self._rng.uniform(0.5, 1.0)


class Policy:
    """When to stop and how long to wait, by kind of fault."""

    def __init__(self, settings: ClientSettings, rng: random.Random) -> None:
        budgets = {Kind.NETWORK: settings.retries.network, Kind.RATE_LIMIT: settings.retries.rate_limit}
        self._rules = {
            kind: AsyncRetrying(
                stop=stop_after_attempt(budget + 1),
                wait=Jittered(wait_exponential(multiplier=1, max=_LONGEST[kind]), rng),
            )
            for kind, budget in budgets.items()
        }
        self.format_retries = settings.retries.format if settings.format_retry else 0

    def is_over(self, kind: Kind, charged: int) -> bool:
        """Whether a request with so many charged failures of this kind has none left."""
        rule = self._rules[kind]
        return bool(rule.stop(_state(rule, charged)))

    def wait(self, kind: Kind, failures: int) -> float:
        """Return the seconds to wait after the n-th failure of this kind."""
        rule = self._rules[kind]
        return float(rule.wait(_state(rule, failures)))


def _state(rule: AsyncRetrying, number: int) -> RetryCallState:
    state = RetryCallState(rule, None, (), {})
    state.attempt_number = number
    return state


@dataclass(frozen=True, slots=True)
class Pending:
    """A failed attempt of which it is not known yet whose fault it was."""

    kind: Kind
    started: float
    ended: float


@dataclass(slots=True)
class Progress:
    """What a request has behind it.

    It is made for every row, and most have nothing behind them: so nothing here has to be made with it.
    """

    request: ChatRequest
    attempts: int = 0
    usage: Usage | None = None
    reply: Reply | None = None
    seconds: float = 0.0
    charged: tuple[Kind, ...] = ()
    """Failures that count against the request."""
    failures: tuple[Kind, ...] = ()
    """All failures, charged or not."""
    format_faults: int = 0
    broken: FormatFault | None = None
    """The form that the last answer broke."""
    feedback: Sequence[Message] = ()
    more_tokens: bool = False
    without_grammar: bool = False
    fault: Fault | None = None
    """What the last attempt failed for."""
    pending: tuple[Pending, ...] = ()
    """Failures that are not charged yet."""
    is_forgiven: bool = False
    """A failure was not charged because everything failed at that time; that is granted once."""
    stale: int = 0
    """Attempts made on connections that were closed already."""
    failed_at: frozenset[Endpoint] = frozenset()
    """Endpoints that failed it, for which others are tried first."""
    refused_by: frozenset[Endpoint] = frozenset()
    """Endpoints that refused it in a way that looks fatal."""

    @property
    def messages(self) -> Sequence[Message]:
        """What the next attempt says."""
        return [*self.request.messages, *self.feedback] if self.feedback else self.request.messages

    @property
    def response_format(self) -> Mapping[str, object] | None:
        """The grammar that the next attempt asks for."""
        return None if self.without_grammar else self.request.response_format

    def add(self, answer: Answer) -> None:
        """Keep what an attempt brought."""
        if answer.reply is not None:
            self.reply = answer.reply
            self.usage = add_usage(self.usage, answer.reply.usage)

    def charge(self, kind: Kind) -> int:
        """Count a failure against the request; return how many there are of this kind."""
        self.charged += (kind,)
        return self.charged.count(kind)

    def count(self, kind: Kind) -> int:
        """Count a failure; return how many there are of this kind."""
        self.failures += (kind,)
        return self.failures.count(kind)

    def adapt(self, fault: FormatFault) -> None:
        """Let the next attempt differ as the check asks."""
        self.format_faults += 1
        self.broken = fault
        self.feedback = fault.feedback
        self.more_tokens = self.more_tokens or fault.more_tokens
        self.without_grammar = fault.without_grammar

    def is_format_over(self, fault: FormatFault, retries: int) -> bool:
        """Whether no further attempt is made for a broken answer. Cut answers get more tokens once."""
        return fault.final or self.format_faults >= retries or (fault.more_tokens and self.more_tokens)

    def fail(self, error_type: ErrorType, reason: str) -> Failure:
        """End without an answer."""
        return Failure(error_type, reason, self.attempts, self.reply, self.usage, self.seconds)

    def malformed(self, fault: FormatFault, more: str = "") -> Failure:
        """End because the answers break the requested form."""
        return self.fail(ErrorType.CUT if fault.cause == "cut" else ErrorType.INVALID_OUTPUT, fault.message + more)

    def rejected(self, fault: Fault) -> Failure:
        """End because the server will never take the request.

        If it took it before and only our changes of it, feedback or more tokens, are too much, the broken answer it is.
        """
        if self.broken is not None and fault.verdict.error_type in {ErrorType.TOO_LONG, ErrorType.REJECTED}:
            return self.malformed(self.broken, f"; then {fault.message}")
        return self.fail(fault.verdict.error_type or ErrorType.REJECTED, fault.message)

    def exhausted(self) -> Failure:
        """End because the attempts of a kind are used up."""
        said = self.fault.message if self.fault is not None else "no attempt succeeded"
        return self.fail(ErrorType.RETRIES_EXHAUSTED, f"gave up after {self.attempts} attempts: {said}")
