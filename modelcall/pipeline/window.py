"""The sliding window: rows in flight over all files of a process, none waiting for another's end."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING

from modelcall.errors import FatalError
from modelcall.pipeline.room import Room

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelcall.types import Outcome, Permit, Row, RowRef, RowScorer

SPARE_ROWS = 64


class Window:
    """Issues rows to a scorer, never more than its permits allow, and hands each outcome to who issued the row.

    A row that waits between attempts holds no permit; about as many may wait as may be in flight, so that the tasks
    alive are bounded whatever the endpoint does. ``on_error`` is called with what ends the run.
    """

    def __init__(self, scorer: RowScorer, *, on_error: Callable[[BaseException], None]) -> None:
        self._scorer = scorer
        self._on_error = on_error
        self._room = Room(lambda: 2 * scorer.permits.ceiling + SPARE_ROWS)
        self._tasks: dict[asyncio.Task[None], tuple[RowRef, float]] = {}
        self._failed = False

    async def issue(self, row: Row, ref: RowRef, done: Callable[[RowRef, Outcome], None]) -> None:
        """Wait for a permit, then send the row on its way; ``done`` is called with its outcome."""
        await self._room.acquire()
        try:
            permit = await self._scorer.permits.take()
        except BaseException:
            self._room.release()
            raise
        if self._failed:  # whoever issues rows is about to be cancelled
            permit.release()
            await asyncio.get_running_loop().create_future()
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._score(row, ref, permit, done))
        self._tasks[task] = (ref, loop.time())
        task.add_done_callback(self._ended)

    def __len__(self) -> int:
        """How many rows have been issued and have no outcome."""
        return len(self._tasks)

    def oldest(self, count: int) -> list[tuple[RowRef, float]]:
        """Return the rows that were issued first of those without an outcome, with their seconds until now."""
        now = asyncio.get_running_loop().time()
        return [(ref, now - since) for ref, since in islice(self._tasks.values(), count)]

    async def idle(self) -> None:
        """Wait until every row that was issued has its outcome."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _score(self, row: Row, ref: RowRef, permit: Permit, done: Callable[[RowRef, Outcome], None]) -> None:
        try:
            done(ref, await self._scorer.score(row, ref, permit))
        except FatalError as error:
            self._fail(error)
        finally:
            permit.release()
            self._room.release()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled():
            error = task.exception()
        else:  # without an outcome its file would never be complete
            error = None if task.cancelling() else RuntimeError("a row was cancelled that nobody had cancelled")
        if error is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self._failed = True
        self._on_error(error)

    async def drain(self, seconds: float) -> None:
        """Let the rows in flight end; after ``seconds`` cut off those that have not."""
        if self._tasks and seconds > 0:
            await asyncio.wait(self._tasks, timeout=seconds)
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
