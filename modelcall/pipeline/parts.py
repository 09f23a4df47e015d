"""Files that are too large for one worker: scored in parts, by whoever is free, and published when all parts are done.

How many rows a text file has is not known before it is read to its end, so its parts are cut by an estimate. Where the
file turns out to be longer, more parts follow; where it is shorter, the last ones are found to be empty.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from modelcall.errors import FileFailure
from modelcall.formats.base import NO_ROWS
from modelcall.formats.detect import file_type
from modelcall.formats.opening import open_source
from modelcall.pipeline.job import FileResult, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from modelcall.fs.base import FileSystem
    from modelcall.pipeline.job import FileJob, PartResult

LARGE: Final = 0.5
"""Share of a worker's fair share of all bytes from which on a file is scored in parts."""
PARTS: Final = 4
"""Parts that make up a fair share: so many workers that end early find something to do."""
_SAMPLE: Final = 1000
"""Rows that tell how long rows are."""
LEAST_BYTES: Final = 4 << 20
"""Of a part: opening it costs tens of milliseconds."""


@dataclass(slots=True)
class _Cut:
    """A file that is scored in parts."""

    job: FileJob
    rows: int
    """Of each part."""
    next: int = 0
    open: set[FileJob] = field(default_factory=set)
    found: int | None = None
    """Rows of the whole file, as soon as a part has come to its end."""
    failure: str | None = None
    learned: list[object] = field(default_factory=list)

    def more(self, count: int) -> list[FileJob]:
        """Return the jobs of so many further parts."""
        numbers = range(self.next, self.next + count)
        parts = [Part(number, number * self.rows, (number + 1) * self.rows) for number in numbers]
        jobs = [replace(self.job, part=part) for part in parts]
        self.next += count
        self.open.update(jobs)
        return jobs


def about_rows(fs: FileSystem, job: FileJob) -> int | None:
    """Return about how many rows a file has; None: it cannot be told, or reading it in parts is dear. Blocking.

    A part of a text file is found by reading all that stands before it: that is for local disks, and not for text that
    must be unpacked.
    """
    kind = file_type(job.name)
    if kind.format != "parquet" and not fs.capabilities.append:
        return None
    source = open_source(lambda: fs.open_listed(job.listed), name=job.name)
    try:
        next(source.rows_left([], recorded=NO_ROWS, chunk_rows=_SAMPLE, limit=_SAMPLE), None)
        return source.expected_rows(job.listed.size)
    except (OSError, FileFailure):  # whoever reads it says so
        return None
    finally:
        source.close()


class Parts:
    """The files of one pass that are scored in parts.

    Args:
        workers: How many are to share the files.
        estimate: About how many rows a file has; None: it is better left whole. Blocking.
    """

    def __init__(self, workers: int, *, estimate: Callable[[FileJob], int | None]) -> None:
        self._workers = workers
        self._estimate = estimate
        self._cuts: dict[str, _Cut] = {}
        self.add: Callable[[Sequence[FileJob]], None] = lambda _: None
        """Has more jobs done; to be set before a result is taken, as is the next."""
        self.failed: Callable[[str, str], None] = lambda *_: None
        """Is told of a file that failed, and why."""

    @property
    def count(self) -> int:
        """How many files are in parts."""
        return len(self._cuts)

    def split(self, jobs: Sequence[FileJob]) -> list[FileJob]:
        """Return the jobs that are left, the largest first, with the parts of a file in place of it. Blocking."""
        share = sum(job.listed.size for job in jobs) / self._workers
        largest_first = sorted(jobs, key=lambda job: (-job.listed.size, job.name))
        return [each for job in largest_first for each in self._parts(job, share)]

    def _parts(self, job: FileJob, share: float) -> Iterable[FileJob]:
        size = job.listed.size
        count = min(round(size / share * PARTS) if share else 1, size // LEAST_BYTES)
        is_whole = job.row_limit is not None or job.republish or job.as_recorded
        if is_whole or size < LARGE * share or count < 2:  # noqa: PLR2004  one part is no part
            return [job]
        rows = self._estimate(job)
        if rows is None or rows < count:
            return [job]
        cut = self._cuts[job.name] = _Cut(job, rows // count + 1)
        return cut.more(count)

    def took(self, result: PartResult) -> FileResult | None:
        """Take in what came of a part; return what came of its file, if it failed. Else the rest of it is given out."""
        cut = self._cuts[result.job.name]
        part = result.job.part
        assert part is not None  # noqa: S101  it is the result of one
        cut.open.discard(result.job)
        cut.failure = cut.failure or result.failure
        cut.learned.append(result.learned)
        if result.failure is None and result.rows < part.stop:
            cut.found = result.rows
        if cut.open:
            return None
        if cut.failure is not None:
            self.failed(cut.job.name, cut.failure)
            return FileResult(cut.job, failure=cut.failure)
        if cut.found is None:
            self.add(cut.more(self._workers))
        else:
            self.add([replace(cut.job, rows=cut.found, learned=tuple(filter(None, cut.learned)))])
        return None
