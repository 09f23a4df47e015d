"""What a file format is to the pipeline: rows to score, Arrow batches to publish. No paths, no asyncio."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa

    from modelcall.formats.unify import Types
    from modelcall.types import Row


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that could not be read, and why; it keeps its place among its neighbours."""

    reason: str
    """With the position in the file: ``line 17: not JSON: …``."""


AnyRow: TypeAlias = "Row | BadRow"


@dataclass(frozen=True, slots=True)
class Start:
    """Where a row begins."""

    row: int
    byte: int = 0
    """In a text file."""
    blank_lines: int = 0
    """Before it; they are no rows."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file may be read in parts."""

    starts: tuple[Start, ...]
    """Of the parts, in order; the first is that of the file."""
    rows: int
    """Of the whole file."""


class RowSelection(Protocol):
    """Some rows of a file, by index."""

    def __contains__(self, row: int) -> bool: ...

    def covers(self, first: int, count: int) -> bool:
        """Whether it holds each of ``count`` rows from ``first`` on."""


class NoRows:
    """The empty selection."""

    def __contains__(self, row: int) -> bool:
        """No row is in it."""
        return False

    def covers(self, first: int, count: int) -> bool:  # noqa: ARG002  the protocol's signature
        """It holds none."""
        return not count


NO_ROWS = NoRows()

Opener: TypeAlias = Callable[[], BinaryIO]
"""Opens the input file anew: seekable, at its first byte. Every pass opens, reads and closes its own stream."""


@runtime_checkable
class Foreseeing(Protocol):
    """A stream that takes long to answer, and fetches ahead what it is told."""

    def expect(self, ranges: Iterable[tuple[int, int]]) -> None:
        """These, begins and ends, will be read about in this order, each to its end; nothing else."""


class Source(Protocol):
    """An input file. May be read several times; every pass sees the same rows in the same order.

    Raises:
        FileFailure: From every method: the file is damaged, cut short, or not what its name says.
    """

    blank_lines: int
    """Lines with nothing on them that the last pass over the file came by; they are no rows."""
    row_count: int
    """Rows that the last pass of :meth:`rows_left` came by, those passed over too."""
    learned: object
    """What is known of the rows that the last pass of :meth:`rows_left` gave, or of all rows, for :meth:`know` of a
    source of the same file; picklable."""
    bad_rows: list[str]
    """Of rows that the last pass of :meth:`batches` could not read, why: of each of the first, up to a hundred."""
    bad_row_count: int
    """How many there were."""

    def rows_left(
        self,
        columns: Sequence[str] | None,
        *,
        recorded: RowSelection,
        chunk_rows: int,
        limit: int | None = None,
        start: Start | None = None,
    ) -> Iterator[list[tuple[int, AnyRow]]]:
        """Rows to score with their index, in order, in lists of 1 to ``chunk_rows``; not those that are ``recorded``.

        Only ``columns`` (None: all), only among the first ``limit`` rows. A column that the file lacks is left out.
        Passing over recorded rows costs next to nothing, or a resumed file of millions would begin late; those before
        ``start``, which must be recorded, need not even be read.
        """

    def layout(self, parts: int) -> Layout | None:
        """Where up to ``parts`` parts of about one size begin; None: what stands before a row must be read for it."""

    def know(self, learned: Sequence[object], *, rows: int) -> None:
        """Take over what passes over parts of the same file have learned; of all ``rows``, less must be found out."""

    def expected_rows(self, size: int) -> int | None:
        """How many rows a file of ``size`` bytes seems to have, by what was read of it; None: there is no telling."""

    def rows(
        self, columns: Sequence[str] | None, *, chunk_rows: int, limit: int | None = None
    ) -> Iterator[list[AnyRow]]:
        """All rows, as :meth:`rows_left` gives them."""

    def column_names(self) -> list[str]:
        """Names of all input columns. JSONL: in order of first appearance; reads the file."""

    def schema(self) -> tuple[pa.Schema, list[str]]:
        """Arrow schema of the input columns, and the columns that had to become JSON text. JSONL: reads the file."""

    def types(self) -> Types:
        """What the file says of its columns, for a schema that many files are to have. JSONL: reads the file."""

    def batches(self, schema: pa.Schema, *, limit: int | None = None) -> Iterator[pa.RecordBatch]:
        """The input columns in ``schema`` (a subset of :meth:`schema`), untouched, in order; a bad row is all null.

        A source that was made for a schema of many files (:class:`~modelcall.formats.unify.Unified`) has that one as
        its :meth:`schema`: values are brought to its types, and a column that the file lacks is null.
        """

    def records(self, columns: Sequence[str] | None, *, limit: int | None = None) -> Iterator[list[bytes]]:
        """Each row as the text of one JSON object without its newline; a bad row is ``b"{}"``.

        Only ``columns``, in their order; None: all, and of JSONL the very bytes of the input, a valid object trimmed of
        white space around it.
        """

    def close(self) -> None:
        """Let go of whatever is held between passes."""


class Writable(Protocol):
    """Where a table is written to; every sink of a store is one."""

    def write(self, data: bytes | memoryview) -> int:
        """Add bytes."""


class TableWriter(Protocol):
    """Writes an output file into a sink, result columns beside input columns."""

    def write(self, rows: Any, results: pa.RecordBatch) -> None:  # noqa: ANN401  what the paired Source iterator yields
        """Append rows (from ``batches`` or ``records``) with their result columns, of equal length."""

    def close(self) -> None:
        """Write what the format needs at the end. The sink is not committed; a writer never closed writes no end."""
