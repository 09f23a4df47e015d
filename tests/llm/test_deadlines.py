"""One timer for all attempts cuts off as many timers would."""

from __future__ import annotations

import asyncio

import pytest

from modelcall.llm.deadlines import Deadlines
from tests.llm.kit import run_jumping


async def hold(deadlines: Deadlines, *, begin: float, seconds: float) -> float | None:
    """Begin so late, take so long; return when it was cut off."""
    await asyncio.sleep(begin)
    try:
        with deadlines.begin():
            await asyncio.sleep(seconds)
    except TimeoutError:
        return asyncio.get_running_loop().time()
    return None


def test_each_is_cut_off_at_its_own_time_and_who_is_quick_is_not() -> None:
    async def work() -> list[float | None]:
        deadlines = Deadlines(10)
        waits = [(0, 99), (1, 9.5), (2, 99), (2, 3), (15, 99)]
        return await asyncio.gather(*(hold(deadlines, begin=begin, seconds=took) for begin, took in waits))

    ends = run_jumping(work())
    assert ends == [pytest.approx(10), None, pytest.approx(12), None, pytest.approx(25)]


def test_a_cancellation_from_outside_stays_one() -> None:
    async def work() -> None:
        task = asyncio.ensure_future(hold(Deadlines(10), begin=0, seconds=99))
        await asyncio.sleep(1)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        run_jumping(work())


def test_a_cancellation_at_the_very_time_of_the_deadline_is_not_swallowed() -> None:
    async def work() -> None:
        deadlines = Deadlines(10)
        task = asyncio.ensure_future(hold(deadlines, begin=0, seconds=99))
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(10, task.cancel)
        await task

    with pytest.raises(asyncio.CancelledError):
        run_jumping(work())


def test_nothing_is_left_of_a_deadline_that_was_kept() -> None:
    async def work() -> int:
        deadlines = Deadlines(10)
        await hold(deadlines, begin=0, seconds=1)
        task = asyncio.current_task()
        assert task is not None
        await asyncio.sleep(30)  # past the deadline
        return task.cancelling() + len(deadlines._running) + (deadlines._timer is not None)

    assert run_jumping(work()) == 0


def test_an_error_of_the_work_passes_even_after_the_deadline() -> None:
    async def work() -> None:
        with Deadlines(10).begin():
            try:
                await asyncio.sleep(99)
            finally:
                raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        run_jumping(work())
