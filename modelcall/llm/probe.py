"""While asking is paused: one tiny question per endpoint, again and again, until one is answered."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Final

import orjson

from modelcall.llm.labels import label

if TYPE_CHECKING:
    import random
    from collections.abc import Coroutine
    from typing import Any

    from modelcall.llm.dispatch import Dispatcher
    from modelcall.llm.endpoint import Endpoint
    from modelcall.llm.pool import Pool
    from modelcall.llm.settings import ClientSettings
    from modelcall.permits import Permits

EVERY: Final = (10.0, 14.0)
"""Seconds between two probes of an endpoint."""
PROBE: Final = "00000000-0000-8000-8000"
"""What all probes are called, as if they were attempts of one request."""


class Prober:
    """Sends probes between :meth:`start` and :meth:`stop`."""

    def __init__(
        self,
        settings: ClientSettings,
        *,
        dispatcher: Dispatcher,
        pool: Pool,
        permits: Permits,
        rng: random.Random,
    ) -> None:
        self._dispatcher = dispatcher
        self._pool = pool
        self._permits = permits
        self._rng = rng
        self._numbers = count(1)
        question = {"role": "user", "content": "Say ok."}
        self._body = orjson.dumps({"model": settings.model_name, "messages": [question], "max_tokens": 8})
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to probe."""
        self._spawn(self._run())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self) -> None:
        while True:
            for endpoint in self._pool.endpoints:
                # Requests that hang from before the pause are probes themselves; the ceiling holds for all together.
                if self._permits.in_use + len(self._tasks) - 1 < self._permits.ceiling and not endpoint.cooling:
                    self._spawn(self._probe(endpoint))
            await asyncio.sleep(self._rng.uniform(*EVERY))

    async def _probe(self, endpoint: Endpoint) -> None:
        await self._dispatcher.probe(endpoint, self._body, label(PROBE, next(self._numbers)))

    def stop(self) -> None:
        """End all probes but the one that calls, if one does."""
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()

    async def close(self) -> None:
        """End all probes and wait for their end."""
        self.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)
