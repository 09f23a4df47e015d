"""What goes into a start beside the task, and what comes out of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from modelcall.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from modelcall.config.shard import Shard
    from modelcall.pipeline.tally import Tally
    from modelcall.state.listing import ListedFile
    from modelcall.task_manager.preprocess_summary import PreprocessSummary
    from modelcall.types import PermitSource, RowRef


_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Invocation:
    """What the command line adds to a task."""

    fresh: bool = False
    retry: bool = False
    """Ask failed rows again."""
    job_index: int | None = None
    world_size: int | None = None


class Stop:
    """The wish to stop, from a signal handler to whatever runs at the time."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self.drained_by: str | None = None
        """Who asked for the end without any hurry."""
        self._stoppers: list[Callable[[], object]] = []
        self._drainers: list[Callable[[], object]] = []

    @property
    def asked(self) -> bool:
        """Whether the wish has come, in either form."""
        return self.signal is not None or self.drained_by is not None

    def request(self, signal: int) -> None:
        """Ask everything that runs to end within its grace period."""
        self.signal = signal
        for stop in self._stoppers:
            stop()

    def drain(self, by: str) -> None:
        """Ask everything that runs to begin nothing more, and to end when what is begun has ended."""
        if self.asked:
            return
        self.drained_by = by
        for drain in self._drainers:
            drain()

    @property
    def drained(self) -> FatalError:
        """What a start ends with that was drained before all was done."""
        return FatalError(f"drained: {self.drained_by} asked for it", hint="Start again to go on.")

    def when_asked(self, stop: Callable[[], object], *, drain: Callable[[], object] | None = None) -> None:
        """Call ``stop`` when the wish comes, or ``drain`` if there is no hurry; at once if it has come."""
        self._stoppers.append(stop)
        self._drainers.append(drain or stop)
        if self.signal is not None:
            stop()
        elif self.drained_by is not None:
            self._drainers[-1]()

    async def unless_asked(self, work: Coroutine[Any, Any, _T]) -> _T | None:
        """Do ``work``, which is cancelled when the wish comes; then the result is None."""
        task = asyncio.get_running_loop().create_task(work)
        self.when_asked(task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            if not self.asked:
                raise
            return None
        finally:
            self._stoppers.remove(task.cancel)
            self._drainers.remove(task.cancel)


@dataclass(slots=True)
class Summary:
    """What a start brought."""

    how: str
    """``new``, ``joined``, ``continued``, ``extended``; ``preprocessing``: no further than that."""
    run: str
    timestamp: str
    shard: Shard
    max_failed_ratio: float
    planned: tuple[str, ...] = ()
    """The outputs of all passes, in their order; none before it is settled which run it is."""
    outputs: list[str] = field(default_factory=list)
    """Those of the passes that were begun."""
    failed_lists: list[str] = field(default_factory=list)
    """Folders with lists of failed rows."""
    passes: list[Tally] = field(default_factory=list)
    retry: bool = False
    """Failed rows were to be asked again."""
    worked: bool = False
    """Whether there was anything to do."""
    cut: bool = False
    """Whether a pass was not begun, because the wish to stop had come."""
    waiting: tuple[str, ...] = ()
    """Input files that came after the listing."""
    passed_over: tuple[str, ...] = ()
    """Files in the input folder that are no data files."""
    preprocess: PreprocessSummary | None = None
    """What came of preprocessing, if the task has any."""
    error: FatalError | None = None
    signal: int | None = None

    @property
    def unfinished(self) -> bool:
        """Whether anything is left to do."""
        return self.cut or any(tally.unfinished > 0 for tally in self.passes)

    @property
    def exit_code(self) -> int:
        """0 all scored, 3 failed rows above the limit or failed files, 4 stopped, 128 + signal interrupted."""
        if self.signal is not None:
            return 128 + self.signal
        if self.error is not None:
            return 4
        rows = sum(tally.rows for tally in self.passes)
        failed = sum(tally.failed for tally in self.passes)
        broken = any(tally.broken_files for tally in self.passes) or bool(self.preprocess and self.preprocess.failed)
        too_many = bool(failed) and failed / rows > self.max_failed_ratio  # a product would round 0.29 * 100 down
        return 3 if broken or too_many else 0


class InFlight(Protocol):
    """What a pass can tell of the rows and files it has begun."""

    def oldest(self, count: int) -> Sequence[tuple[RowRef, float]]:
        """Return the rows that are in flight longest, with their seconds until now."""

    def expected_rows(self) -> Mapping[str, int]:
        """Return how many rows the files seem to have that are begun and not published, as far as there is telling."""


class Begins(Protocol):
    """Who wants to know, beside what happens, what is about to: with facts that only a start has."""

    def preprocessing_begins(self, summary: Summary) -> None:
        """Raw files are about to be preprocessed, or waited for; there is no run yet."""

    def run_begins(self, summary: Summary) -> None:
        """It is settled which run this start belongs to."""

    def pass_begins(self, files: Sequence[ListedFile], permits: PermitSource, rows: InFlight) -> None:
        """These files are left to do; ``permits`` count the requests in flight, ``rows`` names them."""
