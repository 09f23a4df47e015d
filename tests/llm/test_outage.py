"""An outage belongs to the endpoint, not to the rows."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest

from modelcall.errors import FatalError
from modelcall.llm.exchange import Completion, Failure
from modelcall.llm.outage import Outage, spoken
from modelcall.llm.probe import PROBE
from modelcall.llm.settings import Retries
from modelcall.llm.transport import FaultKind, RawResponse, TransportFault
from modelcall.types import ErrorType
from tests.llm.kit import Bench, error, raw, run_jumping, with_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Server:
    """Down while ``is_down`` says so; keeps the time and id of what it was asked."""

    def __init__(self, is_down: Callable[[float, str], bool], fault: Any = None, *, latency: float = 0.2) -> None:
        self.is_down = is_down
        self.fault = fault or error(503, "loading")
        self.latency = latency
        self.asked: list[tuple[float, str]] = []
        self.in_flight = self.peak = 0

    async def __call__(self, _: str, headers: Mapping[str, str], __: Any) -> RawResponse:
        now, name = asyncio.get_running_loop().time(), headers["x-request-id"]
        self.asked.append((now, name))
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            await asyncio.sleep(self.latency)
        finally:
            self.in_flight -= 1
        if not self.is_down(now, name):
            return raw()
        if isinstance(self.fault, TransportFault):
            raise self.fault
        return self.fault


FAULTS = {
    "503": error(503, "loading"),
    "502 page": raw(b"<html>", 502),
    "504": error(504),
    "connect": TransportFault(FaultKind.CONNECT, "refused"),
    "disconnected": TransportFault(FaultKind.DISCONNECTED, "reset"),
    "timeout": TransportFault(FaultKind.TIMEOUT, "late"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_ten_minute_redeploy_costs_ten_minutes_and_no_row(fault: Any) -> None:
    server = Server(lambda now, _: 5 < now < 605, fault)

    async def work() -> float:
        async with Bench(server, with_settings(retries=Retries(network=0)), ceiling=64) as bench:
            ends = await bench.ask_all(3000)
            assert all(isinstance(end, Completion) for end in ends)
            assert len(bench.named("outage")) == len(bench.named("recovered")) == 1
            assert "probing, giving up in 29 min" in bench.named("outage")[0]["message"]
            return asyncio.get_running_loop().time()

    took = run_jumping(work())
    assert took < 605 + 15 + 15
    assert server.peak <= 64
    during = [(at, name) for at, name in server.asked if 45 < at < 600]
    assert all(name.startswith(PROBE) for _, name in during)
    gaps = [b[0] - a[0] for a, b in pairwise(during)]
    assert max(gaps) <= 15
    assert min(gaps) > 5


@pytest.mark.parametrize("ceiling", [5, 64])
@pytest.mark.parametrize("fault", [error(500, "boom"), error(429, "slow down"), raw(b"<html>busy</html>")])
def test_an_endpoint_that_fails_everybody_costs_no_row_whatever_it_says(fault: Any, ceiling: int) -> None:
    server = Server(lambda now, _: 5 < now < 305, fault)

    async def work() -> float:
        async with Bench(server, ceiling=ceiling) as bench:
            ends = await bench.ask_all(40 * ceiling)
            assert [end for end in ends if isinstance(end, Failure)] == []
            return asyncio.get_running_loop().time()

    assert run_jumping(work()) < 305 + 60


@pytest.mark.parametrize("latency", [2.0, 20.0, 60.0])
def test_a_server_that_takes_nothing_new_but_finishes_what_it_has_costs_no_row(latency: float) -> None:
    """As servers shut down: answers of old requests keep coming while every new connection is refused."""
    rng = random.Random(1)
    end_of_work = 20 * latency

    async def server(_: str, __: Any, ___: Any) -> RawResponse:
        if end_of_work / 2 < asyncio.get_running_loop().time() < end_of_work / 2 + 300:
            raise TransportFault(FaultKind.CONNECT, "refused")
        await asyncio.sleep(latency * rng.lognormvariate(0, 0.5))
        return raw()

    async def work() -> None:
        async with Bench(server, with_settings(timeout=1e4, retries=Retries(network=0)), ceiling=128) as bench:
            ends = await bench.ask_all(128 * 20)
            assert [end for end in ends if isinstance(end, Failure)] == []

    run_jumping(work())


def test_from_the_start_servers_may_load() -> None:
    server = Server(lambda now, _: now < 300)

    async def work() -> None:
        async with Bench(server, with_settings(retries=Retries(network=0))) as bench:
            ends = await bench.ask_all(200)
            assert all(isinstance(end, Completion) for end in ends)

    run_jumping(work())


@pytest.mark.parametrize("grace", [10.0, 1800.0])
@pytest.mark.parametrize("since", [0.0, 5.0])
def test_after_the_grace_the_run_stops(grace: float, since: float) -> None:
    server = Server(lambda now, _: now >= since)

    async def work() -> float:
        async with Bench(server, with_settings(outage_grace=grace)) as bench:
            rows = asyncio.ensure_future(bench.ask_all(9_000))
            with pytest.raises(FatalError) as caught:
                await rows
            assert "from one:8000 (last: one:8000 answered 503: loading)" in caught.value.message
            assert caught.value.hint
            ended = asyncio.get_running_loop().time()
            with pytest.raises(FatalError):
                await bench.ask("later")
            others = asyncio.all_tasks() - {asyncio.current_task(), bench.client._ticker}
            ends = await asyncio.gather(*others, return_exceptions=True)
            assert all(isinstance(end, FatalError | Completion) for end in ends)
            return ended

    took = run_jumping(work())
    assert grace + since - 0.3 <= took <= grace + since + 1


def test_a_failure_is_charged_if_others_succeed_meanwhile() -> None:
    """One row always loses its connection: with others succeeding around it, it uses up its own attempts."""
    server = Server(lambda _, name: name.startswith("r7-"), FAULTS["disconnected"])

    async def work() -> list[Any]:
        async with Bench(server, ceiling=8) as bench:
            return await bench.ask_all(600)

    ends = run_jumping(work())
    assert [end.error_type for end in ends if isinstance(end, Failure)] == [ErrorType.RETRIES_EXHAUSTED]
    assert ends[7].attempts == 4


@pytest.mark.parametrize(("latency", "most"), [(1.0, 6), (60.0, 14)])
def test_a_poisonous_row_ends_at_slow_servers_too(latency: float, most: int) -> None:
    """Requests that prove the server well end long after the row's next attempts: they are charged then."""

    async def server(_: str, headers: Mapping[str, str], __: Any) -> RawResponse:
        if headers["x-request-id"].startswith("r7-"):
            raise TransportFault(FaultKind.DISCONNECTED, "reset")
        await asyncio.sleep(latency)
        return raw()

    async def work() -> list[Any]:
        async with Bench(server, ceiling=32) as bench:
            return await bench.ask_all(1000)

    ends = run_jumping(work())
    assert [end.error_type for end in ends if isinstance(end, Failure)] == [ErrorType.RETRIES_EXHAUSTED]
    assert 4 <= ends[7].attempts <= most


