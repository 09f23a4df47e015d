"""Where the runs of a task stand, and what of them is a shard's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from modelcall.config.paths import fill, fixed_prefix, placeholders_in, scheme
from modelcall.errors import ConfigError
from modelcall.formats.detect import is_data_file
from modelcall.log import Message, say
from modelcall.state.run import STATE, RunStore, ShardKey, run_key
from modelcall.state.shard import OutputFolder, output_folder
from modelcall.task_manager.stores import Stores, path_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modelcall.config.loading import LoadedTask
    from modelcall.fs.base import FileSystem
    from modelcall.state.place import StatFolder
    from modelcall.state.run import RunRecord


_IN_MEMORY: Final = "memory"


class Places:
    """Folders of a task's runs and of their outputs, and the stores that have them.

    Runs and locks stand beside the output, for all shards to find, wherever they keep their progress. A store that
    cannot create a name for exactly one writer keeps none of them: then they stand in the stat folder.
    """

    def __init__(self, loaded: LoadedTask) -> None:
        self._loaded = loaded
        self._stores = Stores(loaded.storage, loaded.environment)
        self.single = is_data_file(loaded.paths.output)

    @property
    def input_fs(self) -> FileSystem:
        """The store of the input."""
        return self._stores.at(self._loaded.paths.input)

    @property
    def output_fs(self) -> FileSystem:
        """The store of the output."""
        return self._stores.at(self._loaded.paths.output)

    @property
    def _keeps_locks(self) -> bool:
        return self.output_fs.capabilities.put_if_absent

    def check(self, *, world_size: int, workers: int = 1) -> None:
        """Refuse shards, and worker processes, that would not see each other.

        Raises:
            ConfigError: The output's store cannot be what they meet in, and no other is named; or a store is in the
                memory of this process alone.
        """
        paths = self._loaded.paths
        for path in (paths.input, paths.output, paths.stat or ""):
            if workers > 1 and scheme(path) == _IN_MEMORY:
                raise ConfigError(
                    f"{path}: only one process sees what is in its memory, and concurrency.num_workers asks for more",
                    hint="Write num_workers: 1, or keep the data on a disk or in a store.",
                )
        if world_size > 1 and not self._keeps_locks and not self._loaded.paths.stat:
            raise ConfigError(
                f"{self._loaded.paths.output}: its store keeps neither locks nor progress, and shards share both",
                hint="Set data.stat_folder to a folder that all shards see: on a shared disk, in tos:// or s3://.",
            )

    def warn(self) -> None:
        """Say in the log what the output's store cannot promise."""
        output = self._loaded.paths.output
        if not self.output_fs.capabilities.atomic:
            text = (
                f"{output}: its store does not show files whole at once; who reads while a file is written sees a part"
            )
            say(Message.WARNING, text=text, cause=output)
        if not self._keeps_locks:
            text = (
                f"{output}: its store keeps no locks; they and the progress are in {self._stat().path}: see to it that"
            )
            say(Message.WARNING, text=f"{text} nobody else writes there", cause=f"{output} locks")

    def store(self) -> RunStore:
        """Return the runs of this task and output folder; a fixed single output file keeps them by its name."""
        output, task = self._loaded.paths.output, self._loaded.task
        key = run_key(task.task_name, task.data.output_folder)
        if not self._keeps_locks:
            stat = self._stat()
            return RunStore(stat.fs, f"{stat.path}/runs/{key}")
        anchor = f"{fixed_prefix(output)}/{STATE}"
        if self.single and not placeholders_in(output):
            anchor = output_folder(self.output_fs, output, single=True).state
        return RunStore(self.output_fs, f"{anchor}/runs/{key}")

    def last_runs(self) -> list[RunRecord]:
        """Return the last run and those it extends, the newest first.

        Raises:
            ConfigError: None has begun.
        """
        store = self.store()
        newest = store.newest()
        if newest is None:
            raise ConfigError("no run of this task has begun there", hint="Start it with modelcall run-task.")
        return store.chain(newest)

    def output(self, record: RunRecord, run_index: int) -> OutputFolder:
        """Return where a pass of a run writes."""
        task_name = self._loaded.task.task_name
        values = {"timestamp": record.timestamp, "task_name": task_name, "run_index": str(run_index)}
        to = output_folder(
            self.output_fs, fill(self._loaded.paths.output, values), single=record.output_file is not None
        )
        if self._keeps_locks:
            return to
        stat = self._stat()
        return replace(to, locks=(stat.fs, f"{stat.path}/locks/{path_key(to.state)}"))

    def outputs(self, record: RunRecord) -> list[tuple[OutputFolder, str]]:
        """Return where each pass of a run writes, with what users call it: a folder, or the file that is the output."""
        folders = [self.output(record, run_index) for run_index in range(1, record.num_runs + 1)]
        return [(to, to.path(record.output_file) if record.output_file else to.folder) for to in folders]

    def stat_folder(self, to: OutputFolder) -> StatFolder:
        """Return where the progress of an output is kept.

        Raises:
            ConfigError: The store cannot keep any.
        """
        if self._loaded.paths.stat or not self._keeps_locks:
            return self._stat()
        return self._stores.stat_folder(to.state)

    def other_stat_folder(self, path: str) -> StatFolder:
        """Return another stat folder, that an earlier start was given."""
        own = self._stores.own_stat_folder(self._loaded.paths.output)
        return own if path == own.path else self._stores.stat_folder(path)

    def _stat(self) -> StatFolder:
        """Return the stat folder of the task; for a store that keeps no progress a local one by default."""
        paths = self._loaded.paths
        return self._stores.stat_folder(paths.stat) if paths.stat else self._stores.own_stat_folder(paths.output)


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
