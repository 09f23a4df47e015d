"""What became of a file, and of all."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from modelcall.fs.base import FileStat

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class FileJob:
    """One file to preprocess, as it travels to whatever process does it."""

    name: str
    """Relative to the raw folder."""
    path: str
    fingerprint: str
    """Size and etag as listed; the file must still have them when it was read."""
    size: int
    output: str
    """Name of the output, relative to its folder."""

    @property
    def listed(self) -> FileStat:
        """The file itself, as its store told of it."""
        return FileStat(self.path, self.size, self.fingerprint.removeprefix(f"{self.size}-"))


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of a file; kept as JSON beside those of all others."""

    job: FileJob
    settings: Mapping[str, str]
    """What shapes its rows, by name: with another of it the file is made anew."""
    failure: str | None = None
    """Why it has no output."""
    rows_in: int = 0
    rows_out: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Rows that were left out, by reason."""
    bad_rows: int = 0
    """Lines that hold no row; each is a row of nulls, so that it is not lost from sight."""
    bad_row_reasons: tuple[str, ...] = ()
    """Of the first of them."""
    tokens: int = 0
    """In the truncated texts."""
    bytes_out: int = 0
    seconds: float = 0.0
    text_key: str | None = None
    """The column that the texts were in."""
    json_text_columns: tuple[str, ...] = ()
    """Columns that settled on no type and became JSON text."""
    notes: tuple[str, ...] = ()

    def as_record(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> FileReport:
        """Return what a record holds; names that a later version wrote are left alone."""
        known = {one.name for one in fields(cls)}
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in record.items()}
        kept: dict[str, Any] = {name: value for name, value in values.items() if name in known}
        return cls(**{**kept, "job": FileJob(**record["job"])})


@dataclass(slots=True)
class Totals:
    """Sums over files."""

    files: int = 0
    failed_files: int = 0
    rows_in: int = 0
    rows_out: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    """By reason, the most frequent first."""
    bad_rows: int = 0
    tokens: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    seconds: float = 0.0
    """Of work, over all processes."""

    def add(self, report: FileReport) -> None:
        """Count a file."""
        if report.failure is not None:
            self.failed_files += 1
            return
        self.files += 1
        self.rows_in += report.rows_in
        self.rows_out += report.rows_out
        self.dropped = dict((Counter(self.dropped) + Counter(report.dropped)).most_common())
        self.bad_rows += report.bad_rows
        self.tokens += report.tokens
        self.bytes_in += report.job.size
        self.bytes_out += report.bytes_out
        self.seconds += report.seconds
