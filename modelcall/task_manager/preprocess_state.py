"""What is known of each file: what became of it, and whether that still holds."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from modelcall.data_processing.file import MARK
from modelcall.data_processing.report import FileReport
from modelcall.errors import ConfigError
from modelcall.fs.side_by_side import side_by_side
from modelcall.state import records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from modelcall.data_processing.report import FileJob, Totals
    from modelcall.fs.base import FileSystem

Redo: TypeAlias = Literal["never", "changed", "all"]
"""Which finished files are made anew: none, those that were made with other settings, all."""
_SUMMARY = "summary.json"
_WAY_OUT = "Undo the change, choose another output folder, or make the files anew with --fresh."


@dataclass(slots=True)
class Progress:
    """The files of a start."""

    todo: list[FileJob] = field(default_factory=list)
    done: list[FileReport] = field(default_factory=list)
    """Made by an earlier start, of this very input, with these settings."""
    again: list[str] = field(default_factory=list)
    """Files among ``todo`` that have a report."""
    changed: int = 0
    """Files among ``todo`` that were made of another version of their input."""

    def add(self, job: FileJob, report: FileReport | None) -> None:
        """Note a file that is left to do."""
        self.todo.append(job)
        if report is not None:
            self.again.append(job.name)


class StatFolder:
    """Keeps a report for each file, and their sum."""

    def __init__(self, fs: FileSystem, path: str) -> None:
        self._fs = fs
        self._path = path

    def report_path(self, name: str) -> str:
        """Return where the report of a file stands."""
        return f"{self._path}/{name}.json"

    def get_all(self, names: Iterable[str]) -> Iterator[FileReport | None]:
        """Yield the report of each file; None if there is none."""
        return side_by_side(self._fs, self._get, names)

    def _get(self, name: str) -> FileReport | None:
        record = records.load(self._fs, self.report_path(name))
        return None if record is None else FileReport.from_record(record)

    def put(self, report: FileReport) -> None:
        """Keep the report of a file."""
        self._fs.replace(self.report_path(report.job.name), records.dump(report.as_record()))

    def forget(self, names: Iterable[str]) -> None:
        """Remove reports of files that are about to be made anew: whoever dies meanwhile has not finished them."""
        for _ in side_by_side(self._fs, self._fs.remove, map(self.report_path, names)):
            pass

    def put_summary(self, totals: Totals, facts: Mapping[str, object]) -> None:
        """Keep the sum of all files."""
        self._fs.replace(f"{self._path}/{_SUMMARY}", records.dump({**facts, **asdict(totals)}))


@dataclass(frozen=True, slots=True)
class Outputs:
    """The output folder as it is."""

    fs: FileSystem
    folder: str
    sizes: Mapping[str, int]
    """Of the files in it, by their names there."""

    @classmethod
    def look(cls, fs: FileSystem, folder: str) -> Outputs:
        """List the folder; one that does not exist has no files."""
        base = f"{folder.rstrip('/')}/"
        try:
            return cls(fs, folder, {stat.path.removeprefix(base): stat.size for stat in fs.walk(folder)})
        except FileNotFoundError:
            return cls(fs, folder, {})

    def is_ours(self, name: str) -> bool:
        """Whether a file was written by preprocessing, as it says itself."""
        try:
            with self.fs.open(f"{self.folder}/{name}") as stream:
                return MARK in (pq.read_schema(stream).metadata or {})
        except (pa.ArrowException, OSError):
            return False


def progress(
    jobs: Sequence[FileJob], stat: StatFolder, outputs: Outputs, *, settings: Mapping[str, str], redo: Redo
) -> Progress:
    """Tell which files are left to do.

    Raises:
        ConfigError: Outputs are in the way that were made with other settings, edited since, or by somebody else.
    """
    found = Progress()
    other: Counter[str] = Counter()
    foreign: list[str] = []
    edited: list[str] = []
    for job, report in zip(jobs, stat.get_all(job.name for job in jobs), strict=True):
        size = outputs.sizes.get(job.output)
        if report is None or report.failure is not None or size is None:
            if size is not None and not outputs.is_ours(job.output):
                foreign.append(job.output)
            found.add(job, report)
            continue
        differs = _differing(report.settings, settings)
        other.update(differs)
        if size != report.bytes_out:
            edited.append(job.output)
        if differs or redo == "all" or job.fingerprint != report.job.fingerprint:
            found.changed += job.fingerprint != report.job.fingerprint
            found.add(job, report)
        else:
            found.done.append(report)
    _refuse(outputs.folder, foreign, edited if redo != "all" else [], other if redo == "never" else Counter())
    return found


def _refuse(folder: str, foreign: list[str], edited: list[str], other: Counter[str]) -> None:
    if foreign:
        raise ConfigError(
            f"{folder}: {len(foreign)} file(s) there were not written by preprocessing, the first is {foreign[0]}",
            hint="Move them away, or choose another output folder.",
        )
    if edited:
        raise ConfigError(
            f"{folder}: {len(edited)} file(s) have been edited since they were made, the first is {edited[0]}",
            hint="Remove them to have them made anew, or choose another output folder.",
        )
    if other:
        raise ConfigError(
            f"{folder}: {max(other.values())} file(s) there were made with another {', '.join(sorted(other))}",
            hint=_WAY_OUT,
        )


def _differing(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    return [name for name in before.keys() | now.keys() if before.get(name) != now.get(name)]
