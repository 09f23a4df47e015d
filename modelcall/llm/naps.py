"""Waiting that a stop of the client ends at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from modelcall.errors import FatalError

if TYPE_CHECKING:
    from asyncio import Future


class Naps:
    """All waits of a client between attempts. After :meth:`halt` they raise instead of lasting."""

    def __init__(self) -> None:
        self.error: FatalError | None = None
        self._resting: set[Future[None]] = set()

    def __len__(self) -> int:
        return len(self._resting)

    def check(self) -> None:
        """Raise the error that halted the client, if one did."""
        if self.error is not None:
            # A copy: one exception raised in many tasks would collect all their tracebacks.
            raise FatalError(self.error.message, hint=self.error.hint)

    async def rest(self, seconds: float) -> None:
        """Wait.

        Raises:
            FatalError: The client halted, before or meanwhile.
        """
        self.check()
        loop = asyncio.get_running_loop()
        bell: Future[None] = loop.create_future()
        timer = loop.call_later(seconds, ring, bell)
        try:
            await self.until(bell)
        finally:
            timer.cancel()

    async def until(self, bell: Future[None]) -> None:
        """Wait for a future without a value.

        Raises:
            FatalError: The client halted, before or meanwhile.
        """
        self._resting.add(bell)
        try:
            await bell
        finally:
            self._resting.discard(bell)
        self.check()

    def halt(self, error: FatalError) -> None:
        """Remember the first error and end all waits with it."""
        self.error = self.error or error
        for bell in self._resting:
            ring(bell)


def ring(bell: Future[None]) -> None:
    """Wake who waits for this future, if nobody did."""
    if not bell.done():
        bell.set_result(None)