def test_a_poisonous_last_row_ends_too() -> None:
    """Nobody else succeeds any more, but probes do: the endpoint is well, so it is the row."""
    server = Server(lambda _, name: name.startswith("r9-"), FAULTS["timeout"])

    async def work() -> list[Any]:
        async with Bench(server) as bench:
            return await bench.ask_all(10)

    ends = run_jumping(work())
    assert isinstance(ends[9], Failure)
    assert ends[9].error_type is ErrorType.RETRIES_EXHAUSTED
    assert sum(isinstance(end, Completion) for end in ends) == 9


def test_a_poisonous_500_is_charged_whoever_succeeds() -> None:
    server = Server(lambda _, __: True, error(500, "boom"))

    async def work() -> None:
        async with Bench(server) as bench:
            end = await bench.ask()
            assert isinstance(end, Failure)
            assert end.attempts == 4
            assert asyncio.get_running_loop().time() < 10

    run_jumping(work())


class Listener:
    def __init__(self) -> None:
        self.told: list[str] = []

    def outage_began(self, _: float) -> None:
        self.told.append("began")

    def outage_ended(self, _: float) -> None:
        self.told.append("ended")

    def gave_up(self, _: FatalError) -> None:
        self.told.append("gave up")


@pytest.mark.parametrize("is_failing_before", [False, True])
def test_the_time_for_which_we_were_suspended_is_no_outage(is_failing_before: bool) -> None:
    listener = Listener()
    watch = Outage(grace=60.0, listener=listener, describe=lambda: "one")
    watch.succeeded(0.0, 0.0)
    watch.tick(0.1)
    if is_failing_before:
        watch.failed(0.05)
    watch.tick(0.2)
    watch.tick(4000.0)  # stopped for an hour; what was in flight fails now
    watch.failed(0.1)
    for tick in range(590):
        watch.tick(4000.1 + tick / 10)
    assert listener.told == ["began"]
    watch.tick(4061.0)
    assert listener.told == ["began", "gave up"]


def test_random_502s_are_no_outage() -> None:
    server = Server(lambda now, name: crc32(f"{name} {now}".encode()) % 20 == 0, FAULTS["502 page"])

    async def work() -> None:
        async with Bench(server) as bench:
            ends = await bench.ask_all(4000)
            assert sum(isinstance(end, Failure) for end in ends) <= 1
            assert bench.named("outage") == bench.named("ejected") == []

    run_jumping(work())


def test_requests_that_hang_are_probed_around_and_the_ceiling_holds() -> None:
    """The server takes requests and never answers, then comes back: it is found out long before their deadline."""

    async def server(_: str, headers: Mapping[str, str], __: Any) -> RawResponse:
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(1e9 if 2 < now < 100 and not headers["x-request-id"].startswith(PROBE) else 0.2)
        if 2 < now < 100:
            raise TransportFault(FaultKind.CONNECT, "refused")
        return raw()

    async def work() -> None:
        settings = with_settings(timeout=60.0, retries=Retries(network=0))
        async with Bench(server, settings, ceiling=16) as bench:
            ends = await bench.ask_all(400)
            assert all(isinstance(end, Completion) for end in ends)
            assert asyncio.get_running_loop().time() < 130

    run_jumping(work())


@pytest.mark.parametrize(("seconds", "text"), [(30, "30 s"), (119.6, "120 s"), (720, "12 min"), (12_600, "3.5 h")])
def test_durations_are_spoken(seconds: float, text: str) -> None:
    assert spoken(seconds) == text


def test_a_client_whose_bookkeeping_fails_stops_rather_than_freeze(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(*_: Any) -> RawResponse:
        await asyncio.sleep(1)
        raise TransportFault(FaultKind.CONNECT, "refused")

    async def work() -> None:
        async with Bench(silent) as bench:
            monkeypatch.setattr(Outage, "tick", lambda *_: 1 // 0)
            with pytest.raises(FatalError, match="bookkeeping: ZeroDivisionError"):
                await bench.ask()

    run_jumping(work())
