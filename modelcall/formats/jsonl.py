r"""JSON Lines in: one JSON object a line.

Lines end at ``\n``; a ``\r`` before it and blank lines are no rows. What a line must be is said by
:func:`~modelcall.formats.strict_json.parse_object`; any other line is a :class:`~modelcall.formats.base.BadRow` that
keeps its place. ``.gz`` and ``.zst`` are unpacked on the way.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa

from modelcall.errors import FileFailure
from modelcall.formats.base import NO_ROWS, BadRow, Layout, Start
from modelcall.formats.detect import file_type
from modelcall.formats.failures import changed
from modelcall.formats.lines import line_starts, read_lines
from modelcall.formats.quick_json import ObjectReader
from modelcall.formats.settle import Shape
from modelcall.formats.strict_json import members
from modelcall.values import row_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from modelcall.formats.base import AnyRow, Opener, RowSelection
    from modelcall.formats.unify import Unified
    from modelcall.types import Row

MAX_LINE_BYTES = 128 << 20
BATCH_ROWS = 1000
BATCH_BYTES = 16 << 20
"""Of text, in one list of rows or records; a single larger row is a list of its own."""
MAX_COLUMNS = 10_000
MAX_REASONS = 100
_BEGIN = Start(0)


@row_value
class _Line:
    """A line that is no blank."""

    number: int
    """From 1, blank lines counted."""
    row: int
    """From 0, blank lines not counted."""
    text: bytes | None
    """Without white space around it; None: too long."""


@dataclass(slots=True)
class Learned:
    """What the rows of a file, from one to another, have in common."""

    start: int
    stop: int
    """Behind the last one."""
    shapes: dict[str, Shape]
    bad: int = 0
    """Rows that are none."""


class JsonlSource:
    """A JSON Lines file. A blank line is no row; :attr:`blank_lines` counts them."""

    def __init__(
        self, opener: Opener, *, name: str, max_line_bytes: int = MAX_LINE_BYTES, unified: Unified | None = None
    ) -> None:
        self._opener = opener
        self._name = name
        self._max_line_bytes = max_line_bytes
        self._settled = None if unified is None else (unified.schema, list(unified.json_text))
        self._reader = ObjectReader()
        self._shapes: dict[str, Shape] | None = None
        self.learned: object = None
        self._is_good = False
        """Whether all rows have been read, and none was bad: what is asked of them need not be asked again."""
        self.blank_lines = 0
        """Blank lines in what the latest pass has read."""
        self.row_count = 0
        self.bad_rows: list[str] = []
        self.bad_row_count = 0
        self._measured = self._measured_bytes = 0

    def rows(
        self, columns: Sequence[str] | None, *, chunk_rows: int, limit: int | None = None
    ) -> Iterator[list[AnyRow]]:
        """All rows."""
        for chunk in self.rows_left(columns, recorded=NO_ROWS, chunk_rows=chunk_rows, limit=limit):
            yield [row for _, row in chunk]

    def rows_left(
        self,
        columns: Sequence[str] | None,
        *,
        recorded: RowSelection,
        chunk_rows: int,
        limit: int | None = None,
        start: Start | None = None,
    ) -> Iterator[list[tuple[int, AnyRow]]]:
        """Rows to score; numbers as written, integers of any size. If they are all rows, their types are known then."""
        self.learned = None
        learned: Learned | None = None
        for lines in _batched(self._lines(limit, recorded, start or _BEGIN), chunk_rows):
            rows = [self._parse(line) for line in lines]
            learned = learned or Learned(lines[0].row, lines[0].row, {})
            if learned.stop == lines[0].row and len(learned.shapes) <= MAX_COLUMNS:  # else they are not all
                learned.bad += _observe(rows, learned.shapes)
                learned.stop += len(rows)
            yield [(line.row, _chosen(row, columns)) for line, row in zip(lines, rows, strict=True)]
        if learned is not None and learned.stop == self.row_count and len(learned.shapes) <= MAX_COLUMNS:
            self.learned = learned
            if limit is None:
                self.know([learned], rows=self.row_count)

    def know(self, learned: Sequence[object], *, rows: int) -> None:
        """Take over the types of all rows, if the parts join from the first row to the last."""
        parts = sorted((part for part in learned if isinstance(part, Learned)), key=attrgetter("start"))
        stops = [0, *(part.stop for part in parts)]
        shapes: dict[str, Shape] = {}
        for part, begin in zip(parts, stops, strict=False):
            if part.start != begin:
                return
            for name, shape in part.shapes.items():
                shapes.setdefault(name, Shape()).merge(shape)
        if stops[-1] == rows and len(shapes) <= MAX_COLUMNS:
            self._learn_all(Learned(0, rows, shapes, sum(part.bad for part in parts)))

    def _learn_all(self, learned: Learned) -> None:
        self.learned, self._shapes, self._is_good = learned, learned.shapes, not learned.bad

    def expected_rows(self, size: int) -> int | None:
        """Rows by the length of those that were read; of compressed text there is no telling."""
        if not self._measured_bytes or file_type(self._name).compression is not None:
            return None
        return max(self.row_count, round(size * self._measured / self._measured_bytes))

    def column_names(self) -> list[str]:
        """Names of all columns, in order of first appearance; reads the file."""
        return list(self.types())

    def schema(self) -> tuple[pa.Schema, list[str]]:
        """Arrow schema as settled over the whole file by :class:`~modelcall.formats.settle.Shape`; reads it once."""
        if self._settled is None:
            types = {name: shape.arrow_type() for name, shape in self.types().items()}
            schema = pa.schema([(name, kind or pa.string()) for name, kind in types.items()])
            self._settled = schema, [name for name, kind in types.items() if kind is None]
        return self._settled

    def types(self) -> dict[str, Shape]:
        """What the values of each column have in common; reads the file, unless all its rows have been read before."""
        shapes = self._shapes
        if shapes is None:
            shapes, bad = {}, 0
            for lines in _batched(self._lines(), BATCH_ROWS):
                bad += _observe([self._parse(line) for line in lines], shapes)
                self._check_columns(shapes)
            self._learn_all(Learned(0, self.row_count, shapes, bad))
        return shapes

    def batches(self, schema: pa.Schema, *, limit: int | None = None) -> Iterator[pa.RecordBatch]:
        """Columns in ``schema``; a JSON text column holds each value's text as it stands in the file."""
        texts = frozenset(self.schema()[1]).intersection(schema.names)
        self.bad_rows, self.bad_row_count = [], 0
        for lines in _batched(self._lines(limit), BATCH_ROWS):
            rows = [self._cells(line, texts) for line in lines]
            try:
                arrays = [_array([row.get(field.name) for row in rows], field.type) for field in schema]
            except (pa.ArrowException, TypeError, OverflowError) as error:
                raise changed(self._name) from error
            yield _record_batch(arrays, schema, length=len(rows))

    def records(self, columns: Sequence[str] | None, *, limit: int | None = None) -> Iterator[list[bytes]]:
        """Rows as JSON text: the very bytes of the input, or the chosen members as they stand there."""
        for lines in _batched(self._lines(limit), BATCH_ROWS):
            yield [self._record(line, columns) for line in lines]

    def close(self) -> None:
        """Nothing is held between passes."""

    def layout(self, parts: int) -> Layout | None:
        """Found by counting the lines; compressed text has none."""
        if file_type(self._name).compression is not None:
            return None
        known = [_BEGIN, *line_starts(self._opener, name=self._name, max_bytes=self._max_line_bytes)]
        end = known[-1]
        wanted = (bisect_left(known, end.byte * part // parts, key=attrgetter("byte")) for part in range(parts))
        starts = {known[at].row: known[at] for at in wanted}
        return Layout(tuple(start for row, start in sorted(starts.items()) if row < end.row), end.row)

    def _lines(
        self, limit: int | None = None, recorded: RowSelection = NO_ROWS, start: Start = _BEGIN
    ) -> Iterator[_Line]:
        """Rows among the first ``limit`` that are not recorded."""
        self.blank_lines, self.row_count = start.blank_lines, start.row
        self._measured = self._measured_bytes = 0
        end = sys.maxsize if limit is None else limit
        for line in read_lines(
            self._opener,
            name=self._name,
            max_bytes=self._max_line_bytes,
            passed=lambda count: self.row_count + count <= end and recorded.covers(self.row_count, count),
            begin=start.byte,
        ):
            if self.row_count >= end:
                return
            text = line if line is None or isinstance(line, int) else line.strip(b" \t\r")
            if isinstance(text, int):
                self.row_count += text
            elif text == b"":
                self.blank_lines += 1
            else:
                row, self.row_count = self.row_count, self.row_count + 1
                if text is not None:
                    self._measured += 1
                    self._measured_bytes += len(text) + 1
                if row not in recorded:
                    yield _Line(self.row_count + self.blank_lines, row, text)

    def _parse(self, line: _Line) -> AnyRow:
        if line.text is None:
            return BadRow(f"line {line.number}: longer than {self._max_line_bytes} bytes")
        try:
            return self._reader.read(line.text)
        except ValueError as error:
            return BadRow(f"line {line.number}: {error}")

    def _parse_again(self, line: _Line) -> AnyRow:
        """Read a line for columns that have a type; quickly, if all lines are known to be good.

        orjson makes floats of integers beyond 64 bit, but a column of those has no type.
        """
        if not self._is_good or line.text is None:
            return self._parse(line)
        try:
            row: Row = orjson.loads(line.text)
        except orjson.JSONDecodeError:
            return self._parse(line)
        return row

    def _check_columns(self, shapes: dict[str, Shape]) -> None:
        if len(shapes) > MAX_COLUMNS:
            raise FileFailure(
                f"{self._name}: its rows have more than {MAX_COLUMNS} different keys",
                hint="Put values that are keyed by an id under one key.",
            )

    def _cells(self, line: _Line, texts: frozenset[str]) -> Row:
        row = self._parse_again(line) if not texts else self._parse(line)
        if isinstance(row, BadRow) or line.text is None:
            self._note(row)
            return {}
        if not texts.isdisjoint(row):
            written = {key: text for key, _, text in members(line.text.decode()) if key in texts}
            row |= {key: None if text == "null" else text for key, text in written.items()}
        return row

    def _note(self, row: AnyRow) -> None:
        self.bad_row_count += 1
        if isinstance(row, BadRow) and len(self.bad_rows) < MAX_REASONS:
            self.bad_rows.append(row.reason)

    def _record(self, line: _Line, columns: Sequence[str] | None) -> bytes:
        if line.text is None or not (self._is_good or isinstance(self._parse(line), dict)):
            return b"{}"
        if columns is None:
            return line.text
        written = {key: f"{key_text}:{text}" for key, key_text, text in members(line.text.decode())}
        return f"{{{','.join(written[name] for name in columns if name in written)}}}".encode()


def _observe(rows: Sequence[AnyRow], shapes: dict[str, Shape]) -> int:
    """Take the values of some rows into account, column by column; return how many rows are bad."""
    columns: defaultdict[str, list[Any]] = defaultdict(list)
    bad = 0
    for row in rows:
        if isinstance(row, BadRow):
            bad += 1
            continue
        for name, value in row.items():
            columns[name].append(value)
    for name, values in columns.items():
        if name not in shapes:
            shapes[name] = Shape()
        shapes[name].observe_all(values)
    return bad


def _chosen(row: AnyRow, columns: Sequence[str] | None) -> AnyRow:
    if columns is None or isinstance(row, BadRow):
        return row
    return {name: row[name] for name in columns if name in row}


def _batched(lines: Iterable[_Line], most: int) -> Iterator[list[_Line]]:
    batch: list[_Line] = []
    size = 0
    for line in lines:
        length = len(line.text or b"")
        if batch and (len(batch) >= most or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += length
    if batch:
        yield batch


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Make a column; a null of some extension types is all that Arrow makes of them."""
    return pa.array(values, type=kind) if any(value is not None for value in values) else pa.nulls(len(values), kind)


def _record_batch(arrays: list[pa.Array], schema: pa.Schema, *, length: int) -> pa.RecordBatch:
    if arrays:
        return pa.RecordBatch.from_arrays(arrays, schema=schema)
    return pa.RecordBatch.from_struct_array(pa.array([{}] * length, pa.struct([])))
