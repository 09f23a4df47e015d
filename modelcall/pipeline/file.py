"""The life of a file: opened, read to its end while its rows are issued, complete, published."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelcall.errors import FatalError, FileFailure
from modelcall.formats.base import BadRow
from modelcall.pipeline.row_ids import RowIds
from modelcall.types import ErrorType, Outcome, RowRef

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from concurrent.futures import Executor

    from modelcall.formats.base import AnyRow, RowSelection, Source
    from modelcall.pipeline.job import FileJob
    from modelcall.pipeline.window import Window
    from modelcall.state.file_journal import FileJournal
    from modelcall.types import RunListener

_ANSWER_CHARS = 500
_BAD_ROW_HINT = (
    "Set options.bad_rows: keep and start again to go on with it as a failed row; or repair the input and start over "
    "with --fresh, since another input is another run."
)
_FAILURE_HINT = (
    "Start again to go on, the row staying failed, or with --retry_failed to ask it again; options.on_error: keep does "
    "not stop."
)


@dataclass(frozen=True, slots=True)
class ReadingPlan:
    """How input files are read for scoring."""

    columns: tuple[str, ...] | None
    """What the scorer reads; None: all."""
    added: frozenset[str]
    """Names of the columns the run adds; no input column may have one."""
    chunk_rows: int
    stop_at_bad_row: bool
    stop_at_failure: bool


class OpenFile:
    """An input file whose rows are being scored."""

    def __init__(
        self, job: FileJob, source: Source, journal: FileJournal, listener: RunListener, plan: ReadingPlan
    ) -> None:
        self.job = job
        self._plan = plan
        self.source = source
        self.journal = journal
        self.rows = 0
        self._listener = listener
        self._pending = 1  # the reading itself
        self._complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ids = RowIds(job.name)

    async def read(self, window: Window, threads: Executor) -> None:
        """Issue every row that has no recorded outcome, the next chunk being read meanwhile.

        Raises:
            FatalError: A bad row, and the task says to stop at one.
            FileFailure: The input has a column of a name that the run adds, or cannot be read on.
        """
        plan = self._plan
        wanted = None if plan.columns is None else [*plan.columns, *sorted(plan.added)]
        part, recorded = self.job.part, self.journal.recorded
        chunks = self.source.rows_left(
            wanted,
            recorded=recorded if part is None else From(part.start.row, recorded),
            start=None if part is None else part.start,
            chunk_rows=plan.chunk_rows,
            limit=self.job.row_limit if part is None else part.stop,
        )
        loop = asyncio.get_running_loop()
        coming = loop.run_in_executor(threads, _next, chunks)
        try:
            while (chunk := await coming) is not None:
                coming = loop.run_in_executor(threads, _next, chunks)
                for index, row in chunk:
                    await self._issue(index, row, window)
            self.rows = self.source.row_count
        finally:
            self._finish_one()
            await asyncio.wait([coming])
            coming.cancelled() or coming.exception()  # seen, if we are leaving for another reason

    async def _issue(self, index: int, row: AnyRow, window: Window) -> None:
        if isinstance(row, BadRow):
            reason = f"{self.job.name}: {row.reason}"
            self._take(self._ref(index), Outcome(error_type=ErrorType.BAD_ROW, fail_reason=reason, attempts=0))
            return
        if not self._plan.added.isdisjoint(row):
            self._clash(self._plan.added & row.keys())
        self._pending += 1
        try:
            await window.issue(row, self._ref(index), self._done)
        except BaseException:
            self._pending -= 1
            raise

    def expected_rows(self) -> int | None:
        """How many rows the file seems to have: exact once it is read; None: nobody can tell."""
        if self.rows and self.job.part is None:
            return self.rows
        expected = self.source.expected_rows(self.job.listed.size)
        return expected if expected is None or self.job.row_limit is None else min(expected, self.job.row_limit)

    def _ref(self, index: int) -> RowRef:
        return RowRef(self.job.name, index, self._ids[index])

    def _done(self, ref: RowRef, outcome: Outcome) -> None:
        self._take(ref, outcome)
        self._finish_one()

    def _take(self, ref: RowRef, outcome: Outcome) -> None:
        """Record an outcome.

        Raises:
            FatalError: The row failed, and the task says to stop then. A bad row is not recorded: it cost nothing, and
                whether it is kept may be said yet.
        """
        bad = outcome.error_type is ErrorType.BAD_ROW
        if bad and self._plan.stop_at_bad_row:
            raise FatalError(_told(ref, outcome), hint=_BAD_ROW_HINT)
        self.journal.record(ref.row_index, outcome)
        self._listener.row_done(ref, outcome)
        if outcome.error_type is not None and not bad and self._plan.stop_at_failure:
            raise FatalError(_told(ref, outcome), hint=_FAILURE_HINT)

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


@dataclass(frozen=True, slots=True)
class From:
    """The rows before one, and those of a selection: what the scoring of a part passes over."""

    start: int
    others: RowSelection

    def __contains__(self, row: int) -> bool:
        """Whether a row is passed over."""
        return row < self.start or row in self.others

    def covers(self, first: int, count: int) -> bool:
        """Whether each of ``count`` rows from ``first`` on is."""
        before = max(0, min(count, self.start - first))
        return before == count or self.others.covers(first + before, count - before)


def _told(ref: RowRef, outcome: Outcome) -> str:
    answer = f"\nIts answer: {outcome.raw[:_ANSWER_CHARS]}" if outcome.raw else ""
    return f"{ref.file}, row {ref.row_index} failed: {outcome.error_type}: {outcome.fail_reason}{answer}"


def _next(chunks: Iterator[list[tuple[int, AnyRow]]]) -> list[tuple[int, AnyRow]] | None:
    return next(chunks, None)
