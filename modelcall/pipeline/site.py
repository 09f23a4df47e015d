"""Where one pass over a shard is worked on, by its owner or by a worker of it: enough to build a runner."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from modelcall.pipeline.input import InputFiles
from modelcall.pipeline.publish import Destination, Publisher
from modelcall.pipeline.read_ahead import ReadAhead
from modelcall.pipeline.reading_back import base_of
from modelcall.pipeline.runner import Runner
from modelcall.state.journal import ShardJournal
from modelcall.state.lock import Lock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from modelcall.formats.unify import Unified
    from modelcall.fs.base import FileSystem
    from modelcall.pipeline.columns import ResultPlan
    from modelcall.pipeline.job import FileJob
    from modelcall.pipeline.runner import RunnerSettings
    from modelcall.state.journal import Sends, Worker
    from modelcall.state.place import StatFolder
    from modelcall.state.run import RunRecord, ShardKey
    from modelcall.state.segments import Segment
    from modelcall.state.shard import OutputFolder
    from modelcall.types import RowScorer, RunListener


@dataclass(frozen=True, slots=True)
class Owned:
    """A shard's pass that somebody owns, as a worker is told of it. Picklable."""

    record: RunRecord
    """Without its files."""
    shard: ShardKey
    epoch: int
    """Number of the owner."""
    retry_since: int
    earlier: Mapping[str, list[Segment]]
    """What the owners before recorded, by file key."""
    copied: bool
    """Whether copies of the journal go to a store."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What manifest entries say of the run."""
        return {
            "run": self.record.run,
            "run_number": self.record.number,
            "job_index": self.shard.job_index,
            "world_size": self.record.world_size,
        }


@dataclass(frozen=True, slots=True)
class Site:
    """Where the files of a pass are read, recorded and published.

    Args:
        owned: Whose pass it is.
        input_fs: Has the input.
        to: Takes the output.
        stat: Has the progress.
        copies: Where copies of the journal go, if any.
        worker: Number of the worker that works here; None: the owner does.
        ask: Has a file read by another worker that is free, if there is one.
    """

    owned: Owned
    input_fs: FileSystem
    to: OutputFolder
    stat: StatFolder
    copies: Sends | None = None
    worker: Worker | None = None
    ask: Callable[[FileJob], object] | None = None

    def runner(
        self,
        scorer: RowScorer,
        plan: ResultPlan,
        *,
        output_columns: tuple[str, ...] | None,
        unified: Unified | None,
        listener: RunListener,
        settings: RunnerSettings,
    ) -> Runner:
        """Build what scores and publishes files here; the lock must be held by us, or by whom we work for."""
        owned = self.owned
        work = self.stat.work(owned.record, owned.shard)
        inputs = InputFiles(self.input_fs, unified=unified, wanted=output_columns)
        lock = Lock(*self.to.lock(owned.shard), epoch=owned.epoch)
        destination = Destination(output=self.to, lock=lock, facts=owned.facts, scratch=work.local)
        return Runner(
            scorer,
            inputs=inputs,
            journal=ShardJournal(
                work.journals,
                epoch=owned.epoch,
                identity=owned.record.run,
                retry_since=owned.retry_since,
                copies=self.copies,
                worker=self.worker,
            ),
            publisher=Publisher(
                inputs,
                destination,
                plan,
                output_columns=output_columns,
                drop_failed=settings.drop_failed,
                ahead=None if self.ask is None else ReadAhead(self.ask),
            ),
            listener=listener,
            settings=settings,
            base_of=partial(base_of, self.to),
        )
