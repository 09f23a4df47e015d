from __future__ import annotations

import io
import itertools
import random
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelcall.errors import FileFailure
from modelcall.formats import parquet
from modelcall.formats.contract import SourceContract
from modelcall.formats.parquet import ParquetSource
from modelcall.formats.results import results_batch, results_schema
from modelcall.formats.writers import ParquetTableWriter
from modelcall.types import INT, STRING_LIST

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from modelcall.formats.base import Source
    from modelcall.formats.unify import Unified
    from modelcall.types import Row

RESULTS = {"added score": INT, "added tags": STRING_LIST}


def _bytes(table: pa.Table, **options: Any) -> bytes:
    target = io.BytesIO()
    pq.write_table(table, target, **options)
    return target.getvalue()


def _source(data: bytes, name: str = "a.parquet") -> ParquetSource:
    return ParquetSource(partial(io.BytesIO, data), name=name)


def _rows(source: ParquetSource, columns: Sequence[str] | None = None) -> list[Any]:
    return list(itertools.chain.from_iterable(source.rows(columns, chunk_rows=4)))


def _published(source: ParquetSource) -> bytes:
    """The file with result columns, as publishing writes it."""
    schema, texts = source.schema()
    assert texts == []
    target = io.BytesIO()
    writer = ParquetTableWriter(target, inputs=schema, results=results_schema(RESULTS))
    for batch in source.batches(schema):
        count = batch.num_rows
        writer.write(batch, results_batch(RESULTS, {"added score": range(count), "added tags": [["x"]] * count}))
    writer.close()
    return target.getvalue()


class TestContract(SourceContract):
    def make(self, rows: Sequence[Row], *, unified: Unified | None = None) -> Source:
        schema = None if rows else pa.schema([("id", pa.int64())])
        data = _bytes(pa.Table.from_pylist(list(rows), schema), row_group_size=6)
        return ParquetSource(partial(io.BytesIO, data), name="a.parquet", unified=unified)

    def make_damaged(self) -> Source:
        table = pa.table({"a": ["some words"] * 9, "b": ["and others"] * 9})
        data = _bytes(table, compression="none", write_page_checksum=True, write_statistics=False)
        return _source(data.replace(b"and others", b"and 0thers"))

    def make_bad_row(self, rows: Sequence[Row], bad: int) -> Source:
        table = pa.Table.from_pylist(list(rows))
        texts = [b"\xff" if index == bad else row["text"].encode() for index, row in enumerate(rows)]
        index = table.schema.get_field_index("text")
        broken = table.set_column(index, "text", pa.array(texts, pa.binary()).view(pa.string()))
        return _source(_bytes(broken, row_group_size=6))


def test_only_the_asked_column_is_given_whatever_its_dots() -> None:
    table = pa.table({"a.b": [1], "a": [{"b": 2, "c": 3}], "ab": [4], "": [5]})
    source = _source(_bytes(table))
    assert _rows(source, ["a"]) == [{"a": {"b": 2, "c": 3}}]
    assert _rows(source, ["a.b"]) == [{"a.b": 1}]
    assert _rows(source, ["", "a"]) == [{"": 5, "a": {"b": 2, "c": 3}}]


def test_unwanted_columns_are_not_read(tmp_path: Path) -> None:
    table = pa.table({"text": ["x"] * 100, "image": [random.Random(index).randbytes(10_000) for index in range(100)]})
    path = tmp_path / "a.parquet"
    path.write_bytes(_bytes(table))
    taken = []

    class _Counting(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            taken.append(data := super().read(size) or b"")
            return data

    assert len(_rows(ParquetSource(lambda: _Counting(path), name="a.parquet"), ["text"])) == 100
    assert 1000 < sum(map(len, taken)) < 100_000


@pytest.mark.parametrize("groups", [0, 1])
def test_files_without_rows(groups: int) -> None:
    schema = pa.schema([("a", pa.int8())])
    target = io.BytesIO()
    with pq.ParquetWriter(target, schema) as writer:
        for _ in range(groups):
            writer.write_table(schema.empty_table())
    source = _source(target.getvalue())
    assert (_rows(source), list(source.records(None)), source.column_names()) == ([], [], ["a"])
    assert pq.read_schema(io.BytesIO(_published(source))).field("a").type == pa.int8()


def test_columns_of_one_name_are_refused() -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([3])], names=["a", "b", "a"])
    source = _source(_bytes(table), "x/a.parquet")
    for ask in (source.schema, source.column_names, lambda: _rows(source), lambda: list(source.records(None))):
        with pytest.raises(FileFailure, match=r"x/a.parquet: more than one column is named 'a'"):
            ask()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "named as Parquet, but its content is empty"),
        (b'{"a":1}\n', "named as Parquet, but its content is not"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "named as Parquet, but its content is gzip"),
        (b"PAR1", "cannot be read"),
        (b"PAR1" + bytes(100) + b"PAR1", "cannot be read"),
    ],
)
def test_what_is_no_parquet_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(FileFailure, match=reason) as raised:
        _rows(_source(data, "x/a.parquet"))
    assert raised.value.message.startswith("x/a.parquet: ")


