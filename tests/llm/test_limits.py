"""The limit finds the server's capacity, keeps to it, follows it, and is not fooled."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from modelcall.llm.exchange import Completion
from modelcall.llm.limits import AdaptiveLimit
from modelcall.llm.settings import Adaptive
from tests.llm.kit import Bench, error, raw, run_jumping, with_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelcall.llm.transport import RawResponse

LATENCY = 0.2


class Capacity:
    """Refuses whatever is beyond a hidden capacity, or by chance."""

    def __init__(self, *phases: tuple[float, int], chance: float = 0.0, retry_after: str | None = None) -> None:
        self.phases, self.chance = phases, chance
        self.headers = {"retry-after": retry_after} if retry_after else {}
        self.rng = random.Random(3)
        self.in_flight = self.peak = 0
        self.log: list[tuple[float, bool]] = []

    async def __call__(self, *_: Any) -> RawResponse:
        loop = asyncio.get_running_loop()
        now = loop.time()
        await asyncio.sleep(0.001)
        capacity = next((limit for until, limit in self.phases if now < until), self.phases[-1][1])
        if self.in_flight >= capacity or self.rng.random() < self.chance:
            self.log.append((now, False))
            await asyncio.sleep(0.001)
            return error(429, "slow down", headers=self.headers)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            await asyncio.sleep(LATENCY * self.rng.uniform(0.8, 1.2))
        finally:
            self.in_flight -= 1
        self.log.append((loop.time(), True))
        return raw()

    def share(self, begin: float, end: float, best: int) -> float:
        """Throughput, as a share of what a fixed limit of ``best`` would reach."""
        done = sum(good for at, good in self.log if begin <= at < end)
        return done / (end - begin) * LATENCY / best

    def refused(self, begin: float = 0.0, end: float = 1e9) -> float:
        answers = [good for at, good in self.log if begin <= at < end]
        return answers.count(False) / len(answers)


async def drive(server: Any, seconds: float, *, ceiling: int = 512) -> tuple[list[Any], Bench, list[int]]:
    """Keep the window full for so long, as the pipeline does."""
    bench = Bench(server, with_settings(), ceiling=ceiling)
    loop = asyncio.get_running_loop()
    ends: list[Any] = []
    limits: list[int] = []
    tasks: set[asyncio.Task[Any]] = set()
    async with bench:
        while loop.time() < seconds:
            task = asyncio.ensure_future(bench._held(f"r{len(limits)}", await bench.permits.take()))
            limits.append(bench.permits.limit)
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            task.add_done_callback(lambda task: ends.append(task.result()))
        await asyncio.wait(tasks)
    return ends, bench, limits


def test_hidden_capacity_is_found_followed_down_and_up() -> None:
    server = Capacity((20, 60), (40, 20), (60, 60))
    ends, _, _ = run_jumping(drive(server, 60))
    assert all(isinstance(end, Completion) for end in ends)
    for begin, end, best in [(5, 20, 60), (25, 40, 20), (47, 60, 60)]:
        assert server.share(begin, end, best) >= 0.93
        assert server.refused(begin, end) <= 0.01
    assert server.refused() <= 0.01


def test_a_capacity_that_is_told_with_a_pause_is_searched_for_less_often() -> None:
    server = Capacity((1e9, 60), retry_after="1")
    run_jumping(drive(server, 45))
    assert server.share(5, 45, 60) >= 0.9
    assert server.refused(5, 45) < 0.01


@pytest.mark.parametrize(("errors", "refusals"), [(0.05, 0.0), (0.05, 0.03), (0.3, 0.0)])
def test_a_trickle_of_server_errors_does_not_hold_the_limit_where_it_began(errors: float, refusals: float) -> None:
    server = Capacity((1e9, 10**6), chance=refusals)
    rng = random.Random(5)

    async def failing_at_times(*arguments: Any) -> RawResponse:
        if rng.random() < errors:
            await asyncio.sleep(LATENCY)
            return error(502)
        return await server(*arguments)

    _, _, limits = run_jumping(drive(failing_at_times, 30, ceiling=64))
    assert limits[0] == 8
    assert max(limits) == 64


@pytest.mark.parametrize("capacity", [1, 3])
def test_a_tiny_capacity_is_kept_to(capacity: int) -> None:
    server = Capacity((1e9, capacity))
    run_jumping(drive(server, 40))
    assert server.share(15, 40, capacity) >= 0.95


@pytest.mark.parametrize("chance", [0.05, 0.2])
def test_refusals_that_do_not_depend_on_load_do_not_hold_the_limit_down(chance: float) -> None:
    server = Capacity((1e9, 10**6), chance=chance)
    _, bench, limits = run_jumping(drive(server, 13, ceiling=64))
    assert limits[-1] == 64
    assert server.share(9, 13, 64) >= 0.93
    assert bench.client.limit_reason == "ceiling"


@pytest.mark.parametrize("ceiling", [1, 10, 2000])
def test_the_ceiling_is_reached_within_three_seconds_if_nothing_is_refused(ceiling: int) -> None:
    async def slow(*_: Any) -> RawResponse:
        await asyncio.sleep(30)
        return raw()

    async def work() -> None:
        async with Bench(slow, ceiling=ceiling) as bench:
            tasks = [asyncio.ensure_future(bench.ask(f"r{row}")) for row in range(ceiling + 5)]
            await asyncio.sleep(3)
            assert (bench.permits.limit, bench.permits.in_use) == (ceiling, ceiling)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    run_jumping(work())


def test_all_of_the_limit_is_in_flight() -> None:
    """At a lognormal latency, 98 % of the time integral of the limit is used."""
    rng = random.Random(5)
    in_flight, used, since = 0, 0.0, 5.0

    async def server(_: str, __: Mapping[str, str], ___: Any) -> RawResponse:
        nonlocal in_flight, used, since
        loop = asyncio.get_running_loop()

        def account(step: int) -> None:
            nonlocal in_flight, used, since
            now = loop.time()
            if now > since:
                used += in_flight * (now - since)
                since = now
            in_flight += step

        account(1)
        await asyncio.sleep(rng.lognormvariate(-1.0, 1.0))
        account(-1)
        return raw()

    ends, _, _ = run_jumping(drive(server, 25, ceiling=64))
    assert len(ends) > 1000
    assert used >= 0.98 * 64 * 20


# The controller by itself.


def limit(ceiling: int = 100, **adaptive: Any) -> AdaptiveLimit:
    return AdaptiveLimit(ceiling=ceiling, adaptive=Adaptive(**adaptive))


def test_one_burst_makes_one_cut() -> None:
    found = limit(start=50)
    epoch = found.epoch
    for level in range(41, 61):
        found.refused(1.0, epoch=epoch, level=level)
    assert found.value == pytest.approx(0.9 * 41)
    assert found.reason == "refused with 41 in flight"


def test_refusals_that_go_on_cut_again_and_stop_at_the_floor() -> None:
    found = limit(start=64, floor=5)
    values = []
    for _ in range(60):
        found.begun()
        found.refused(1.0, epoch=found.epoch, level=int(found.value))
        values.append(found.value)
    assert values == sorted(values, reverse=True)
    assert values[-1] == 5


def test_refusals_that_come_before_the_answers_do_not_cut_again() -> None:
    """One in twenty is refused, at once; the answers to the others take their time."""
    found = limit(ceiling=400, start=400)
    found.refused(1.0, epoch=found.epoch, level=400)
    cut = found.value
    for number in range(100):
        found.begun()
        if number % 20 == 5:
            found.refused(1.1, epoch=found.epoch, level=int(cut))
    assert found.value == cut


def test_a_fixed_limit_stays() -> None:
    found = limit(enabled=False)
    found.refused(1.0, epoch=found.epoch, level=3)
    found.tick(2.0, 1.0, busy=True, latency=0.1)
    assert (found.value, found.reason) == (100, "fixed")


def test_server_errors_pause_growth_and_an_unused_limit_does_not_grow() -> None:
    found = limit(start=10)
    found.tick(0.1, 0.1, busy=False, latency=0.1)
    assert found.value == 10
    found.troubled(0.1)
    found.tick(1.0, 0.9, busy=True, latency=0.1)
    assert found.value == 10
    found.tick(2.2, 0.1, busy=True, latency=0.1)
    assert found.value > 10


def test_a_trial_without_answers_does_not_freeze_the_limit() -> None:
    found = limit(start=50)
    found.refused(1.0, epoch=found.epoch, level=50)
    low = found.value
    for step in range(400):
        found.tick(1.0 + step / 10, 0.1, busy=True, latency=0.1)
    assert found.value > low


def test_a_fixed_limit_is_the_ceiling_wherever_that_is_moved() -> None:
    limit = AdaptiveLimit(ceiling=8, adaptive=Adaptive(enabled=False))
    for ceiling in (64, 3):
        limit.set_ceiling(ceiling)
        assert limit.value == ceiling


def test_an_adaptive_limit_grows_to_a_raised_ceiling_and_falls_with_a_lowered_one() -> None:
    limit = AdaptiveLimit(ceiling=8, adaptive=Adaptive())
    limit.set_ceiling(64)
    assert limit.value == 8
    now = 0.0
    while limit.value < 64:
        now += 0.05
        limit.tick(now, 0.05, busy=True, latency=0.1)
        assert now < 3, "slow start reaches any ceiling within 3 s"
    assert limit.reason == "ceiling"
    limit.set_ceiling(4)
    assert limit.value == 4
