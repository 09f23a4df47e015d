"""The answers of a task's last run, file by file, as they are at the moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelcall.errors import ConfigError
from modelcall.pipeline.answers import file_answers
from modelcall.state.copies import journals_of
from modelcall.state.lock import last_epoch
from modelcall.state.place import recorded_at
from modelcall.state.shard import shard_files
from modelcall.task_manager.places import Places, parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelcall.config.loading import LoadedTask
    from modelcall.pipeline.answers import FileAnswers
    from modelcall.state.run import RunRecord


@dataclass(frozen=True, slots=True)
class Answers:
    """A run and its files."""

    record: RunRecord
    files: Iterator[FileAnswers]


def answers(loaded: LoadedTask, *, job_index: int | None = None, world_size: int | None = None) -> Answers:
    """Return the last run with the answers of its files: of all shards, or of one. Nothing is written.

    Raises:
        ConfigError: No run has begun, or it has no such shard.
    """
    places = Places(loaded)
    chain = places.last_runs()
    newest = chain[0]
    size = newest.world_size if world_size is None else world_size
    if job_index is not None and job_index >= size:
        raise ConfigError(f"job_index {job_index}: there are {size} shards, from 0", hint="Leave it out to see all.")
    mine = {"job_index": 0, "world_size": 1} if job_index is None else {"job_index": job_index, "world_size": size}
    return Answers(newest, _files(places, chain, mine))


def _files(places: Places, chain: list[RunRecord], mine: dict[str, int]) -> Iterator[FileAnswers]:
    store = places.store()
    for run_index, (to, _) in enumerate(places.outputs(chain[0]), 1):
        stat = places.stat_folder(to)
        for runs, shard in parts(chain, run_index, **mine):
            work = recorded_at(store, runs[0], shard, stat=stat, other=places.other_stat_folder)
            with journals_of(work, epoch=last_epoch(*to.lock(shard)) + 1) as journals:
                for file in shard_files(runs[0], shard.job_index):
                    yield file_answers(to, runs, file, journals, run_index=run_index)
