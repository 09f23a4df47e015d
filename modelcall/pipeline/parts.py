"""Files that are too large for one worker: scored in parts by whoever is free, published when all parts are done."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Final, TypeAlias

from modelcall.errors import FileFailure
from modelcall.formats.detect import file_type
from modelcall.formats.opening import open_source
from modelcall.pipeline.job import FileResult, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from modelcall.formats.base import Layout
    from modelcall.fs.base import FileSystem
    from modelcall.pipeline.job import FileJob, PartResult

LARGE: Final = 0.5
"""Share of a worker's fair share of all bytes from which on a file is scored in parts."""
PARTS: Final = 4
"""Parts that make up a fair share, at least."""
GRAINS: Final = 8
"""Pieces that such a part is made of; the last parts are of fewer."""
LEAST_BYTES: Final = 4 << 20
"""Of a piece: opening a part costs tens of milliseconds."""
TURNS: Final = 2
"""A part is at most what each worker would get if all that is left were dealt out in so many turns: so the last parts
are small, and all workers end at about the same time. After guided self-scheduling (C. D. Polychronopoulos and D. J.
Kuck, 1987), which deals in one turn; in two, the first parts need not be equally quick.
"""


_Deal: TypeAlias = "Callable[[int], list[int]]"
"""Tells at which of so many pieces of a file its parts begin."""


@dataclass(slots=True)
class _Cut:
    """A file that is scored in parts."""

    job: FileJob
    rows: int
    open: set[FileJob]
    failure: str | None = None
    learned: list[object] = field(default_factory=list)


def is_countable(fs: FileSystem, job: FileJob) -> bool:
    """Whether a file is text whose lines can be counted. That in a store would come over the network twice for it."""
    kind = file_type(job.name)
    return kind.format == "jsonl" and kind.compression is None and fs.capabilities.append


def layout_of(fs: FileSystem, job: FileJob, parts: int) -> Layout | None:
    """Return how a file may be read in parts; None: it is better left whole. Blocking: text is read once for it."""
    if file_type(job.name).format != "parquet" and not is_countable(fs, job):
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
        is_countable: Whether reading it whole is what that takes.
    """

    def __init__(
        self,
        workers: int,
        *,
        layout: Callable[[FileJob, int], Layout | None],
        is_countable: Callable[[FileJob], bool] = lambda _: False,
    ) -> None:
        self._workers = workers
        self._layout = layout
        self._is_countable = is_countable
        self._cuts: dict[str, _Cut] = {}
        self.add: Callable[[Sequence[FileJob]], None] = lambda _: None
        """Has more jobs done; to be set before a result is taken, as is the next."""
        self.failed: Callable[[str, str], None] = lambda *_: None
        """Is told of a file that failed, and why."""

    @property
    def count(self) -> int:
        """How many files are in parts."""
        return len(self._cuts)

    def foreseen(self, jobs: Sequence[FileJob]) -> int:
        """Return how many jobs there will be at least, unless rows are very long. Nothing is read for it."""
        sized = self._sized(jobs)
        return sum(len(deal(grains)) if grains > 1 and self._is_countable(job) else 1 for job, grains, deal in sized)

    def split(self, jobs: Sequence[FileJob]) -> list[FileJob]:
        """Return the jobs that are left, the largest first, with the parts of a file in place of it. Blocking."""
        return [part for job, grains, deal in self._sized(jobs) for part in self._parts(job, grains, deal)]

    def _sized(self, jobs: Sequence[FileJob]) -> Iterator[tuple[FileJob, int, _Deal]]:
        """Yield the jobs, the largest first, each with how many pieces it is to be cut into, and how they are dealt."""
        left = sum(job.listed.size for job in jobs)
        share = left / self._workers
        for job in sorted(jobs, key=lambda job: (-job.listed.size, job.name)):
            size = job.listed.size
            left -= size
            is_whole = self._workers == 1 or job.row_limit is not None or job.republish or job.as_recorded
            grains = 1
            if share and size >= LARGE * share and not is_whole:
                grains = max(1, min(round(size / share * PARTS * GRAINS), size // LEAST_BYTES))
            yield job, grains, partial(self._dealt, size=size, most=share / PARTS, behind=left)

    def _parts(self, job: FileJob, grains: int, deal: _Deal) -> Iterable[FileJob]:
        layout = self._layout(job, grains) if grains > 1 else None
        if layout is None or len(layout.starts) < 2:  # noqa: PLR2004  one part is no part
            return [job]
        starts = [layout.starts[at] for at in deal(len(layout.starts))]
        stops = [*(start.row for start in starts[1:]), layout.rows]
        parts = map(Part, count(), starts, stops)
        jobs = [replace(job, part=part) for part in parts]
        self._cuts[job.name] = _Cut(job, layout.rows, set(jobs))
        return jobs

    def _dealt(self, grains: int, *, size: int, most: float, behind: int) -> list[int]:
        """Return at which pieces of a file its parts begin, if jobs of ``behind`` bytes come after it."""
        grain, begins = size / grains, [0]
        while True:
            turn = ((grains - begins[-1]) * grain + behind) / (TURNS * self._workers)
            following = begins[-1] + max(1, round(min(most, turn) / grain))
            if following >= grains:
                return begins
            begins.append(following)

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
