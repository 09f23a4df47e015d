"""How long a server runs."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def told_to_end(*, lifetime: float | None, until: Callable[[], Awaitable[None]] | None) -> None:
    """Wait for SIGINT or SIGTERM, for so many seconds at the most, or until something else returns."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    waits = [asyncio.ensure_future(wait) for wait in (stop.wait(), *([until()] if until else []))]
    await asyncio.wait(waits, timeout=lifetime, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
