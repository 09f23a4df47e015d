"""The client: one logical request in, a completion or a failure out. One per process and event loop."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any, Final

from modelcall.errors import FatalError
from modelcall.llm.attempt import Attempts
from modelcall.llm.dispatch import Dispatcher
from modelcall.llm.exchange import Completion, Failure, FormatFault
from modelcall.llm.fatal import FatalWatch
from modelcall.llm.naps import Naps
from modelcall.llm.outage import Outage, spoken
from modelcall.llm.payload import Payload, TextError
from modelcall.llm.pool import Pool
from modelcall.llm.probe import Prober
from modelcall.llm.retry import Pending, Policy, Progress
from modelcall.llm.settle import accepts_schema
from modelcall.llm.transport import open_lane
from modelcall.llm.verdicts import Kind
from modelcall.types import ErrorType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from modelcall.llm.dispatch import Result
    from modelcall.llm.endpoint import Endpoint, Ticket
    from modelcall.llm.exchange import ChatRequest, Check, EventHook, Reply
    from modelcall.llm.settings import ClientSettings
    from modelcall.llm.transport import Transport
    from modelcall.llm.verdicts import Fault
    from modelcall.permits import Permits
    from modelcall.types import Permit

TICK: Final = 0.05
"""Seconds between looks at limits, pauses and outages."""
MOST_STALE: Final = 3
"""Closed connections that one request may meet before it counts as a failure."""
MOST_ELSEWHERE: Final = 4
"""Endpoints that one request may fail at without being charged for it: dead servers must cost no row, and a poisonous
row not all servers of a large pool."""
MOST_RESTING: Final = 2
"""Requests that may wait without a permit, as a multiple of the ceiling."""
_OUTAGE: Final = "outage"


class ChatClient:
    """Asks a model, and keeps asking, within what endpoint and user allow.

    Args:
        settings: Endpoint, model, and how to treat them.
        permits: Shared with whoever starts requests; the client moves their limit.
        hook: Is told what happens.
        clock: Seconds, monotonic. None: the event loop's.
        wall: Seconds since the epoch, for dates that servers send.
        rng: For jitter.
        transport: Opens the way out; the lane of the settings if None.

    Raises:
        ConfigError: The parameters cannot be used.
    """

    def __init__(
        self,
        settings: ClientSettings,
        *,
        permits: Permits,
        hook: EventHook,
        clock: Callable[[], float] | None = None,
        wall: Callable[[], float] = time.time,
        rng: random.Random | None = None,
        transport: Callable[[ClientSettings], Transport] = open_lane,
    ) -> None:
        self._settings = settings
        self._permits = permits
        self._hook = hook
        self._clock = clock
        self._wall = wall
        self._rng = rng or random.Random()
        self._open_transport = transport
        self._payload = Payload(settings)
        self._policy = Policy(settings, self._rng)
        self._naps = Naps()
        self._fatal = FatalWatch(naps=self._naps, halt=self.halt)
        self._outage = Outage(grace=settings.outage_grace, listener=self, describe=self._describe)
        self._pool = Pool(settings, permits=permits, hook=hook)

    async def open(self) -> None:
        """Open the lane. Call it on the event loop that will ask."""
        loop = asyncio.get_running_loop()
        self._now = self._clock or loop.time
        self._transport = self._open_transport(self._settings)
        self._dispatcher = Dispatcher(
            self._settings,
            permits=self._permits,
            pool=self._pool,
            attempts=Attempts(self._settings, transport=self._transport, wall=self._wall),
            outage=self._outage,
            fatal=self._fatal,
            naps=self._naps,
            clock=self._now,
        )
        self._prober = Prober(
            self._settings, dispatcher=self._dispatcher, pool=self._pool, permits=self._permits, rng=self._rng
        )
        self._pool.tick(self._now())
        self._ticker = loop.create_task(self._tick())
        self._ticker.add_done_callback(self._stopped_ticking)

    async def close(self) -> None:
        """End everything; no task or connection is left."""
        self._ticker.cancel()
        await asyncio.gather(self._ticker, self._prober.close(), return_exceptions=True)
        await self._transport.close()

    @property
    def limit_reason(self) -> str:
        """Why the limit of the permits is what it is now, in a few words."""
        return "no endpoint answers" if self._outage.active else self._pool.limit_reason

    @property
    def last_success(self) -> tuple[float, float] | None:
        """When the last attempt to be answered began, and when it was answered, by the clock; None: there was none."""
        return self._dispatcher.last_success

    def succeeded_elsewhere(self, started: float, ended: float) -> None:
        """Take note that another process, of the same run and machine, was answered: the endpoint is there."""
        self._fatal.succeeded(started)
        self._outage.succeeded(ended, started)

    def cooled_elsewhere(self, endpoint: str, seconds: float) -> None:
        """Take note that an endpoint, by its name, asked another process of the run to wait."""
        self._pool.cooled(endpoint, seconds, self._now())

    async def ask(self, request: ChatRequest, check: Check, permit: Permit) -> Completion | Failure:
        """Ask until an answer passes the check, or there is a reason not to go on.

        Args:
            request: What to ask.
            check: Judges each answer.
            permit: Held. It is given back while the request waits, and may or may not be held at the end.

        Raises:
            FatalError: Going on is pointless for any request.
        """
        self._naps.check()
        progress = Progress(request)
        while True:
            end = await self._step(progress, check, permit)
            if end is not None:
                return end

    async def _step(self, progress: Progress, check: Check, permit: Permit) -> Completion | Failure | None:
        try:
            body = self._payload.build(progress.messages, progress.response_format, more_tokens=progress.more_tokens)
        except TextError as error:
            return progress.fail(ErrorType.BAD_ROW, str(error))
        if self._is_over(progress):
            return progress.exhausted()
        endpoint, guess = await self._dispatcher.enter(permit, progress, len(body))
        if self._is_over(progress):
            return progress.exhausted()
        result = await self._dispatcher.attempt(endpoint, body, progress, guess)
        fault, reply = result.answer.fault, result.answer.reply
        if fault is not None:
            return await self._after_fault(progress, fault, result, permit)
        assert reply is not None  # noqa: S101  an answer without a fault has a reply
        return self._judge(progress, check, reply)

    def _is_over(self, progress: Progress) -> bool:
        """Charge pending failures if a request succeeded meanwhile; return whether they were too many."""
        if not progress.pending:
            return False
        known = [failure for failure in progress.pending if self._outage.is_charged(failure.ended)]
        if not known:
            return False
        progress.pending = tuple(failure for failure in progress.pending if failure not in known)
        if not progress.is_forgiven and any(self._outage.is_forgivable(failure.started) for failure in known):
            progress.is_forgiven = True
            return False
        return any(self._policy.is_over(failure.kind, progress.charge(failure.kind)) for failure in known)

    def _judge(self, progress: Progress, check: Check, reply: Reply) -> Completion | Failure | None:
        for endpoint in progress.refused_by:
            self._pool.struck(endpoint, self._now())
        verdict = check(reply)
        if not isinstance(verdict, FormatFault):
            return Completion(verdict, reply, progress.attempts, progress.usage, progress.seconds)
        over = progress.is_format_over(verdict, self._policy.format_retries)
        facts = {"request_id": progress.request.request_id, "cause": verdict.cause, "message": verdict.message}
        self._hook("format", {**facts, "raw": (reply.content or "")[:200], "retrying": not over})
        if over:
            return progress.malformed(verdict)
        progress.adapt(verdict)
        return None

    async def _after_fault(self, progress: Progress, fault: Fault, result: Result, permit: Permit) -> Failure | None:
        progress.fault = fault
        kind, ticket = fault.verdict.kind, result.ticket
        if kind is Kind.PERMANENT:
            return progress.rejected(fault)
        if kind is Kind.FATAL:
            return await self._refused(progress, fault, ticket, permit)
        if fault.stale and progress.stale < MOST_STALE:
            progress.stale += 1
            progress.attempts -= 1  # the request did not reach the server
            return None
        if fault.verdict.outage or self._outage.is_everybodys(progress.request.request_id, ticket.started):
            await self._failed(progress, fault, ticket, permit)
            return None
        if self._policy.is_over(kind, progress.charge(kind)):
            return progress.exhausted()
        if kind is Kind.NETWORK:
            progress.failed_at |= {ticket.endpoint}
        await self._wait(progress, fault, ticket.endpoint, permit)
        return None

    async def _failed(self, progress: Progress, fault: Fault, ticket: Ticket, permit: Permit) -> None:
        """An attempt failed as they do while an endpoint is down: elsewhere at once, or later, charged later."""
        if ticket.endpoint not in progress.failed_at:
            progress.failed_at |= {ticket.endpoint}
            if len(progress.failed_at) <= MOST_ELSEWHERE and self._pool.has_other(progress.failed_at):
                self._tell_retry(progress, fault, ticket.endpoint, 0.0)
                return
        if not ticket.probing:
            progress.pending += (Pending(fault.verdict.kind, ticket.started, self._now()),)
        await self._wait(progress, fault, ticket.endpoint, permit)

    async def _wait(self, progress: Progress, fault: Fault, endpoint: Endpoint, permit: Permit) -> None:
        kind = fault.verdict.kind
        # A pause that the server asked for is kept by the endpoint; jitter comes from how its load opens again.
        seconds = 0.0 if fault.wait else self._policy.wait(kind, progress.count(kind))
        self._tell_retry(progress, fault, endpoint, seconds)
        await self._rest(permit, seconds)

    async def _rest(self, permit: Permit, seconds: float) -> None:
        # Requests that wait without a permit make room for new ones: bounded, or they would pile up.
        if len(self._naps) < MOST_RESTING * self._permits.ceiling:
            permit.release()
        await self._naps.rest(seconds)

    async def _refused(self, progress: Progress, fault: Fault, ticket: Ticket, permit: Permit) -> Failure | None:
        if ticket.endpoint not in progress.refused_by:
            progress.refused_by |= {ticket.endpoint}
            if self._pool.has_other(progress.refused_by):
                return None
        permit.release()
        await self._fatal.judge(progress.request.request_id, ticket.started, fault)
        return progress.fail(fault.verdict.error_type or ErrorType.REJECTED, fault.message)

    def _tell_retry(self, progress: Progress, fault: Fault, endpoint: Endpoint, wait: float) -> None:
        self._hook(
            "retry",
            {
                "request_id": progress.request.request_id,
                "kind": fault.verdict.kind.name.lower(),
                "cause": fault.verdict.cause,
                "attempt": progress.attempts,
                "message": fault.message,
                "endpoint": endpoint.name,
                "wait": wait,
            },
        )

    async def settle_structured(self, schema: Mapping[str, Any] | None, known: str | None) -> str:
        """Fix the structured mode: ``schema``, ``object`` or ``prompt``. Asks one question if only the server knows.

        Args:
            schema: The JSON Schema of an answer, if there is one.
            known: What an earlier start of this run settled; it is kept.

        Raises:
            FatalError: The endpoint can answer nothing at all.
        """
        wanted = self._settings.structured
        if known is not None or wanted != "auto" or schema is None:
            return known or ("prompt" if wanted == "auto" else wanted)
        permit = await self._permits.take()
        try:
            accepted = await accepts_schema(lambda request, check: self.ask(request, check, permit), schema)
        finally:
            permit.release()
        return "schema" if accepted else "prompt"

    async def _tick(self) -> None:
        while self._naps.error is None:
            await asyncio.sleep(TICK)
            now = self._now()
            self._pool.tick(now)
            self._outage.tick(now)

    def _stopped_ticking(self, ticker: asyncio.Task[None]) -> None:
        """Without ticks limits would stand still and outages go unseen: rather stop than freeze."""
        if not ticker.cancelled() and (error := ticker.exception()) is not None:
            cause = f"the client failed at its bookkeeping: {type(error).__name__}: {error}"
            self.halt(FatalError(cause, hint="This is a bug of ModelCall; what was answered is recorded. Start again."))

    def outage_began(self, seconds: float) -> None:
        """Pause and probe."""
        self._permits.pause(_OUTAGE)
        left = spoken(max(0.0, self._settings.outage_grace - seconds))
        message = f"no answer for {spoken(seconds)} from {self._describe()}; probing, giving up in {left}"
        self._hook("outage", {"seconds": seconds, "message": message})
        self._prober.start()

    def outage_ended(self, seconds: float) -> None:
        """Ask again."""
        self._prober.stop()
        self._pool.wake(self._now())
        self._permits.resume(_OUTAGE)
        self._hook("recovered", {"seconds": seconds, "message": f"{self._pool.names} answers again"})

    def gave_up(self, error: FatalError) -> None:
        """Stop: the outage outlasted the grace."""
        self._prober.stop()
        self.halt(error)

    def halt(self, error: FatalError) -> None:
        """End all requests that wait, now and later, with this error."""
        self._naps.halt(error)
        self._pool.open_gates()
        self._permits.resume(_OUTAGE)

    def _describe(self) -> str:
        last = self._dispatcher.last_fault
        return self._pool.names + (f" (last: {last})" if last else "")
