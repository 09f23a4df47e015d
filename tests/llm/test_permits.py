"""The moving semaphore."""

from __future__ import annotations

import asyncio

from modelcall.permits import Permits, Slot


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_no_more_are_held_than_the_limit_allows() -> None:
    permits = Permits(3)
    held = [await permits.take() for _ in range(3)]
    waiting = asyncio.ensure_future(permits.take())
    await settle()
    assert (permits.in_use, permits.waiting, waiting.done()) == (3, 1, False)
    held[0].release()
    held[0].release()
    await waiting
    assert permits.in_use == 3


async def test_the_limit_moves_within_its_bounds() -> None:
    permits = Permits(4)
    held = [await permits.take() for _ in range(4)]
    permits.set_limit(2)
    waiting = asyncio.ensure_future(permits.take())
    held[0].release()
    held[1].release()
    await settle()
    assert not waiting.done()
    held[2].release()
    await waiting
    permits.set_limit(0)
    assert permits.limit == 1
    permits.set_limit(99)
    assert permits.limit == 4


async def test_rows_that_come_back_go_before_new_ones() -> None:
    permits = Permits(1)
    slot = await permits.take()
    order: list[str] = []

    async def new() -> Slot:
        taken = await permits.take()
        order.append("new")
        return taken

    async def again() -> None:
        await slot.acquire()
        order.append("again")

    other = asyncio.ensure_future(new())
    await settle()
    slot.release()
    (await other).release()
    blocker = await permits.take()
    tasks = [asyncio.ensure_future(new()), asyncio.ensure_future(again())]
    await settle()
    blocker.release()
    await settle()
    assert order == ["new", "again"]
    slot.release()
    await asyncio.gather(*tasks)
    assert order == ["new", "again", "new"]


async def test_pauses_add_up() -> None:
    permits = Permits(2)
    permits.pause("one")
    permits.pause("two")
    waiting = asyncio.ensure_future(permits.take())
    permits.resume("one")
    permits.resume("none")
    await settle()
    assert permits.paused
    assert not waiting.done()
    assert permits.take_now() is None
    permits.resume("two")
    await waiting
    assert not permits.paused


async def test_a_slot_is_taken_at_once_only_if_nobody_waits() -> None:
    permits = Permits(1)
    slot = permits.take_now()
    assert slot is not None
    assert permits.take_now() is None
    waiting = asyncio.ensure_future(permits.take())
    await settle()
    slot.release()
    assert permits.take_now() is None
    (await waiting).release()
    assert permits.in_use == 0


async def test_no_slot_is_lost_when_waiters_are_cancelled() -> None:
    """Cancelled while waiting, just after being woken, and passed over by a wake before it could notice."""
    permits = Permits(1)
    for wake_first in (True, False):
        slot = await permits.take()
        waiting = asyncio.ensure_future(permits.take())
        await settle()
        if wake_first:
            slot.release()
            waiting.cancel()
        else:
            waiting.cancel()
            slot.release()
        await asyncio.gather(waiting, return_exceptions=True)
        assert waiting.cancelled()
        assert (permits.in_use, permits.waiting) == (0, 0)
    assert (await permits.take()).held


def test_the_ceiling_moves_and_takes_a_limit_along_that_stood_at_it() -> None:
    permits = Permits(4)
    permits.set_ceiling(9)
    assert (permits.ceiling, permits.limit) == (9, 9)
    permits.set_limit(3)
    permits.set_ceiling(20)
    assert (permits.ceiling, permits.limit) == (20, 3), "somebody else holds it down"
    permits.set_ceiling(2)
    assert (permits.ceiling, permits.limit) == (2, 2)
    permits.set_ceiling(0)
    assert permits.ceiling == 1
    bounded = Permits(4, most=4)
    bounded.set_ceiling(5)
    assert bounded.ceiling == 4


async def test_a_raised_ceiling_lets_in_those_who_wait() -> None:
    permits = Permits(1)
    await permits.take()
    waiting = asyncio.ensure_future(permits.take())
    await settle()
    assert not waiting.done()
    permits.set_ceiling(2)
    await waiting


async def test_lent_permits_hold_to_their_part_and_to_nothing_if_there_is_none() -> None:
    permits = Permits(10)
    permits.lend(0, of=10)
    assert permits.take_now() is None
    waiting = asyncio.ensure_future(permits.take())
    await asyncio.sleep(0)
    assert not waiting.done()
    permits.lend(4, of=10)
    slot = await waiting
    assert (permits.limit, permits.share, permits.in_use) == (4, 0.4, 1)
    permits.lend(8, of=10)
    assert permits.limit == 8
    permits.lend(0, of=10)
    slot.release()
    assert permits.take_now() is None
    permits.pause("user")
    permits.lend(2, of=10)
    assert permits.take_now() is None, "another pause is not lifted by that"
