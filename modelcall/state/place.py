"""Where a shard keeps what it records: the same folder at every start, or paid answers would be out of sight."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelcall.errors import ConfigError

if TYPE_CHECKING:
    from modelcall.state.run import RunRecord, RunStore, ShardKey


def work_folder(stat_folder: str, record: RunRecord, shard: ShardKey) -> str:
    """Return the private folder of a shard's journal and ledger."""
    return f"{stat_folder}/{record.run}-{shard}"


def journal_folder(work: str) -> str:
    """Return where in it the journals are."""
    return f"{work}/journal"


def recorded_at(store: RunStore, record: RunRecord, shard: ShardKey, *, stat_folder: str) -> str:
    """Return the work folder of what a shard recorded: below the stat folder set now, else where it was. Blocking."""
    here = work_folder(stat_folder, record, shard)
    before = store.stat_folder(record, shard)
    return here if before is None or Path(here).is_dir() else work_folder(before, record, shard)


def refuse_elsewhere(store: RunStore, record: RunRecord, shard: ShardKey, *, stat_folder: str) -> None:
    """Refuse a start that would not see what an earlier one recorded, and would ask it again. Blocking.

    A work folder that was moved to the new place is fine, and so is a new place while nothing is recorded.

    Raises:
        ConfigError: The answers are, or may be, in another stat folder.
    """
    before = store.stat_folder(record, shard)
    if before is None or before == stat_folder or Path(work_folder(stat_folder, record, shard)).is_dir():
        return
    work = Path(work_folder(before, record, shard))
    recorded = any(Path(journal_folder(str(work))).glob("*.log"))
    if recorded or not (work.is_dir() or store.is_done(record, shard)):
        raise ConfigError(
            f"this run keeps its recorded answers in {work}, and data.stat_folder is {stat_folder} now",
            hint=f"Set data.stat_folder back to {before}, or move {work} into {stat_folder}.",
        )
