"""The stages of a request: scheduled, written, sent, its answer judged."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
from stage_work import ANSWER

from modelcall.llm.client import ChatClient
from modelcall.llm.payload import Payload
from modelcall.llm.replies import parse_reply
from modelcall.llm.transport import RawResponse, Transport, open_lane
from modelcall.permits import Permits
from modelcall.pipeline.window import Window
from modelcall.scorers.llm import JudgeScorer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from stage_work import Meter, Work

    from modelcall.types import Outcome, Permit, PermitSource, Row, RowRef


def _reply() -> bytes:
    """Return what a server says."""
    choice = {"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 512, "completion_tokens": 42, "total_tokens": 554}
    return orjson.dumps({"id": "chatcmpl-1", "model": "instant", "choices": [choice], "usage": usage})


def _no_hook(name: str, facts: Mapping[str, Any]) -> None:
    del name, facts


class _AtOnce:
    """A transport that answers without a network."""

    def __init__(self) -> None:
        self._reply = RawResponse(200, {"content-type": "application/json"}, _reply())

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> RawResponse:
        del url, headers, body
        return self._reply

    async def close(self) -> None:
        """Nothing is open."""


async def _side_by_side(items: Iterable[Any], count: int, one: Callable[[Any], Awaitable[object]]) -> None:
    left = iter(items)

    async def some() -> None:
        for item in left:
            await one(item)

    await asyncio.gather(*[some() for _ in range(count)])


class _Scores:
    """A scorer that has its outcome at once."""

    def __init__(self, work: Work) -> None:
        self.permits: PermitSource = Permits(work.arguments.in_flight)
        self._outcome = work.outcome()

    async def score(self, row: Row, ref: RowRef, permit: Permit) -> Outcome:
        """Return it."""
        del row, ref, permit
        return self._outcome


async def schedule(work: Work, meter: Meter) -> None:
    """A permit and a task for a row: the sliding window, over a scorer that takes no time."""
    rows = work.rows()
    failed: list[BaseException] = []
    scorer: Any = _Scores(work)
    window = Window(scorer, on_error=failed.append)
    with meter.on():
        for ref, row in rows:
            await window.issue(row, ref, lambda *_: None)
        await window.idle()
    if failed:
        raise failed[0]


async def render(work: Work, meter: Meter) -> None:
    """The messages about a row."""
    rows, prompt = work.rows(), work.spec().row_prompt()
    with meter.on():
        for _, row in rows:
            prompt.messages(row)


async def send(work: Work, meter: Meter) -> None:
    """HTTP: the lane alone, its bodies written before."""
    spec = work.spec()
    payload, prompt = Payload(spec.client), spec.row_prompt()
    bodies = [(ref.request_id, payload.build(prompt.messages(row), None)) for ref, row in work.rows()]
    lane: Transport = open_lane(spec.client)

    async def one(item: tuple[str, bytes]) -> None:
        reply = await lane.send(work.url, {"x-request-id": item[0]}, item[1])
        if reply.status != 200:  # noqa: PLR2004  OK
            raise SystemExit(f"the server answered {reply.status}")

    try:
        await _side_by_side(bodies[: work.arguments.in_flight], work.arguments.in_flight, one)
        with meter.on():
            await _side_by_side(bodies, work.arguments.in_flight, one)
    finally:
        await lane.close()


async def judge(work: Work, meter: Meter) -> None:
    """All of the judge but HTTP: messages, body, endpoint, deadline, answer, validation."""
    rows, spec = work.rows(), work.spec()
    permits = Permits(work.arguments.in_flight)
    client = ChatClient(spec.client, permits=permits, hook=_no_hook, transport=lambda _: _AtOnce())
    scorer = JudgeScorer(spec, client, permits, hook=_no_hook)
    await scorer.open()
    try:
        await scorer.settle(None)
        permit = await permits.take()
        with meter.on():
            for ref, row in rows:
                outcome = await scorer.score(row, ref, permit)
        if outcome.error_type is not None:
            raise SystemExit(f"a row failed: {outcome.fail_reason}")
    finally:
        await scorer.close()


async def parse(work: Work, meter: Meter) -> None:
    """An answer parsed and validated."""
    body, check = _reply(), work.spec().check()
    with meter.on():
        for _ in range(work.count):
            check(parse_reply(orjson.loads(body)))
