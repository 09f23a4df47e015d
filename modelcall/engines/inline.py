"""The engine of one process: jobs run in the caller's own event loop."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

    from modelcall.engines.base import Job, Result, Work


class NoChannel:
    """There is nobody at the other end: the owner is who works."""

    worker = 0

    def tell(self, message: object) -> None:
        """Nobody hears it."""

    def heed(self, hear: Callable[[Any], None]) -> None:
        """Nobody says anything."""


class InlineEngine:
    """Runs jobs here; their rows share one window."""

    async def run(self, work: Work[Job, Result], jobs: Sequence[Job]) -> AsyncGenerator[Result, None]:
        """Run every job once, in order of the sequence, as ``work`` becomes ready for them."""

        async def stream() -> AsyncIterator[Job]:
            for job in jobs:
                yield job

        async with aclosing(work(stream(), NoChannel())) as results:
            async for result in results:
                yield result
