"""Where the schemas of files differ: which column has which type in which file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

ABSENT = "absent"
_MOST_TYPES = 10
_OTHERS = "other types"


@dataclass(slots=True)
class _Files:
    first: str
    count: int = 0

    def __str__(self) -> str:
        return self.first if self.count == 1 else f"{self.first} and {self.count - 1:,} more"


class Drift:
    """The types of all columns of some files, counted; memory grows with the columns, not with the files."""

    def __init__(self) -> None:
        self._files = _Files("")
        self._columns: dict[str, dict[str, _Files]] = {}

    def add(self, file: str, types: Mapping[str, str]) -> None:
        """Count a file by its columns and their types."""
        for name in types.keys() - self._columns.keys():
            self._columns[name] = {ABSENT: _Files(self._files.first, self._files.count)} if self._files.count else {}
        for name, kinds in self._columns.items():
            kind = types.get(name, ABSENT)
            if kind not in kinds and len(kinds) > _MOST_TYPES:
                kind = _OTHERS
            kinds.setdefault(kind, _Files(file)).count += 1
        self._files.first = self._files.first or file
        self._files.count += 1

    def __bool__(self) -> bool:
        """Whether any column differs."""
        return any(len(kinds) > 1 for kinds in self._columns.values())

    def lines(self) -> list[str]:
        """Return a line for each column that differs: ``x: int32 in a.parquet and 3 more, string in b.parquet``."""
        return [self.line(name) for name, kinds in self._columns.items() if len(kinds) > 1]

    def line(self, name: str) -> str:
        """Return what is known of one column."""
        told = [f"{kind} in {files}" for kind, files in self._columns[name].items()]
        return f"{name}: {', '.join(told)}"

    def as_json(self) -> dict[str, Any]:
        """Return the columns that differ: ``{"x": {"int32": {"files": 4, "first": "a.parquet"}, …}, …}``."""
        return {
            name: {kind: {"files": files.count, "first": files.first} for kind, files in kinds.items()}
            for name, kinds in self._columns.items()
            if len(kinds) > 1
        }
