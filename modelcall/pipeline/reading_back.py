"""The outcomes of a published output, read back from it as they were recorded."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from modelcall.errors import FileFailure
from modelcall.formats.base import BadRow
from modelcall.formats.opening import open_source
from modelcall.pipeline.failed import read_failures
from modelcall.state.journal import Base
from modelcall.state.manifest import checksum
from modelcall.state.row_set import RowSet
from modelcall.types import ErrorType, Outcome, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelcall.formats.base import AnyRow, Source
    from modelcall.pipeline.job import FileJob
    from modelcall.state.manifest import Entry
    from modelcall.state.shard import OutputFolder
    from modelcall.types import Row

_CHUNK = 1000
_HINT = "Restore what the run wrote, or start over with --fresh."


def base_of(to: OutputFolder, job: FileJob) -> Base | None:
    """Return what the journal of a file begins with, if its output is whole and rows of it are asked again."""
    return None if job.reopens is None else Base(job.reopens, partial(_checked, to, job))


def _checked(to: OutputFolder, job: FileJob) -> Iterator[tuple[int, Outcome]]:
    entry = to.manifest.get(job.output)
    if entry is None or checksum(to.fs, to.path(job.output)) != job.reopens:
        raise FileFailure(f"{to.path(job.output)}: changed since it was published", hint=_HINT)
    if entry.input != job.fingerprint:
        raise FileFailure(f"{job.path}: is not what {to.path(job.output)} was made of", hint="Restore it.")
    return read_back(to, entry)


def read_back(to: OutputFolder, entry: Entry) -> Iterator[tuple[int, Outcome]]:
    """Yield every row of an output, dropped ones included, with its outcome. Bounded memory. Blocking.

    Raises:
        FileFailure: It, or the list of its failed rows, is not what was published.
    """
    path = to.path(entry.output)
    source = open_source(lambda: to.fs.open(path), name=entry.output)
    try:
        yield from _outcomes(source, read_failures(to.fs, to.failed_list(entry.output)), entry)
    except ValueError as error:
        raise FileFailure(
            f"{path}: it, or the list of its failed rows, is not what was published", hint=_HINT
        ) from error
    finally:
        source.close()


def _outcomes(source: Source, failures: Iterator[tuple[int, Outcome]], entry: Entry) -> Iterator[tuple[int, Outcome]]:
    dropped = RowSet.load(entry.dropped_rows)
    reader = _Reader(entry)
    rows = (row for chunk in source.rows(entry.columns, chunk_rows=_CHUNK) for row in chunk)
    listed = next(failures, None)
    for index in range(entry.rows):
        while listed is not None and listed[0] < index:
            listed = next(failures, None)
        known = listed[1] if listed is not None and listed[0] == index else None
        if index not in dropped:
            yield index, reader.outcome(next(rows, None), known)
        elif known is not None:
            yield index, known
        else:
            raise ValueError(f"row {index} is not listed")
    if next(rows, None) is not None:
        raise ValueError("it has more rows")


class _Reader:
    """Turns rows of an output into outcomes."""

    def __init__(self, entry: Entry) -> None:
        self._prefix = entry.prefix
        self._scores = entry.scores
        self._texts = frozenset(entry.json_text_results)

    def outcome(self, row: AnyRow | None, listed: Outcome | None) -> Outcome:
        """Return a row's outcome; the raw answer of a failed one may stand in the list of failed rows alone."""
        if row is None or isinstance(row, BadRow):
            raise ValueError("a row is missing")
        error_type = self._told(row, "error_type")
        raw = self._told(row, "return")
        return Outcome(
            values=None if error_type else {self._name(name): self._value(row, name) for name in self._scores},
            error_type=ErrorType(error_type) if error_type else None,
            fail_reason=self._told(row, "fail_reason"),
            raw=listed.raw if raw is None and listed else raw,
            attempts=self._told(row, "attempts"),
            model=self._told(row, "model"),
            finish_reason=self._told(row, "finish_reason"),
            usage=self._usage(row),
        )

    def _told(self, row: Row, name: str) -> Any:  # noqa: ANN401  a text or a number
        return row.get(f"{self._prefix}api_{name}")

    def _name(self, column: str) -> str:
        return column.removeprefix(self._prefix)

    def _value(self, row: Row, column: str) -> Any:  # noqa: ANN401  any JSON value
        value = row.get(column)
        return orjson.loads(value) if column in self._texts and value is not None else value

    def _usage(self, row: Row) -> Usage | None:
        counts = [self._told(row, f"{kind}_tokens") for kind in ("prompt", "completion", "cached", "reasoning")]
        return None if counts == [None] * len(counts) else Usage(*counts)