def test_files_cut_anywhere_are_refused() -> None:
    data = _bytes(pa.table({"a": [str(index) for index in range(300)]}))
    for cut in range(0, len(data), 37):
        with pytest.raises(FileFailure):
            _rows(_source(data[:cut]))


def test_flipped_bytes_are_noticed_by_checksums() -> None:
    table = pa.table({"a": [str(index * 7919) for index in range(300)]})
    data = _published(_source(_bytes(table)))
    pages = data.rindex(b"PAR1") - int.from_bytes(data[-8:-4], "little")
    noticed = 0
    for at in range(4, pages, 41):
        broken = bytearray(data)
        broken[at] ^= 0x10
        try:
            rows = _rows(_source(bytes(broken)))
        except FileFailure:
            noticed += 1
        else:
            assert [row["a"] for row in rows] == table["a"].to_pylist()
    assert noticed > 10


def test_text_that_is_not_utf8_is_a_bad_row_among_good_ones() -> None:
    text = pa.array([b"ok", b"\xff", None], pa.binary()).view(pa.string())
    source = _source(_bytes(pa.table({"text": text, "id": [0, 1, 2]})))
    first, bad, last = _rows(source)
    assert (first, last) == ({"text": "ok", "id": 0}, {"text": None, "id": 2})
    assert bad.reason.startswith("row 1: column text: 'utf-8' codec")
    assert _rows(source, ["id"]) == [{"id": 0}, {"id": 1}, {"id": 2}]


def test_batches_are_small_where_rows_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "BATCH_BYTES", 50_000)
    source = _source(_bytes(pa.table({"a": [random.Random(index).randbytes(10_000) for index in range(20)]})))
    sizes = [batch.num_rows for batch in source.batches(source.schema()[0])]
    assert sum(sizes) == 20
    assert max(sizes) <= 5
    assert max(map(len, source.rows(None, chunk_rows=100))) <= 5


def test_small_rows_elsewhere_do_not_make_batches_of_large_ones_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "BATCH_BYTES", 50_000)
    large = [random.Random(index).randbytes(10_000) for index in range(20)]
    target = io.BytesIO()
    with pq.ParquetWriter(target, pa.schema([("a", pa.binary())])) as writer:
        for rows in ([b""] * 5000, large, [b""] * 5000):
            writer.write_table(pa.table({"a": rows}))
    source = _source(target.getvalue())
    batches = list(source.batches(source.schema()[0]))
    assert max(batch.nbytes for batch in batches) < 60_000
    assert sum(batch.num_rows for batch in batches) == 10_020
    assert len(batches) < 20


def test_streams_are_closed_after_each_pass() -> None:
    data = _bytes(pa.table({"a": range(10)}))
    opened: list[io.BytesIO] = []

    def opener() -> io.BytesIO:
        opened.append(io.BytesIO(data))
        return opened[-1]

    source = ParquetSource(opener, name="a.parquet")
    source.schema()
    _rows(source)
    given_up = source.rows(None, chunk_rows=1)
    next(given_up)
    given_up.close()  # type: ignore[attr-defined]
    assert [stream.closed for stream in opened] == [True] * 3


def test_errors_of_the_store_pass(tmp_path: Path) -> None:
    class _Failing(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if size != len(b"PAR1xx"):
                raise OSError(5, "Input/output error", "/x/a.parquet")
            return super().read(size) or b""

    path = tmp_path / "a.parquet"
    path.write_bytes(_bytes(pa.table({"a": range(1000)})))
    with pytest.raises(OSError, match="Input/output") as raised:
        _rows(ParquetSource(lambda: _Failing(path), name="a.parquet"))
    assert raised.value.errno == 5


def test_the_footer_tells_how_many_rows_to_expect() -> None:
    source = _source(_bytes(pa.table({"a": list(range(50))})))
    assert source.expected_rows(1) is None, "before it is read"
    next(source.rows(None, chunk_rows=4))
    assert source.expected_rows(1) == 50
