"""What owning a shard asks for while it is worked on: a heartbeat, and steps that a cancellation does not tear."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from modelcall.state.lock import BEAT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelcall.pipeline.runner import Runner
    from modelcall.state.lock import Lock

_T = TypeVar("_T")


async def to_its_end(work: Callable[[], _T]) -> _T:
    """Do blocking work that cannot be stopped; a cancellation meanwhile is passed on when it has ended."""
    doing = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait([doing])
        raise


async def beat(lock: Lock) -> None:
    """Show that we live until somebody has taken over (FatalError); a disk that refuses a beat may take the next."""
    while True:
        await asyncio.sleep(BEAT_SECONDS)
        with suppress(OSError):
            await asyncio.to_thread(lock.beat)


def tell_loss(runner: Runner, beating: asyncio.Task[None]) -> None:
    """End a run whose heartbeat ended because somebody has taken over."""
    if not beating.cancelled() and (error := beating.exception()) is not None:
        runner.fail(error)
