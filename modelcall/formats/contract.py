"""The tests every format must pass; for authors of one.

Subclass it in a test module, and run pytest::

    class TestMyFormat(SourceContract):
        def make(self, rows, *, unified=None):
            data = ...  # a file of these rows in the format
            return MySource(lambda: io.BytesIO(data), name="a.mine", unified=unified)

        def make_damaged(self):
            data = ...  # a file that begins well and is cut short, or damaged
            return MySource(lambda: io.BytesIO(data), name="a.mine")

        def make_bad_row(self, rows, bad):
            return None  # or such a file in which the row of index ``bad`` cannot be read
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from modelcall.errors import FileFailure
from modelcall.formats.base import BadRow
from modelcall.formats.unify import Unified, Unifier, type_names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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

    def make(self, rows: Sequence[Row], *, unified: Unified | None = None) -> Source:
        """Return a source of a file with these rows; all rows have the same keys, none is null.

        With ``unified``, one for a schema of many files.
        """
        raise NotImplementedError

    def make_damaged(self) -> Source:
        """Return a source named ``a.…`` of a file that cannot be read to its end."""
        raise NotImplementedError

    def make_bad_row(self, rows: Sequence[Row], bad: int) -> Source | None:
        """Return a source of a file in which the row of index ``bad`` cannot be read; None: the format has none."""
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

    def test_types_are_of_the_columns(self) -> None:
        """In the order of the file; they are what a schema of many files is made of, and fit the one of this."""
        source = self.make(self.ROWS)
        schema, texts = source.schema()
        assert list(type_names(source.types())) == list(self.ROWS[0]), "types must keep the order of the file"
        unifier = Unifier()
        unifier.add("a", source.types())
        unified, unlike = unifier.unified()
        assert unlike == [], "a file has a common schema with itself"
        assert unified.schema.equals(schema), "the schema of one file alone is its own"
        assert Unified(schema, tuple(texts)).misfits(source.types()) == [], "a file fits its own schema"

    def test_a_schema_of_many_files_is_kept(self) -> None:
        """Values come in its types and order, also of a part of it; a column that the file lacks is null."""
        schema = self.make(self.ROWS).schema()[0]
        other = pa.field("other", pa.struct([("x", pa.int8())]))
        text = pa.field("text", pa.large_string())
        wider = pa.schema([other, text, *(field for field in schema if field.name != "text")])
        source = self.make(self.ROWS, unified=Unified(wider))
        assert source.schema()[0].equals(wider), "schema must be the one it was made for"
        expected = [{"other": None, **row} for row in self.ROWS]
        for part in (wider, pa.schema([text, other])):
            table = pa.Table.from_batches(source.batches(part), part)
            assert table.schema.equals(part), "batches must be in the schema asked for"
            assert table.to_pylist() == [{name: row[name] for name in part.names} for row in expected]
        assert self._rows(source) == list(self.ROWS), "rows to score are as they are in the file"

    def test_damage_is_told_with_the_name_of_the_file(self) -> None:
        """By whatever reads it; and never taken for the end of the file."""
        reads: list[Callable[[Source], object]] = [
            self._rows,
            lambda source: self._records(source, None),
            lambda source: list(source.batches(source.schema()[0])),
        ]
        for read in reads:
            failure = self._failure(read)
            assert failure is not None, "damage must be a FileFailure"
            assert failure.message.startswith("a."), "a message begins with the name of the file"
            assert failure.hint, "and says what to do"

    def test_a_bad_row_keeps_its_place(self) -> None:
        """Its neighbours are unharmed, in every way of reading."""
        for bad in (0, 7, len(self.ROWS) - 1):
            source = self.make_bad_row(self.ROWS, bad)
            if source is None:
                return
            rows = self._rows(source)
            assert isinstance(rows[bad], BadRow), "what cannot be read is a BadRow"
            assert str(bad) in rows[bad].reason or str(bad + 1) in rows[bad].reason, "a reason says where it is"
            good = [row for index, row in enumerate(self.ROWS) if index != bad]
            assert [row for row in rows if not isinstance(row, BadRow)] == good, "neighbours are unharmed"
            counts = len(self._records(source, None)), sum(len(batch) for batch in source.batches(source.schema()[0]))
            assert counts == (len(self.ROWS),) * 2, "it counts as a row"

    def test_close_may_be_called_twice(self) -> None:
        """And before anything was read."""
        source = self.make(self.ROWS)
        source.close()
        source.close()

    def _failure(self, read: Callable[[Source], object]) -> FileFailure | None:
        try:
            read(self.make_damaged())
        except FileFailure as failure:
            return failure
        return None

    def _rows(self, source: Source) -> list[Any]:
        return list(itertools.chain.from_iterable(source.rows(None, chunk_rows=4)))

    def _records(self, source: Source, columns: Sequence[str] | None) -> list[bytes]:
        return list(itertools.chain.from_iterable(source.records(columns)))
