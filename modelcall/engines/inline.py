"""The engine of one process: jobs run in the caller's own event loop."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from modelcall.engines.base import Job, Result, Work


class InlineEngine:
    """Runs jobs here; their rows share one window."""

    async def run(self, work: Work[Job, Result], jobs: Sequence[Job]) -> AsyncGenerator[Result, None]:
        """Run every job once, in order of the sequence, as ``work`` becomes ready for them."""

        async def stream() -> AsyncIterator[Job]:
            for job in jobs:
                yield job

        async with aclosing(work(stream())) as results:
            async for result in results:
                yield result
