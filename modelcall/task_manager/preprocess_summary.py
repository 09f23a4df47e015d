"""What a start of preprocessing brought."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from modelcall.data_processing.report import Totals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelcall.data_processing.report import FileReport
    from modelcall.errors import FatalError


@dataclass(slots=True)
class PreprocessSummary:
    """What a start of preprocessing brought."""

    output: str
    stat: str
    totals: Totals = field(default_factory=Totals)
    """Over all files of the input, those of earlier starts included."""
    done_before: int = 0
    left: int = 0
    """Files that were not come to."""
    failed: dict[str, str] = field(default_factory=dict)
    """Files that could not be preprocessed, with the reason."""
    leftovers: Sequence[str] = ()
    """Outputs of raw files that are gone."""
    passed_over: Sequence[str] = ()
    outputs: set[str] = field(default_factory=set)
    """Names of all outputs that are whole."""
    processes: int = 0
    seconds: float = 0.0
    error: FatalError | None = None
    signal: int | None = None

    def add(self, report: FileReport) -> None:
        """Count what became of a file."""
        self.totals.add(report)
        if report.failure is not None:
            self.failed[report.job.name] = report.failure
        else:
            self.outputs.add(report.job.output)

    @property
    def exit_code(self) -> int:
        """0 all files, 3 some failed, 4 stopped, 128 + signal interrupted."""
        if self.signal is not None:
            return 128 + self.signal
        if self.error is not None:
            return 4
        return 3 if self.failed else 0
