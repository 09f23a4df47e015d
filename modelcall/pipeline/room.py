"""A semaphore that is as large as the ceiling of the permits makes it, which may be raised while it is in use."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Room:
    """Holds ``size()`` at a time. It grows when somebody comes, and never shrinks: the permits bound what is less."""

    def __init__(self, size: Callable[[], int]) -> None:
        self._size = size
        self._made = size()
        self._semaphore = asyncio.Semaphore(self._made)

    async def acquire(self) -> None:
        """Wait for a place and hold it."""
        while self._made < self._size():
            self._made += 1
            self._semaphore.release()
        await self._semaphore.acquire()

    def release(self) -> None:
        """Give a place back."""
        self._semaphore.release()
