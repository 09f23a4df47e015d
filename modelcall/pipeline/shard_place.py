"""Where a shard works, and how far it is let go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelcall.fs.base import FileSystem
    from modelcall.state.place import StatFolder
    from modelcall.state.shard import OutputFolder


@dataclass(frozen=True, slots=True)
class Limits:
    """Debug limits; None: no limit."""

    files: int | None = None
    rows: int | None = None

    @property
    def partial(self) -> bool:
        """Whether anything is left out."""
        return self.files is not None or self.rows is not None


@dataclass(frozen=True, slots=True)
class ShardPlace:
    """Where a shard reads, writes, and keeps its progress."""

    input_fs: FileSystem
    to: OutputFolder
    stat: StatFolder
    other_stat: Callable[[str], StatFolder]
    """Finds another stat folder, that an earlier start was given."""
