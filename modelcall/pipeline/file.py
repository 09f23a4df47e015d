"""The life of a file: opened, read to its end while its rows are issued, complete, published."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelcall.errors import FatalError, FileFailure
from modelcall.formats.base import BadRow
from modelcall.types import ErrorType, Outcome, RowRef

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from concurrent.futures import Executor

    from modelcall.formats.base import AnyRow, Source
    from modelcall.pipeline.job import FileJob
    from modelcall.pipeline.window import Window
    from modelcall.state.file_journal import FileJournal
    from modelcall.types import RunListener


@dataclass(frozen=True, slots=True)
class ReadingPlan:
    """How input files are read for scoring."""

    columns: tuple[str, ...] | None
    """What the scorer reads; None: all."""
    added: frozenset[str]
    """Names of the columns the run adds; no input column may have one."""
    chunk_rows: int
    stop_at_bad_row: bool


class OpenFile:
    """An input file whose rows are being scored."""

    def __init__(self, job: FileJob, source: Source, journal: FileJournal, listener: RunListener) -> None:
        self.job = job
        self._source = source
        self.journal = journal
        self.rows = 0
        self._listener = listener
        self._pending = 1  # the reading itself
        self._complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._id = hashlib.blake2b(job.name.encode("utf-8", "surrogateescape"), digest_size=8)

    async def read(self, window: Window, threads: Executor, plan: ReadingPlan) -> None:
        """Issue every row that has no recorded outcome, the next chunk being read meanwhile.

        Raises:
            FatalError: A bad row, and the task says to stop at one.
            FileFailure: The input has a column of a name that the run adds, or cannot be read on.
        """
        wanted = None if plan.columns is None else [*plan.columns, *sorted(plan.added)]
        chunks = self._source.rows_left(
            wanted, recorded=self.journal.recorded, chunk_rows=plan.chunk_rows, limit=self.job.row_limit
        )
        loop = asyncio.get_running_loop()
        coming = loop.run_in_executor(threads, _next, chunks)
        try:
            while (chunk := await coming) is not None:
                coming = loop.run_in_executor(threads, _next, chunks)
                for index, row in chunk:
                    await self._issue(index, row, window, plan)
            self.rows = self._source.row_count
        finally:
            self._finish_one()
            await asyncio.wait([coming])
            coming.cancelled() or coming.exception()  # seen, if we are leaving for another reason

    async def _issue(self, index: int, row: AnyRow, window: Window, plan: ReadingPlan) -> None:
        if isinstance(row, BadRow):
            self._bad(index, row, stop=plan.stop_at_bad_row)
            return
        if not plan.added.isdisjoint(row):
            self._clash(plan.added & row.keys())
        self._pending += 1
        try:
            await window.issue(row, self._ref(index), self._done)
        except BaseException:
            self._pending -= 1
            raise

    def _ref(self, index: int) -> RowRef:
        digest = self._id.copy()
        digest.update(b"%d" % index)
        return RowRef(self.job.name, index, digest.hexdigest())

    def _done(self, ref: RowRef, outcome: Outcome) -> None:
        self.journal.record(ref.row_index, outcome)
        self._listener.row_done(ref, outcome)
        self._finish_one()

    def _bad(self, index: int, row: BadRow, *, stop: bool) -> None:
        reason = f"{self.job.name}: {row.reason}"
        if stop:
            raise FatalError(reason, hint="Repair the row, or set options.bad_rows: keep to go on without it.")
        outcome = Outcome(error_type=ErrorType.BAD_ROW, fail_reason=reason, attempts=0)
        self.journal.record(index, outcome)
        self._listener.row_done(self._ref(index), outcome)

    def _clash(self, names: Collection[str]) -> None:
        raise FileFailure(
            f"{self.job.name}: the input already has the column(s) {', '.join(sorted(names))}",
            hint="Set data.output_prefix to name the added columns apart.",
        )

    def _finish_one(self) -> None:
        self._pending -= 1
        if not self._pending and not self._complete.done():
            self._complete.set_result(None)

    async def complete(self) -> None:
        """Wait for the outcome of the last row."""
        await self._complete


def _next(chunks: Iterator[list[tuple[int, AnyRow]]]) -> list[tuple[int, AnyRow]] | None:
    return next(chunks, None)
