"""The runner: jobs in, results out, under two nested semaphores.

Level one covers *reading*: a file's permit is free again when its last row has been issued, so stragglers and
publishing never hold the next file back. Level two is the request permit of each row (``window``). Files that are read
but not finished are bounded by the rows that may be in flight.

While a part of a file is being read no other job is taken: whoever is free takes the next part, so that at the end
nobody is left with two of them.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from modelcall.errors import FileFailure
from modelcall.fs.errors import storage_failure
from modelcall.pipeline.file import OpenFile, ReadingPlan
from modelcall.pipeline.job import FileResult, HasRead, JobResult, PartResult
from modelcall.pipeline.read_ahead import read_into
from modelcall.pipeline.room import Room
from modelcall.pipeline.window import Window
from modelcall.types import FileCounts

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator

    from modelcall.formats.base import Source
    from modelcall.pipeline.input import InputFiles
    from modelcall.pipeline.job import FileJob
    from modelcall.pipeline.publish import Publisher
    from modelcall.state.file_journal import FileJournal
    from modelcall.state.journal import Base, ShardJournal
    from modelcall.types import RowRef, RowScorer, RunListener

FATAL_DRAIN_SECONDS = 5.0
"""After a fatal error the rows in flight get this long: what they answer was paid for."""
LARGE_BYTES = 8 << 20
"""Input files from this size on are published one at a time: each takes all the memory that publishing may have."""
_PUBLISHERS = 4
"""Of other files: what they wait for is a store far away."""


@dataclass(frozen=True, slots=True)
class RunnerSettings:
    """What the task says about reading."""

    max_concurrent_files: int
    chunk_rows: int
    stop_at_bad_row: bool = False
    """Else it is a failed row."""
    stop_at_failure: bool = False
    """Of any other row; else it is a failed row."""
    drop_failed: bool = False
    """Failed rows are left out of the output."""
    grace_seconds: float = 20.0


_T = TypeVar("_T")
_Item: TypeAlias = "JobResult | BaseException | None"


class Runner:
    """Scores and publishes files in one process and event loop."""

    def __init__(
        self,
        scorer: RowScorer,
        *,
        inputs: InputFiles,
        journal: ShardJournal,
        publisher: Publisher,
        listener: RunListener,
        settings: RunnerSettings,
        base_of: Callable[[FileJob], Base | None] = lambda _: None,
    ) -> None:
        self._base_of = base_of
        self._scorer = scorer
        self._inputs = inputs
        self._journal = journal
        self._publisher = publisher
        self._listener = listener
        self._settings = settings
        self._threads = ThreadPoolExecutor(settings.max_concurrent_files + _PUBLISHERS + 1, "modelcall-files")
        self._reading = asyncio.Semaphore(settings.max_concurrent_files)
        self._between_parts = asyncio.Event()
        self._between_parts.set()
        self._unfinished = Room(lambda: settings.max_concurrent_files + scorer.permits.ceiling)
        self._publishing = asyncio.Semaphore(_PUBLISHERS)
        self._publishing_large = asyncio.Semaphore(1)
        self._results: asyncio.Queue[_Item] = asyncio.Queue()
        self._readers: set[asyncio.Task[None]] = set()
        self._publishers: set[asyncio.Task[None]] = set()
        self._files: set[asyncio.Task[None]] = set()
        self._open: dict[FileJob, OpenFile] = {}
        self._draining: asyncio.Task[None] | None = None
        self._grace = settings.grace_seconds
        self._read_now = 0
        self._window = Window(scorer, on_error=self._results.put_nowait)
        self._reading_plan = ReadingPlan(
            columns=None if scorer.reads is None else tuple(sorted(scorer.reads)),
            added=publisher.added,
            chunk_rows=settings.chunk_rows,
            stop_at_bad_row=settings.stop_at_bad_row,
            stop_at_failure=settings.stop_at_failure,
        )

    async def run(self, jobs: AsyncIterator[FileJob]) -> AsyncGenerator[JobResult, None]:
        """Yield the result of each file, or part of one, as it ends. After :meth:`stop` unfinished files have none.

        Raises:
            FatalError: Going on is pointless; what was answered is recorded.
        """
        await self._blocking(self._journal.prepare)
        self._journal.start(self._results.put_nowait)
        feeder = asyncio.get_running_loop().create_task(self._feed(jobs))
        feeder.add_done_callback(self._report)
        self._readers.add(feeder)
        try:
            while isinstance(item := await self._results.get(), JobResult):
                yield item
        except BaseException:
            await self._end(0)
            raise
        await self._end(FATAL_DRAIN_SECONDS if item else self._grace)
        while not self._results.empty():
            late = self._results.get_nowait()
            if isinstance(late, JobResult):
                yield late
            item = item or late
        if isinstance(item, BaseException):
            raise item

    def stop(self, grace: float | None = None) -> None:
        """Issue no more rows; let those in flight end within ``grace`` seconds, by default those of the task."""
        if grace is not None:
            self._grace = grace
        self._results.put_nowait(None)

    def drain(self) -> None:
        """Issue no more rows; let those in flight take as long as they need, then end. :meth:`stop` does not wait."""
        if self._draining is None:
            self._draining = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        await _cancel(self._readers)
        await self._window.idle()
        self.stop()

    @property
    def rows_begun(self) -> int | None:
        """Rows without an outcome yet, if no others can come now; None as long as files are being read."""
        return None if self._read_now else len(self._window)

    def oldest(self, count: int) -> list[tuple[RowRef, float]]:
        """Return the rows that are in flight longest, with their seconds until now."""
        return self._window.oldest(count)

    def expected_rows(self) -> dict[str, int]:
        """Return how many rows the files seem to have that are begun and not published, as far as there is telling."""
        expected = {job.name: file.expected_rows() for job, file in self._open.items()}
        return {name: rows for name, rows in expected.items() if rows is not None}

    def fail(self, error: BaseException) -> None:
        """End as after a fatal error of a row: something outside has made going on pointless."""
        self._results.put_nowait(error)

    async def _feed(self, jobs: AsyncIterator[FileJob]) -> None:
        loop = asyncio.get_running_loop()
        coming = aiter(jobs)
        while True:
            await self._unfinished.acquire()
            await self._reading.acquire()
            await self._between_parts.wait()
            job = await anext(coming, None)  # not before it can be begun: others may be free for it
            if job is None:
                break
            self._read_now += 1
            if job.part is not None:
                self._between_parts.clear()
            task = loop.create_task(self._file(job))
            self._files.add(task)
            task.add_done_callback(self._file_ended)
        while self._files:
            await asyncio.wait(self._files)
        self._results.put_nowait(None)

    def _file_ended(self, task: asyncio.Task[None]) -> None:
        self._files.discard(task)
        self._unfinished.release()
        self._report(task)

    def _report(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._results.put_nowait(error)

    async def _file(self, job: FileJob) -> None:
        """Bring one file from its opening to its publication, a part to its last outcome."""
        try:
            result = await self._done(job)
        except FileFailure as failure:
            result = (PartResult if job.part is not None else FileResult)(job, failure=failure.message)
            if job.part is None:
                self._listener.file_failed(job.name, failure.message)
        self._open.pop(job, None)
        self._results.put_nowait(result)

    async def _done(self, job: FileJob) -> JobResult:
        if job.rows is None:
            return await self._score(job)
        if job.read_into is None:
            return await self._put_together(job, job.rows)
        self._has_read(job)
        await self._blocking(partial(read_into, job.read_into, partial(self._publisher.source_of, job)))
        return HasRead(job)

    async def _score(self, job: FileJob) -> FileResult | PartResult:
        with _storage(job, writing=False):
            file = await self._read(job)
        await file.complete()
        with _storage(job, writing=True), self._ending():
            if job.part is None:
                return await self._publish(job, file.source, file.journal, rows=file.rows)
            await self._journal.secure()
            self._journal.close_file(file.journal)
            return PartResult(job, learned=file.source.learned)

    async def _put_together(self, job: FileJob, rows: int) -> FileResult:
        """Publish a file whose parts are scored."""
        try:
            with _storage(job, writing=False):
                journal = await self._blocking(partial(self._open_journal, job))
                source = await self._blocking(partial(self._inputs.open, job))
        finally:
            self._has_read(job)
        with _storage(job, writing=True), self._ending():
            return await self._publish(job, source, journal, rows=rows)

    def _has_read(self, job: FileJob) -> None:
        if job.part is not None:
            self._between_parts.set()
        self._read_now -= 1
        self._reading.release()

    async def _read(self, job: FileJob) -> OpenFile:
        """Open a file and issue its rows; the file permit is held meanwhile."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  we are in one; for the type checker
        self._readers.add(task)
        try:
            journal = await self._blocking(partial(self._open_journal, job))
            source = await self._blocking(partial(self._inputs.open, job))
            try:
                file = OpenFile(job, source, journal, self._listener, self._reading_plan)
                self._open[job] = file
                self._listener.file_started(job.name, recorded=journal.recorded.count)
                await file.read(self._window, self._threads)
            finally:
                source.close()
        finally:
            self._readers.discard(task)
            self._has_read(job)
        return file

    def _open_journal(self, job: FileJob) -> FileJournal:
        base = self._base_of(job)
        if base is not None:
            read = base.outcomes
            base = replace(base, outcomes=lambda: self._publisher.unless_cancelled(read()))
        content = self._inputs.content(job)
        return self._journal.open(
            job.name,
            fingerprint=job.fingerprint,
            content=content,
            base=base,
            retry=not job.as_recorded,
            part=None if job.rows is not None else job.part.number if job.part is not None else 0,
        )

    async def _publish(self, job: FileJob, source: Source, journal: FileJournal, *, rows: int) -> FileResult:
        """Publish a complete file and retire its journal. Should we die in between, it must come out the same."""
        await self._journal.secure()
        large = job.listed.size >= LARGE_BYTES
        async with self._publishing_large if large else self._publishing:
            entry = await self._blocking(partial(self._publisher.publish, job, source, journal, rows=rows))
            if entry.whole:  # else the journal will be needed, and is still to be synced
                self._journal.close_file(journal)
                await self._blocking(journal.retire)
        counts = FileCounts(total=entry.rows, scored=entry.scored, failed=entry.failed)
        self._listener.file_done(job.name, counts)
        return FileResult(job, counts, failures=entry.failures, dropped=entry.dropped, types=entry.types)

    @contextmanager
    def _ending(self) -> Iterator[None]:
        """Count the current task among those that a stop waits for: its file is complete."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  as above
        self._publishers.add(task)
        try:
            yield
        finally:
            self._publishers.discard(task)

    async def _blocking(self, call: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def _end(self, grace: float) -> None:
        """Stop reading, let rows in flight end and complete files be published, then cut off what is left."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace
        try:
            await _cancel([self._draining] if self._draining is not None else [])
            await _cancel(self._readers)
            await self._window.drain(deadline - loop.time())
            await asyncio.sleep(0)  # files whose last row ended just now begin to publish
            if self._publishers and loop.time() < deadline:
                await asyncio.wait(self._publishers, timeout=deadline - loop.time())
            self._publisher.cancel()
            await _cancel(self._files)
            await self._journal.close()
        finally:
            await asyncio.to_thread(self._threads.shutdown)


@contextmanager
def _storage(job: FileJob, *, writing: bool) -> Iterator[None]:
    """Map what the store says: an input file that cannot be read fails, a disk that cannot be written ends the run."""
    try:
        yield
    except OSError as error:
        raise storage_failure(error, writing=writing and error.filename != job.path) from error


async def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    left = list(tasks)
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
