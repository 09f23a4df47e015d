"""Asking twice: an attempt that stays unanswered is made at another endpoint too, and the first good answer wins."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

Result = TypeVar("Result")


async def hedged(
    first: Coroutine[Any, Any, Result],
    second: Callable[[], Coroutine[Any, Any, Result] | None],
    *,
    after: float,
    is_good: Callable[[Result], bool],
) -> list[Result]:
    """Run ``first``; after ``after`` seconds run ``second`` beside it.

    Returns:
        What ended, the winner last. A loser still running is cancelled and not in it.
    """
    tasks = [asyncio.ensure_future(first)]
    try:
        done, _ = await asyncio.wait(tasks, timeout=after)
        other = None if done else second()
        if other is not None:
            tasks.append(asyncio.ensure_future(other))
        return await _race(tasks, is_good)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _race(tasks: list[asyncio.Task[Result]], is_good: Callable[[Result], bool]) -> list[Result]:
    ended: list[Result] = []
    running = set(tasks)
    while running:
        done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        ended += sorted((task.result() for task in done), key=is_good)
        if is_good(ended[-1]):
            break
    return ended
