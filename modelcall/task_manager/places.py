"""Where the runs of a task stand, and what of them is a shard's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcall.config.paths import fill, fixed_prefix, placeholders_in
from modelcall.formats.detect import is_data_file
from modelcall.state.run import STATE, RunStore, ShardKey, run_key
from modelcall.state.shard import OutputFolder, output_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modelcall.config.loading import LoadedTask
    from modelcall.fs.base import FileSystem
    from modelcall.state.run import RunRecord


class Places:
    """Folders of a task's runs and of their outputs."""

    def __init__(self, loaded: LoadedTask, fs: FileSystem) -> None:
        self._loaded = loaded
        self._fs = fs
        self.single = is_data_file(loaded.paths.output)

    def store(self) -> RunStore:
        """Return the runs of this task and output folder; a fixed single output file keeps them by its name."""
        output, task = self._loaded.paths.output, self._loaded.task
        anchor = f"{fixed_prefix(output)}/{STATE}"
        if self.single and not placeholders_in(output):
            anchor = output_folder(self._fs, output, single=True).state
        return RunStore(self._fs, f"{anchor}/runs/{run_key(task.task_name, task.data.output_folder)}")

    def output(self, record: RunRecord, run_index: int) -> OutputFolder:
        """Return where a pass of a run writes."""
        task_name = self._loaded.task.task_name
        values = {"timestamp": record.timestamp, "task_name": task_name, "run_index": str(run_index)}
        return output_folder(self._fs, fill(self._loaded.paths.output, values), single=record.output_file is not None)

    def stat_folder(self, to: OutputFolder) -> str:
        """Return where the progress of an output is kept."""
        return self._loaded.paths.stat or to.state


def parts(
    chain: Sequence[RunRecord], run_index: int, *, job_index: int, world_size: int
) -> Iterator[tuple[Sequence[RunRecord], ShardKey]]:
    """Yield the runs of a chain, the oldest first, with the shards of each that belong to one of ``world_size``.

    What is left of an extended run (files that failed, output that is gone) belongs to every later start; if the world
    size has changed since, its shards are dealt out to those there are now.
    """
    for at in reversed(range(len(chain))):
        if run_index <= chain[at].num_runs:
            for shard in range(job_index, chain[at].world_size, world_size):
                yield chain[at:], ShardKey(run_index, shard)
