"""Files that are too large for one worker: scored in parts by whoever is free, published when all parts are done."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Final

from modelcall.errors import FileFailure
from modelcall.formats.detect import file_type
from modelcall.formats.opening import open_source
from modelcall.pipeline.job import FileResult, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from modelcall.formats.base import Layout
    from modelcall.fs.base import FileSystem
    from modelcall.pipeline.job import FileJob, PartResult

LARGE: Final = 0.5
"""Share of a worker's fair share of all bytes from which on a file is scored in parts."""
PARTS: Final = 4
"""Parts that make up a fair share: so many workers that end early find something to do."""
LEAST_BYTES: Final = 4 << 20
"""Of a part: opening it costs tens of milliseconds."""


@dataclass(slots=True)
class _Cut:
    """A file that is scored in parts."""

    job: FileJob
    rows: int
    open: set[FileJob]
    failure: str | None = None
    learned: list[object] = field(default_factory=list)


def layout_of(fs: FileSystem, job: FileJob, parts: int) -> Layout | None:
    """Return how a file may be read in parts; None: it is better left whole. Blocking: text is read once for it.

    Text in a store would come over the network twice for that.
    """
    if file_type(job.name).format != "parquet" and not fs.capabilities.append:
        return None
    source = open_source(lambda: fs.open_listed(job.listed), name=job.name)
    try:
        return source.layout(parts)
    except (OSError, FileFailure):  # whoever reads it says so
        return None
    finally:
        source.close()


class Parts:
    """The files of one pass that are scored in parts.

    Args:
        workers: How many are to share the files.
        layout: How a file may be read in so many parts; None: it is better left whole. Blocking.
    """

    def __init__(self, workers: int, *, layout: Callable[[FileJob, int], Layout | None]) -> None:
        self._workers = workers
        self._layout = layout
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
        wanted = min(round(size / share * PARTS) if share else 1, size // LEAST_BYTES)
        is_whole = job.row_limit is not None or job.republish or job.as_recorded
        if is_whole or size < LARGE * share or wanted < 2:  # noqa: PLR2004  one part is no part
            return [job]
        layout = self._layout(job, wanted)
        if layout is None or len(layout.starts) < 2:  # noqa: PLR2004  as above
            return [job]
        stops = [*(start.row for start in layout.starts[1:]), layout.rows]
        parts = map(Part, count(), layout.starts, stops)
        jobs = [replace(job, part=part) for part in parts]
        self._cuts[job.name] = _Cut(job, layout.rows, set(jobs))
        return jobs

    def took(self, result: PartResult) -> FileResult | None:
        """Take in what came of a part; return what came of its file, if that failed. With the last it is published."""
        cut = self._cuts[result.job.name]
        cut.open.discard(result.job)
        cut.failure = cut.failure or result.failure
        cut.learned.append(result.learned)
        if cut.open:
            return None
        if cut.failure is not None:
            self.failed(cut.job.name, cut.failure)
            return FileResult(cut.job, failure=cut.failure)
        self.add([replace(cut.job, rows=cut.rows, learned=tuple(filter(None, cut.learned)))])
        return None
