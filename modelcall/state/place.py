"""Where a shard keeps what it records: the same folder at every start, or paid answers would be out of sight.

The journal is local. If the stat folder is not, the journal is in a folder of this machine that belongs to it, and its
copies are in the stat folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelcall.errors import ConfigError
from modelcall.state.copy_objects import holds_copies

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelcall.fs.base import FileSystem
    from modelcall.state.run import RunRecord, RunStore, ShardKey


@dataclass(frozen=True, slots=True)
class WorkFolder:
    """Where one shard keeps what it records of one run."""

    fs: FileSystem
    """Of the stat folder."""
    path: str
    """In the stat folder."""
    disk: FileSystem
    local: str
    """On this machine; the same as ``path`` if that is local."""

    @property
    def journals(self) -> str:
        """The local folder of the journals."""
        return f"{self.local}/journal"

    @property
    def copies(self) -> str | None:
        """Where copies of the journals are; None: the stat folder is local."""
        return None if self.path == self.local else f"{self.path}/journal"

    @property
    def exists(self) -> bool:
        """Whether anything was put there. Blocking."""
        return self.fs.exists(self.path)

    @property
    def holds_answers(self) -> bool:
        """Whether answers are recorded there that are not published. Blocking."""
        if self.copies is None:
            return any(Path(self.journals).glob("*.log"))
        return holds_copies(self.fs, self.copies)


@dataclass(frozen=True, slots=True)
class StatFolder:
    """Where progress is kept, by all shards."""

    fs: FileSystem
    path: str
    disk: FileSystem
    local: str
    """Where on this machine; the same as ``path`` if that is local."""

    def work(self, record: RunRecord, shard: ShardKey) -> WorkFolder:
        """Return the folder of a shard's journal and ledger."""
        name = f"{record.run}-{shard}"
        return WorkFolder(self.fs, f"{self.path}/{name}", self.disk, f"{self.local}/{name}")


def recorded_at(
    store: RunStore, record: RunRecord, shard: ShardKey, *, stat: StatFolder, other: Callable[[str], StatFolder]
) -> WorkFolder:
    """Return the work folder of what a shard recorded: below the stat folder set now, else where it was. Blocking.

    ``other`` finds another stat folder by its path.
    """
    here = stat.work(record, shard)
    before = store.stat_folder(record, shard)
    return here if before in {None, stat.path} or here.exists else other(str(before)).work(record, shard)


def refuse_elsewhere(
    store: RunStore, record: RunRecord, shard: ShardKey, *, stat: StatFolder, other: Callable[[str], StatFolder]
) -> None:
    """Refuse a start that would not see what an earlier one recorded, and would ask it again. Blocking.

    A work folder that was moved to the new place is fine, and so is a new place while nothing is recorded.

    Raises:
        ConfigError: The answers are, or may be, in another stat folder.
    """
    before = store.stat_folder(record, shard)
    if before is None or before == stat.path or stat.work(record, shard).exists:
        return
    work = other(before).work(record, shard)
    gone = work.copies is None and not work.exists  # a disk that is not mounted, maybe
    if work.holds_answers or (gone and not store.is_done(record, shard)):
        raise ConfigError(
            f"this run keeps its recorded answers in {work.path}, and data.stat_folder is {stat.path} now",
            hint=f"Set data.stat_folder back to {before}, or move {work.path} into {stat.path}.",
        )
