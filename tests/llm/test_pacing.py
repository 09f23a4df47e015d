"""Requests and tokens per minute."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from modelcall.llm.exchange import Completion
from modelcall.llm.pacing import RequestPace, TokenPace
from tests.llm.kit import Bench, completion, raw, run_jumping, with_settings

if TYPE_CHECKING:
    from modelcall.llm.transport import RawResponse


@pytest.mark.parametrize("per_minute", [1, 7, 60, 600, 6000])
def test_no_minute_has_more_requests_than_allowed_and_few_less(per_minute: int) -> None:
    pace = RequestPace(per_minute)
    now, at = 0.0, []
    while now < 300:
        now += pace.reserve(now)
        at.append(now)
    for begin in at[:: max(1, per_minute // 10)]:
        assert sum(begin <= moment < begin + 60 - 1e-6 for moment in at) <= per_minute
    assert len([moment for moment in at if moment < 300]) >= 0.9 * 5 * per_minute - 5


def test_turns_are_reserved_in_order() -> None:
    pace = RequestPace(60)
    waits = [pace.reserve(0.0) for _ in range(4)]
    assert waits == sorted(waits)
    assert waits[0] == 0
    assert waits[1] >= 1


def test_tokens_are_guessed_learned_and_paid_back() -> None:
    pace, now, used = TokenPace(60_000), 0.0, 0
    for _ in range(2000):
        wait, guess = pace.reserve(now, 1000)
        now += wait
        pace.settle(guess, 1000, 900)
        used += 900
    assert used / now * 60 == pytest.approx(60_000, rel=0.05)


def test_a_client_keeps_to_requests_per_minute() -> None:
    at: list[float] = []

    async def server(*_: Any) -> RawResponse:
        at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.1)
        return raw()

    async def work() -> None:
        async with Bench(server, with_settings(requests_per_minute=120.0)) as bench:
            await bench.ask_all(300)

    run_jumping(work())
    assert max(sum(begin <= moment < begin + 60 for moment in at) for begin in at) <= 120
    assert at[-1] < 300 / 2 * 1.1


def test_asking_twice_takes_turns_too() -> None:
    at: list[float] = []

    async def server(url: str, *_: Any) -> RawResponse:
        at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(5 if "one" in url else 0.1)
        return raw()

    async def work() -> None:
        urls = ("http://one/v1", "http://two/v1")
        async with Bench(server, with_settings(base_urls=urls, hedge_after=3.0, requests_per_minute=30.0)) as bench:
            for row in range(60):
                await bench.ask(f"r{row}")

    run_jumping(work())
    assert len(at) > 60
    assert max(sum(begin <= moment < begin + 60 for moment in at) for begin in at) <= 30


def test_the_deadline_of_an_attempt_begins_after_the_wait_for_the_pace() -> None:
    async def server(*_: Any) -> RawResponse:
        await asyncio.sleep(0.1)
        return raw()

    async def work() -> None:
        async with Bench(server, with_settings(requests_per_minute=60.0, timeout=1.0)) as bench:
            ends = await bench.ask_all(100)
        assert {(type(end), end.attempts) for end in ends} == {(Completion, 1)}

    run_jumping(work())


def test_a_client_keeps_to_tokens_per_minute() -> None:
    async def server(*_: Any) -> RawResponse:
        await asyncio.sleep(0.1)
        return raw(completion(usage={"prompt_tokens": 80, "completion_tokens": 20}))

    async def work() -> None:
        async with Bench(server, with_settings(tokens_per_minute=6000.0)) as bench:
            await bench.ask_all(300)

    async def timed() -> float:
        await work()
        return asyncio.get_running_loop().time()

    assert run_jumping(timed()) == pytest.approx(300, rel=0.15)


def test_workers_that_share_a_minute_take_turns_as_one_would() -> None:
    alone, shared = RequestPace(120), [RequestPace(120) for _ in range(4)]
    turns = sorted(pace.reserve(0.0, share=0.25) for pace in shared for _ in range(30))
    expected = [alone.reserve(0.0) for _ in range(120)]
    assert turns[-1] == pytest.approx(expected[-1], rel=0.05)
    assert len([turn for turn in turns if turn < 30]) <= len([turn for turn in expected if turn < 30]) + 4


def test_tokens_of_a_share_take_longer_to_come_by() -> None:
    pace = TokenPace(60_000)
    pace.reserve(0.0, 2000, share=0.5)
    assert pace.wait(0.0) == pytest.approx(2.0), "a thousand tokens, at 500 a second"
    pace.settle(1000, 2000, 500)
    assert pace.wait(0.0) == pytest.approx(1.0)
