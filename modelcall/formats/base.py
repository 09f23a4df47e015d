"""What a file format is to the pipeline: rows to score, Arrow batches to publish. No paths, no asyncio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from modelcall.types import Row


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that could not be read, and why; it keeps its place among its neighbours."""

    reason: str
    """With the position in the file: ``line 17: not JSON: …``."""


AnyRow: TypeAlias = "Row | BadRow"


class Source(Protocol):
    """An opened input file. May be read several times; every pass sees the same rows in the same order."""

    def rows(self, columns: Sequence[str] | None, *, chunk_rows: int, limit: int | None = None) -> Iterator[list[AnyRow]]:
        """Rows to score, in order, in lists of at most ``chunk_rows``; only ``columns`` (None: all), only the first ``limit``.

        A column that the file lacks is left out of its rows.
        """

    def column_names(self) -> list[str]:
        """Names of all input columns. JSONL: in order of first appearance; reads the file."""

    def schema(self) -> tuple[pa.Schema, list[str]]:
        """Arrow schema of the input columns, and the columns that had to become JSON text. JSONL: reads the file."""

    def batches(self, schema: pa.Schema, *, limit: int | None = None) -> Iterator[pa.RecordBatch]:
        """The input columns in ``schema`` (a subset of :meth:`schema`), untouched, in order; a bad row is all null."""

    def records(self, columns: Sequence[str] | None, *, limit: int | None = None) -> Iterator[list[bytes]]:
        """Each row as the text of one JSON object without its newline; a bad row is ``b"{}"``.

        JSONL with ``columns`` None: the very bytes of the input, a valid object trimmed of white space around it.
        """

    def close(self) -> None:
        """Let the file go."""


class TableWriter(Protocol):
    """Writes an output file into a sink, result columns beside input columns."""

    def write(self, rows: Any, results: pa.RecordBatch) -> None:  # noqa: ANN401  what the paired Source iterator yields
        """Append rows (from ``batches`` or ``records``) with their result columns, of equal length."""

    def close(self) -> None:
        """Write what the format needs at the end. The sink is not committed."""
