"""Faults played by the embedded server over real sockets, and what the client made of them."""

import asyncio
import random
from dataclasses import dataclass
from typing import Literal

from modelcall.errors import FatalError
from modelcall.llm.client import ChatClient
from modelcall.llm.exchange import ChatRequest, Completion, Failure
from modelcall.llm.settings import ClientSettings, Lane, Retries
from modelcall.llm.structured.check import AnswerCheck
from modelcall.mock.faults.base import Verdict
from modelcall.mock.faults.catalogue import FAULTS, MIXED
from modelcall.mock.faults.rules import FaultRule
from modelcall.mock.options import MockOptions
from modelcall.mock.serving import serve
from modelcall.permits import Permits
from modelcall.types import INT, Secret

KEY = "sk-canary-of-the-fault-suite"
CHECK = AnswerCheck({"score": INT}, required={"score"}, defaults={})
TIME_SCALE = 0.01
TIMEOUT = 1.5
GOOD = "x = 1\n"

At = Literal["first", "last", "every"]


class Hasty(random.Random):
    """Draws the shortest waits."""

    def random(self) -> float:
        return 0.0

    def uniform(self, a: float, b: float) -> float:
        return min(a, b)


@dataclass(frozen=True)
class Played:
    """What became of a row that met a fault."""

    end: Completion | Failure | FatalError
    requests: int
    """Of this row, at the server."""
    in_use: int
    """Permits held at the end."""

    @property
    def told(self) -> str:
        """The end in a few words: ``accepted``, ``fatal``, or the row's error type, and the requests it took."""
        if isinstance(self.end, FatalError):
            return "fatal"
        kind = self.end.error_type.value if isinstance(self.end, Failure) else "accepted"
        return f"{kind} after {self.requests}"


EXTRA = 2
"""Extra attempts of each kind."""


LIKE_STALE = {45, 49}
"""Kinds of faults that look like a kept connection the server had closed, or like a server that is down."""
FREE = 3
"""Requests that such a fault may cost without being charged."""


def expected(name: str, at: At) -> set[str]:
    """How a row may end, as :attr:`Played.told` says it, by the verdicts that are right."""
    fault = FAULTS[name]
    ends: set[str] = set()
    for verdict in {fault.verdict, fault.also or fault.verdict}:
        ends |= _ends(verdict, str(fault.error_type or ""), at, free=FREE if fault.number in LIKE_STALE else 0)
    return ends


def _ends(verdict: Verdict, error_type: str, at: At, *, free: int) -> set[str]:
    if verdict is Verdict.FATAL:
        return {"fatal"}
    if verdict is Verdict.ACCEPT:
        return {"accepted after 1"}
    if verdict is Verdict.PERMANENT:
        return {f"{error_type} after 1", f"{error_type} after 2"} if error_type == "cut" else {f"{error_type} after 1"}
    kind = "accepted" if at != "every" else "invalid_output" if verdict is Verdict.VALIDATION else "retries_exhausted"
    most = 2 if at == "first" else 1 + EXTRA
    return {f"{kind} after {requests}" for requests in range(most, most + free + 1)}


async def play(name: str, lane: Lane, *, at: At) -> Played:
    """Ask a good row, the row that meets the fault, and another good row.

    ``first``: the fault meets the row's first attempt; ``last``: all but the last that the budgets allow; ``every``.
    """
    position = {"first": "once", "last": "attempts:2", "every": "every"}[at]
    alone = FAULTS[name].early or FAULTS[name].verdict is Verdict.FATAL  # early: before there is a body to look into
    rule = FaultRule(name, position=position, contains=None if FAULTS[name].early else "FAULTY")
    options = MockOptions(faults=(rule,), time_scale=TIME_SCALE, judge="instant")
    async with serve(options) as server:
        settings = ClientSettings(
            base_urls=(server.base_url,),
            model_name="m",
            api_key=Secret(KEY),
            lane=lane,
            timeout=TIMEOUT,
            retries=Retries(network=EXTRA, rate_limit=EXTRA, format=EXTRA),
            outage_grace=20.0,
        )
        permits = Permits(4)
        client = ChatClient(settings, permits=permits, hook=lambda *_: None, rng=Hasty())
        await client.open()
        others = None
        try:
            if not alone:
                await _ask(client, permits, "before", GOOD)
                others = asyncio.create_task(_keep_asking(client, permits))
            end = await asyncio.wait_for(_ask(client, permits, "row", f"FAULTY {GOOD}"), 60)
        finally:
            if others is not None:
                others.cancel()
                await asyncio.gather(others, return_exceptions=True)
            await client.close()
        requests = len(server.referee.rows["row"].attempts)
    return Played(end, requests, permits.in_use)


async def _ask(client: ChatClient, permits: Permits, name: str, text: str) -> Completion | Failure | FatalError:
    permit = await permits.take()
    try:
        return await client.ask(ChatRequest(name, ({"role": "user", "content": text},)), CHECK, permit)
    except FatalError as error:
        return error
    finally:
        permit.release()


async def _keep_asking(client: ChatClient, permits: Permits) -> None:
    """Other rows go on, so that the endpoint is seen to be alive."""
    number = 0
    while not isinstance(await _ask(client, permits, f"other-{number}", GOOD), FatalError):
        number += 1
        await asyncio.sleep(0.05)


@dataclass(frozen=True)
class Mixed:
    """What became of many rows under a mix of faults."""

    ends: dict[str, Completion | Failure | FatalError]
    texts: dict[str, str]
    requests: dict[str, int]
    most_in_flight: int
    in_use: int


MIX_ROWS = 60
MIX_CEILING = 8


async def play_mix(seed: int, lane: Lane) -> Mixed:
    """Ask many rows of a server that plays some faults at 1 to 60 % in all, drawn from the seed."""
    rng = random.Random(seed)
    permanent = [name for name, fault in FAULTS.items() if fault.verdict is Verdict.PERMANENT and not fault.early]
    names = rng.sample([*sorted(MIXED), *permanent], 6)
    rate = rng.uniform(0.01, 0.6) / len(names)
    faults = tuple(FaultRule(name, rate=rate, position="every") for name in names)
    texts = {
        f"row-{number}": f"value_{number} = {seed * number}\n" * rng.randrange(1, 40) for number in range(MIX_ROWS)
    }
    async with serve(MockOptions(faults=faults, time_scale=TIME_SCALE, seed=seed)) as server:
        settings = ClientSettings(
            base_urls=(server.base_url,),
            model_name="m",
            lane=lane,
            timeout=TIMEOUT,
            retries=Retries(network=EXTRA, rate_limit=EXTRA, format=EXTRA),
            outage_grace=20.0,
        )
        permits = Permits(MIX_CEILING)
        client = ChatClient(settings, permits=permits, hook=lambda *_: None, rng=Hasty())
        await client.open()
        try:
            asked = [_ask(client, permits, name, text) for name, text in texts.items()]
            ends = dict(zip(texts, await asyncio.wait_for(asyncio.gather(*asked), 120), strict=True))
        finally:
            await client.close()
        requests = {name: len(row.attempts) for name, row in server.referee.rows.items()}
        most = server.referee.report().max_in_flight
    return Mixed(ends, texts, requests, most, permits.in_use)
