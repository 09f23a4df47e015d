"""What a pass brought out, in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from modelcall.formats.drift import Drift

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(slots=True)
class Tally:
    """What a pass brought out, files of earlier starts included."""

    files: int = 0
    rows: int = 0
    scored: int = 0
    failed: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    broken_files: dict[str, str] = field(default_factory=dict)
    """Files that failed, with the reason."""
    unfinished: int = 0
    """Files left for the next start."""
    dropped: int = 0
    """Failed rows that are not in the output."""
    again: int = 0
    """Failed rows of finished files that this start asks again."""

    drift: Drift = field(default_factory=Drift)
    """Where the input columns of the outputs differ from file to file."""

    def add(self, rows: int, failures: Mapping[str, int], dropped: int) -> None:
        """Count a published file."""
        failed = sum(failures.values())
        self.files += 1
        self.rows += rows
        self.scored += rows - failed
        self.failed += failed
        self.failures.update(failures)
        self.dropped += dropped

    def add_types(self, output: str, types: Mapping[str, str]) -> None:
        """Take the types of a published file into account; JSON Lines have none."""
        if types:
            self.drift.add(output, types)
