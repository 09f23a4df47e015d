"""A shard's part of a run: its lock, its files, and which of them are still to be done."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from modelcall.errors import ConfigError
from modelcall.fs.side_by_side import side_by_side
from modelcall.state import records
from modelcall.state.manifest import Manifest
from modelcall.state.run import STATE
from modelcall.state.shards import assign

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from modelcall.fs.base import FileSystem
    from modelcall.state.listing import ListedFile
    from modelcall.state.manifest import Entry
    from modelcall.state.run import RunRecord, ShardKey

_RETRY = "retry.json"


@dataclass(frozen=True, slots=True)
class OutputFolder:
    """Where a pass of a run writes, and where its side files stand."""

    fs: FileSystem
    folder: str
    state: str
    locks: tuple[FileSystem, str] | None = None
    """Where locks are, and their store, if this one cannot keep them."""

    @property
    def manifest(self) -> Manifest:
        """What is published here."""
        return Manifest(self.fs, self.state)

    def path(self, output: str) -> str:
        """Return the path of an output file."""
        return f"{self.folder}/{output}"

    @property
    def failed_lists(self) -> str:
        """The folder of the lists of failed rows."""
        return f"{self.state}/failed"

    def failed_list(self, output: str) -> str:
        """Return the path of the list of an output's failed rows."""
        return f"{self.failed_lists}/{output}.jsonl"

    def history(self, output: str) -> str:
        """Return the path of the failures of an output's rows that were asked again."""
        return f"{self.state}/history/{output}.jsonl"

    def lock(self, shard: ShardKey) -> tuple[FileSystem, str]:
        """Return where the owners of a shard are recorded: the store, and the folder in it."""
        fs, folder = self.locks or (self.fs, f"{self.state}/locks")
        return fs, f"{folder}/{shard}"


def output_folder(fs: FileSystem, output: str, *, single: bool) -> OutputFolder:
    """Return the output folder of a path; a single output file has its own state beside it, by its name."""
    if not single:
        return OutputFolder(fs, output, f"{output}/{STATE}")
    folder, _, name = output.rpartition("/")
    return OutputFolder(fs, folder, f"{folder}/{STATE}/{name}")


def output_at(fs: FileSystem, path: str) -> OutputFolder:
    """Return the output that stands at a path, folder or file."""
    return output_folder(
        fs, path, single=fs.is_file(f"{path.rpartition('/')[0]}/{STATE}/{path.rpartition('/')[2]}/run.json")
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
    there = side_by_side(to.fs, to.fs.is_file, map(to.path, names))
    taken = [name for name, is_there in zip(names, there, strict=True) if is_there]
    if delete_existing:
        entries = side_by_side(to.fs, to.manifest.get, taken)
        foreign = [name for name, entry in zip(taken, entries, strict=True) if entry is None]
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

    def delete(name: str) -> bool:
        entry = to.manifest.get(name)
        if entry is None or entry.run == run:
            return False
        stands = to.fs.is_file(to.path(name))
        if stands:
            to.fs.remove(to.path(name))
        to.manifest.remove(name)
        return stands

    return sum(side_by_side(to.fs, delete, names))


@dataclass(frozen=True, slots=True)
class Progress:
    """A shard's files, by what is left to do."""

    todo: tuple[ListedFile, ...]
    replaces: Mapping[str, str | None]
    """Names among ``todo`` of which an output stands: its checksum, if it is whole and its failed rows are asked again;
    None, if it is partial."""
    again: int = 0
    """Failed rows of finished files that are asked again."""
    appeared: frozenset[str] = frozenset()
    """Names among ``todo`` of which an output stands without an entry: its writer may have died after the commit."""


def progress(
    to: OutputFolder,
    files: Sequence[ListedFile],
    name_of: Callable[[ListedFile], str],
    *,
    runs: Collection[str],
    row_limit: int | None,
    done: Callable[[Entry], None],
    retry_since: int = 0,
) -> Progress:
    """Tell which files are left to do; ``done`` is called with the entry of each other one, and nothing of it kept.

    Failed rows that were published before the owner ``retry_since`` are left to do, too; but under a row limit only
    those of files that were published under it, so that no row is taken back.
    """
    todo: list[ListedFile] = []
    replaces: dict[str, str | None] = {}
    appeared: set[str] = set()
    again = 0
    found = side_by_side(to.fs, partial(_standing, to, runs), map(name_of, files))
    for file, (entry, stands) in zip(files, found, strict=True):
        if entry is None:
            todo.append(file)
            if stands == "announced":
                replaces[file.name] = None
            elif stands:
                appeared.add(file.name)
            continue
        retried = entry.may_succeed if entry.epoch < retry_since and row_limit in {None, entry.row_limit} else 0
        if _covers(entry, row_limit) and not retried:
            done(entry)
        else:
            todo.append(file)
            replaces[file.name] = entry.sha256 if entry.whole else None
            again += retried
    return Progress(tuple(todo), replaces, again, frozenset(appeared))


def _standing(
    to: OutputFolder, runs: Collection[str], name: str
) -> tuple[Entry | None, Literal["published", "announced", "unknown"] | None]:
    """Return what stands under an output's name, with its entry if one of these runs published it."""
    path = to.path(name)
    if not to.fs.is_file(path):
        return None, None
    entry = to.manifest.get(name)
    if entry is not None and entry.run in runs and entry.output == name:
        return entry, "published"
    return None, "announced" if to.manifest.was_announced(name, path) else "unknown"


def _covers(entry: Entry, row_limit: int | None) -> bool:
    """Whether a published file has all rows that are wanted."""
    return entry.whole or (row_limit is not None and entry.row_limit is not None and row_limit <= entry.row_limit)


def begin_retry(fs: FileSystem, work_folder: str, *, epoch: int) -> None:
    """Note that failed rows are asked again; a start that comes later, however this one ends, goes on with it."""
    fs.replace(f"{work_folder}/{_RETRY}", records.dump({"since": epoch}))


def retry_since(fs: FileSystem, work_folder: str) -> int:
    """Return the owner of a shard who last began to ask failed rows again; 0: none did."""
    noted = records.load(fs, f"{work_folder}/{_RETRY}")
    return 0 if noted is None else int(noted["since"])
