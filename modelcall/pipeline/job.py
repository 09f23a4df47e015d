"""A file's work, as it travels to whatever process does it, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelcall.formats.base import Start
    from modelcall.fs.base import FileStat
    from modelcall.types import FileCounts


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a file, to be scored by themselves."""

    number: int
    """From 0, in the file."""
    start: Start
    stop: int
    """The row behind its last."""


@dataclass(frozen=True, slots=True)
class FileJob:
    """Score one input file and publish it."""

    name: str
    """Input name, relative to the input folder."""
    listed: FileStat
    """The input file; it must still be this one when it is read."""
    output: str
    """Output name, relative to the output folder."""
    row_limit: int | None = None
    """Only the first rows (debug)."""
    republish: bool = False
    """An output of this run stands under the name and is replaced."""
    reopens: str | None = None
    """Checksum of that output, if it is whole: its outcomes are kept, but for those that a retry supersedes."""
    as_recorded: bool = False
    """A file stands under the name that may be this output, its writer having died before it said so: only what is
    recorded gives the same bytes, so failed rows are not asked again before that is settled."""
    part: Part | None = None
    """Score these rows alone, and publish nothing."""
    rows: int | None = None
    """Publish the file, which has so many: its parts are scored."""
    learned: tuple[object, ...] = field(default=(), compare=False)
    """What reading the parts told of the file, see :attr:`~modelcall.formats.base.Source.learned`."""

    read_into: str | None = None
    """Only read the file, into the pipe of this name, for the one who publishes it."""

    @property
    def path(self) -> str:
        """Where the input file is."""
        return self.listed.path

    @property
    def fingerprint(self) -> str:
        """Size and etag of the input file as listed."""
        return self.listed.fingerprint


@dataclass(frozen=True, slots=True)
class PartResult:
    """What came of a part: all its rows are recorded, unless there is a reason."""

    job: FileJob
    learned: object = None
    """What reading it told of the file, see :attr:`~modelcall.formats.base.Source.learned`."""
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class FileResult:
    """What came of a file: counts if it is published, else the reason."""

    job: FileJob
    counts: FileCounts | None = None
    failures: Mapping[str, int] | None = None
    """Failed rows by error type."""
    dropped: int = 0
    """Failed rows that are not in the output."""
    types: Mapping[str, str] | None = None
    """Of the input columns in the output."""
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class HasRead:
    """A file was read for the one who publishes it, as far as that was wanted."""

    job: FileJob


JobResult: TypeAlias = FileResult | PartResult | HasRead
