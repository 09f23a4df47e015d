"""The whole client over real sockets, on both lanes."""

from __future__ import annotations

import asyncio
import gc
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest

from modelcall.llm.client import ChatClient
from modelcall.llm.exchange import ChatRequest, Completion, Failure
from modelcall.llm.labels import label
from modelcall.llm.settings import Lane
from modelcall.permits import Permits
from tests.llm.kit import KEY, accept_json, completion, with_settings
from tests.llm.raw_server import Connection, Request, http, saying, serving

if TYPE_CHECKING:
    from collections.abc import Mapping

lanes = pytest.mark.parametrize("lane", get_args(Lane))


async def ask_all(client: ChatClient, permits: Permits, rows: int) -> list[Completion | Failure]:
    async def row(number: int) -> Completion | Failure:
        permit = await permits.take()
        try:
            request = ChatRequest(f"r{number}", [{"role": "user", "content": f"nonce-{number}"}])
            return await client.ask(request, accept_json, permit)
        finally:
            permit.release()

    return await asyncio.gather(*(row(number) for number in range(rows)))


@lanes
async def test_every_answer_belongs_to_its_question_and_nothing_is_left(lane: Any) -> None:
    async def echo(connection: Connection, request: Request) -> None:
        nonce = request.json["messages"][0]["content"]
        await connection.send(http(completion(f'{{"said": "{nonce}"}}')))

    await asyncio.sleep(0)
    gc.collect()
    tasks = len(asyncio.all_tasks())
    async with serving(echo) as server:
        before = len(list(Path("/proc/self/fd").iterdir()))
        permits = Permits(8)
        client = ChatClient(with_settings(lane=lane, base_urls=(server.url,)), permits=permits, hook=lambda *_: None)
        await client.open()
        ends = await ask_all(client, permits, 60)
        await client.close()
        assert [end.values for end in ends if isinstance(end, Completion)] == [
            {"said": f"nonce-{n}"} for n in range(60)
        ]
        assert sorted(r.headers["x-request-id"] for r in server.requests) == sorted(
            label(f"r{n}", 1) for n in range(60)
        )
        assert server.connections <= 8
    await asyncio.sleep(0.02)
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
    assert len(asyncio.all_tasks()) == tasks
    assert permits.in_use == 0


@lanes
async def test_time_spent_waiting_for_a_permit_is_not_the_servers(lane: Any) -> None:
    """Rows queue for three times as long as an attempt may take, and none times out."""

    async def slow(connection: Connection, _: Request) -> None:
        await asyncio.sleep(0.05)
        await connection.send(http())

    async with serving(slow) as server:
        permits = Permits(1)
        settings = with_settings(lane=lane, base_urls=(server.url,), timeout=0.3)
        client = ChatClient(settings, permits=permits, hook=lambda *_: None)
        await client.open()
        ends = await ask_all(client, permits, 18)
        await client.close()
    assert {end.attempts for end in ends} == {1}
    assert all(isinstance(end, Completion) for end in ends)


async def test_no_event_tells_a_secret() -> None:
    events: list[Mapping[str, Any]] = []
    said = {"error": {"message": f"key {KEY} is over its limit", "code": "rate_limit_exceeded"}}
    async with serving(saying(http(said, status="429 Too Many", headers="retry-after-ms: 5\r\n"))) as server:
        permits = Permits(2)
        settings = with_settings(base_urls=(server.url,))
        client = ChatClient(settings, permits=permits, hook=lambda name, facts: events.append({"name": name, **facts}))
        await client.open()
        [end] = await ask_all(client, permits, 1)
        await client.close()
    assert isinstance(end, Failure)
    assert {"retry", "cooldown"} <= {event["name"] for event in events}
    assert KEY not in repr(events) + repr(end) + repr(settings)


def test_settings_travel_to_workers() -> None:
    settings = with_settings(completions_params={"temperature": 0}, headers={"a": "b"})
    assert pickle.loads(pickle.dumps(settings)) == settings  # noqa: S301  our own bytes
