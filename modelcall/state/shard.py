"""A shard's part of a run: its lock, its files, and which of them are still to be done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelcall.errors import ConfigError
from modelcall.state.manifest import Manifest
from modelcall.state.run import STATE
from modelcall.state.shards import assign

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from modelcall.fs.base import FileSystem
    from modelcall.state.listing import ListedFile
    from modelcall.state.manifest import Entry
    from modelcall.state.run import RunRecord, ShardKey


@dataclass(frozen=True, slots=True)
class OutputFolder:
    """Where a pass of a run writes, and where its side files stand."""

    fs: FileSystem
    folder: str
    state: str

    @property
    def manifest(self) -> Manifest:
        """What is published here."""
        return Manifest(self.fs, self.state)

    def path(self, output: str) -> str:
        """Return the path of an output file."""
        return f"{self.folder}/{output}"

    def lock_folder(self, shard: ShardKey) -> str:
        """Return where the owners of a shard are recorded."""
        return f"{self.state}/locks/{shard}"


def output_folder(fs: FileSystem, output: str, *, single: bool) -> OutputFolder:
    """Return the output folder of a path; a single output file has its own state beside it, by its name."""
    if not single:
        return OutputFolder(fs, output, f"{output}/{STATE}")
    folder, _, name = output.rpartition("/")
    return OutputFolder(fs, folder, f"{folder}/{STATE}/{name}")


def output_at(fs: FileSystem, path: str) -> OutputFolder:
    """Return the output that stands at a path, folder or file."""
    return output_folder(
        fs, path, single=fs.exists(f"{path.rpartition('/')[0]}/{STATE}/{path.rpartition('/')[2]}/run.json")
    )


def shard_files(record: RunRecord, job_index: int) -> list[ListedFile]:
    """Return the files of a shard, the same whoever asks."""
    return assign(record.files, record.world_size)[job_index]


def refuse_finished(
    to: OutputFolder, files: Iterable[ListedFile], name_of: Callable[[ListedFile], str], *, delete_existing: bool
) -> None:
    """Refuse a new run while output stands in its way.

    Raises:
        ConfigError: A name is taken; with ``delete_existing``, by a file that no manifest lists.
    """
    names = [name_of(file) for file in files]
    taken = [name for name in names if to.fs.exists(to.path(name))]
    if delete_existing:
        foreign = [name for name in taken if to.manifest.get(name) is None]
        if foreign:
            raise ConfigError(
                f"{to.folder}: {len(foreign)} file(s) there were not written by a run, the first is {foreign[0]}",
                hint="delete_existing removes only what a run wrote: move them away, or choose another output folder.",
            )
    elif taken:
        raise ConfigError(
            f"{to.folder}: {len(taken)} output file(s) are there already, the first is {taken[0]}",
            hint="Choose another output folder, or set options.delete_existing: true to remove what a run wrote.",
        )


def delete_finished(to: OutputFolder, names: Iterable[str], *, run: str) -> int:
    """Remove the output of earlier runs that the manifest lists under these names; return how many files went."""
    removed = 0
    for name in names:
        entry = to.manifest.get(name)
        if entry is None or entry.run == run:
            continue
        if to.fs.exists(to.path(name)):
            to.fs.remove(to.path(name))
            removed += 1
        to.manifest.remove(name)
    return removed


@dataclass(frozen=True, slots=True)
class Progress:
    """A shard's files, by what is left to do."""

    todo: tuple[ListedFile, ...]
    republish: frozenset[str]
    """Names among ``todo`` of which a partial output stands."""


def progress(
    to: OutputFolder,
    files: Sequence[ListedFile],
    name_of: Callable[[ListedFile], str],
    *,
    runs: Collection[str],
    row_limit: int | None,
    done: Callable[[Entry], None],
) -> Progress:
    """Tell which files are left to do; ``done`` is called with the entry of each other one, and nothing of it kept."""
    todo: list[ListedFile] = []
    republish: set[str] = set()
    for file in files:
        name = name_of(file)
        entry = to.manifest.get(name)
        if entry is None or entry.run not in runs or not to.fs.exists(to.path(entry.output)):
            todo.append(file)
            if to.manifest.was_announced(name, to.path(name)):
                republish.add(file.name)
        elif entry.whole or (row_limit is not None and entry.row_limit is not None and row_limit <= entry.row_limit):
            done(entry)
        else:
            todo.append(file)
            republish.add(file.name)
    return Progress(tuple(todo), frozenset(republish))
