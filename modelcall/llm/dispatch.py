"""From a request that wants an attempt to an attempt that ended: permits, pacing, endpoints, and who learns of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelcall.llm.hedge import hedged
from modelcall.llm.labels import label
from modelcall.llm.pacing import RequestPace, TokenPace
from modelcall.llm.verdicts import Kind
from modelcall.values import row_value

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from modelcall.llm.attempt import Answer, Attempts
    from modelcall.llm.endpoint import Endpoint, Ticket
    from modelcall.llm.fatal import FatalWatch
    from modelcall.llm.naps import Naps
    from modelcall.llm.outage import Outage
    from modelcall.llm.pool import Pool
    from modelcall.llm.retry import Progress
    from modelcall.llm.settings import ClientSettings
    from modelcall.permits import Permits
    from modelcall.types import Permit

CROWDED: Final = 0.05
"""Seconds between looks for an endpoint with room, when limits fell while a request had its permit already."""
_LEAST_SHARE: Final = 0.001
"""Of requests that are in flight still when their process may send no more."""
_ANSWERED: Final = frozenset({Kind.OK, Kind.PERMANENT})


@row_value
class Result:
    """An attempt that ended."""

    answer: Answer
    ticket: Ticket
    guess: float
    """Tokens that were reserved for it."""

    @property
    def is_good(self) -> bool:
        """Whether no other attempt would do better."""
        return self.answer.fault is None or self.answer.fault.verdict.kind is Kind.PERMANENT


class Dispatcher:
    """Makes attempts where and when they may be made, and tells pool and watches how they ended."""

    def __init__(
        self,
        settings: ClientSettings,
        *,
        permits: Permits,
        pool: Pool,
        attempts: Attempts,
        outage: Outage,
        fatal: FatalWatch,
        naps: Naps,
        clock: Callable[[], float],
    ) -> None:
        self._permits = permits
        self._pool = pool
        self._attempts = attempts
        self._outage = outage
        self._fatal = fatal
        self._naps = naps
        self._clock = clock
        self._hedge_after = settings.hedge_after
        rpm, tpm = settings.requests_per_minute, settings.tokens_per_minute
        self._requests = RequestPace(rpm) if rpm else None
        self._tokens = TokenPace(tpm) if tpm else None
        self.last_fault = ""
        self.last_success: tuple[float, float] | None = None
        """When the last attempt to be answered began, and when it was answered."""

    async def enter(self, permit: Permit, progress: Progress, size: int) -> tuple[Endpoint, float]:
        """Wait until the next attempt, of ``size`` bytes, may begin; return its endpoint and the tokens guessed for it.

        Raises:
            FatalError: The client halted.
        """
        guess: float | None = None
        while True:
            await permit.acquire()
            self._naps.check()
            endpoint = self._pool.pick(progress.failed_at, progress.refused_by)
            if endpoint is not None and guess is not None:
                return endpoint, guess
            if endpoint is not None:
                wait, guess = self._pace(size)
                if wait <= 0:
                    return endpoint, guess
                await self._naps.rest(wait)
            else:
                permit.release()
                await self._naps.rest(CROWDED)

    def _pace(self, size: int) -> tuple[float, float]:
        now, wait, guess = self._clock(), 0.0, 0.0
        if self._requests is not None:
            wait = self._requests.reserve(now, share=self._share)
        if self._tokens is not None:
            wait_for_tokens, guess = self._tokens.reserve(now, size, share=self._share)
            wait = max(wait, wait_for_tokens)
        return wait, guess

    @property
    def _share(self) -> float:
        return max(self._permits.share, _LEAST_SHARE)

    def _is_turn_free(self) -> bool:
        return not any(pace.wait(self._clock()) for pace in (self._requests, self._tokens) if pace is not None)

    async def attempt(self, endpoint: Endpoint, body: bytes, progress: Progress, guess: float) -> Result:
        """Make the next attempt of a request, or two if it is hedged, and count them."""
        begun = self._clock()
        first = self._one(endpoint, body, self._name(progress), guess)
        if self._hedge_after is None:
            results = [await first]
        else:
            results = await hedged(
                first,
                lambda: self._second(endpoint, body, progress),
                after=self._hedge_after,
                is_good=lambda result: result.is_good,
            )
        took = self._clock() - begun
        for result in results:
            progress.add(result.answer)
            self._settle(result.guess, len(body), result.answer)
        progress.seconds += took
        return results[-1]

    def _name(self, progress: Progress) -> str:
        progress.attempts += 1
        return label(progress.request.request_id, progress.attempts)

    def _second(self, first: Endpoint, body: bytes, progress: Progress) -> Coroutine[Any, Any, Result] | None:
        if not self._is_turn_free():
            return None
        endpoint = self._pool.pick((first,))
        slot = None if endpoint is None or endpoint is first else self._permits.take_now()
        if endpoint is None or slot is None:
            return None
        name = self._name(progress)
        _, guess = self._pace(len(body))

        async def run() -> Result:
            try:
                return await self._one(endpoint, body, name, guess)
            finally:
                slot.release()

        return run()

    async def _one(self, endpoint: Endpoint, body: bytes, name: str, guess: float = 0.0) -> Result:
        ticket = endpoint.begin(self._clock())
        answer: Answer | None = None
        try:
            answer = await self._attempts.make(endpoint, body, name)
        finally:
            if answer is None:
                self._pool.abandoned(ticket)
        self._learn(answer, ticket)
        return Result(answer, ticket, guess)

    async def probe(self, endpoint: Endpoint, body: bytes, name: str) -> None:
        """Make an attempt that belongs to no request, to find out whether an endpoint is there."""
        await self._one(endpoint, body, name)

    def _learn(self, answer: Answer, ticket: Ticket) -> None:
        now, fault = self._clock(), answer.fault
        kind = Kind.OK if fault is None else fault.verdict.kind
        if answer.reply is not None:
            self._fatal.succeeded(ticket.started)
            self.last_success = (ticket.started, now)
        if fault is None or kind in _ANSWERED:
            self._pool.succeeded(ticket, now)
            self._outage.succeeded(now, ticket.started)
        elif fault.stale:
            self._pool.abandoned(ticket)
        else:
            self.last_fault = fault.message
            self._pool.failed(ticket, fault, now)
            if fault.verdict.outage:
                self._outage.failed(ticket.started)

    def _settle(self, guess: float, size: int, answer: Answer) -> None:
        usage = answer.reply.usage if answer.reply is not None else None
        if self._tokens is None or usage is None:
            return
        self._tokens.settle(guess, size, (usage.prompt_tokens or 0) + (usage.completion_tokens or 0))
