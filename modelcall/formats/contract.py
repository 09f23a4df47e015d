"""The tests every format must pass; for authors of one.

Subclass it in a test module, and run pytest::

    class TestMyFormat(SourceContract):
        def make(self, rows):
            data = ...  # a file of these rows in the format
            return MySource(lambda: io.BytesIO(data), name="a.mine")
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelcall.formats.base import Source
    from modelcall.types import Row


class Recorded(frozenset[int]):
    """A selection of rows, for tests."""

    def covers(self, first: int, count: int) -> bool:
        """Whether it holds each of ``count`` rows from ``first`` on."""
        return self.issuperset(range(first, first + count))


class SourceContract:
    """What the pipeline relies on of a source."""

    ROWS: Sequence[Row] = [
        {"id": index, "text": f'line\n"{index}" 中文 \u2028 {{x}}', "tags": ["a", "b"][: index % 3], "ratio": index / 4}
        for index in range(25)
    ]

    def make(self, rows: Sequence[Row]) -> Source:
        """Return a source of a file with these rows; all rows have the same keys, none is null."""
        raise NotImplementedError

    def test_rows_come_in_order_and_whole(self) -> None:
        """All columns, all rows."""
        assert self._rows(self.make(self.ROWS)) == list(self.ROWS), "rows must come back as they are, in order"

    def test_chunks_are_no_larger_than_asked(self) -> None:
        """And none is empty."""
        chunks = list(self.make(self.ROWS).rows(None, chunk_rows=7))
        assert all(1 <= len(chunk) <= 7 for chunk in chunks), "a chunk has 1 … chunk_rows rows"  # noqa: PLR2004
        assert sum(map(len, chunks)) == len(self.ROWS), "chunks must cover all rows"

    def test_every_pass_sees_the_same(self) -> None:
        """Also when one is left in the middle, or two run at once."""
        source = self.make(self.ROWS)
        abandoned = source.rows(None, chunk_rows=3)
        next(abandoned)
        assert self._rows(source) == list(self.ROWS), "a second pass must see all rows"
        assert next(abandoned)[0] == self.ROWS[3], "a pass must not disturb another"

    def test_only_wanted_columns_are_given(self) -> None:
        """A column the file lacks is left out; a row without any is still a row."""
        source = self.make(self.ROWS)
        some = [row for chunk in source.rows(["text", "absent"], chunk_rows=10) for row in chunk]
        assert some == [{"text": row["text"]} for row in self.ROWS], "only wanted columns, absent ones left out"
        none = [row for chunk in source.rows([], chunk_rows=10) for row in chunk]
        assert none == [{} for _ in self.ROWS], "rows count even if no column is wanted"

    def test_limits_are_exact(self) -> None:
        """In every way of reading."""
        source = self.make(self.ROWS)
        schema, _ = source.schema()
        for limit in (0, 1, 7, len(self.ROWS), len(self.ROWS) + 1):
            expected = min(limit, len(self.ROWS))
            counts = (
                sum(map(len, source.rows(None, chunk_rows=5, limit=limit))),
                sum(batch.num_rows for batch in source.batches(schema, limit=limit)),
                sum(map(len, source.records(None, limit=limit))),
            )
            assert counts == (expected,) * 3, f"limit {limit} gave {counts} rows, batch rows, records"

    def test_recorded_rows_are_passed_over(self) -> None:
        """The others come with their index; all are counted."""
        source = self.make(self.ROWS)
        total = len(self.ROWS)
        for recorded in (set(), {0}, {total - 1}, set(range(total)), set(range(20)), set(range(0, total, 2)), {99}):
            for limit in (None, 0, 7, total + 1):
                left = source.rows_left(None, recorded=Recorded(recorded), chunk_rows=4, limit=limit)
                end = total if limit is None else min(limit, total)
                expected = [(index, self.ROWS[index]) for index in range(end) if index not in recorded]
                chunks = list(left)
                assert list(itertools.chain.from_iterable(chunks)) == expected, f"all but {recorded}, up to {limit}"
                assert all(1 <= len(chunk) <= 4 for chunk in chunks), "1 … chunk_rows rows"  # noqa: PLR2004
                assert source.row_count == end, "rows that are passed over count"

    def test_schema_and_names_agree(self) -> None:
        """In the order of the file."""
        source = self.make(self.ROWS)
        assert source.column_names() == list(self.ROWS[0]), "column_names must keep the order of the file"
        assert source.schema()[0].names == list(self.ROWS[0]), "schema must keep the order of the file"

    def test_batches_hold_the_rows_in_the_schema(self) -> None:
        """Also in a subset of it, and in none."""
        source = self.make(self.ROWS)
        schema, _ = source.schema()
        table = pa.Table.from_batches(source.batches(schema), schema)
        assert table.to_pylist() == list(self.ROWS), "batches must hold the values of the rows"
        part = pa.schema([schema.field("ratio"), schema.field("id")])
        assert pa.Table.from_batches(source.batches(part)).schema.names == ["ratio", "id"], "a subset keeps its order"
        assert sum(batch.num_rows for batch in source.batches(pa.schema([]))) == len(self.ROWS), "no column, all rows"

    def test_records_are_json_objects_on_one_line(self) -> None:
        """With all columns, or the chosen ones in the order asked for."""
        source = self.make(self.ROWS)
        records = self._records(source, None)
        assert all(b"\n" not in record for record in records), "a record is one line"
        assert [json.loads(record) for record in records] == list(self.ROWS), "records must hold the values of the rows"
        chosen = [list(json.loads(record)) for record in self._records(source, ["text", "absent", "id"])]
        assert chosen == [["text", "id"]] * len(self.ROWS), "chosen columns come in the order asked for"

    def test_a_file_without_rows_is_a_file(self) -> None:
        """It has no rows, batches of no rows, and no records."""
        source = self.make([])
        schema, _ = source.schema()
        assert self._rows(source) == [], "no rows"
        assert sum(batch.num_rows for batch in source.batches(schema)) == 0, "no rows in batches"
        assert self._records(source, None) == [], "no records"

    def test_close_may_be_called_twice(self) -> None:
        """And before anything was read."""
        source = self.make(self.ROWS)
        source.close()
        source.close()

    def _rows(self, source: Source) -> list[Any]:
        return list(itertools.chain.from_iterable(source.rows(None, chunk_rows=4)))

    def _records(self, source: Source, columns: Sequence[str] | None) -> list[bytes]:
        return list(itertools.chain.from_iterable(source.records(columns)))
