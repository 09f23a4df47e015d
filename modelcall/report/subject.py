"""What a report is on, and the files that it is read from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from modelcall.config.model import Prices
    from modelcall.log import Language
    from modelcall.state.run import RunRecord
    from modelcall.state.shard import OutputFolder


@dataclass(frozen=True, slots=True)
class Pass:
    """An output, and the runs that made it, the newest first."""

    to: OutputFolder
    runs: Sequence[RunRecord]
    shown: str
    """The path of the output."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A run, finished or not."""

    task: str
    passes: Sequence[Pass]
    language: Language
    config: Mapping[str, Any] = field(default_factory=dict)
    """What was in force, as the run wrote it down."""
    prices: Prices | None = None
    details: tuple[Path, ...] = ()
    """Files of batch details, one a shard; empty: none at hand."""
    stats: tuple[Path, ...] = ()
    """Files of final statistics, of the last start of each shard."""
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def setting(self, *keys: str) -> Any:  # noqa: ANN401  any value of the configuration
        """Return a value of the recorded configuration; None if it has none there."""
        value: Any = self.config
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value


@dataclass(frozen=True, slots=True)
class Expected:
    """An output file that the runs bring out."""

    to: OutputFolder
    runs: frozenset[str]
    name: str
    """Relative to the output folder."""


def expected(subject: Subject) -> Iterator[Expected]:
    """Yield all output files, pass by pass, by name."""
    for each in subject.passes:
        runs = frozenset(record.run for record in each.runs)
        names = {record.output_of(file) for record in each.runs for file in record.files}
        for name in sorted(names):
            yield Expected(each.to, runs, name)
