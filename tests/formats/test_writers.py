from __future__ import annotations

import gc
import io
import json
import random
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcall.formats import writers
from modelcall.formats.writers import JsonlTableWriter, ParquetTableWriter

if TYPE_CHECKING:
    from collections.abc import Callable

NO_RESULTS = pa.RecordBatch.from_struct_array(pa.array([{}] * 2, pa.struct([])))


def _results(count: int = 2) -> pa.RecordBatch:
    columns = {
        "score": pa.array(range(4, 4 + count)),
        "标签": pa.array([["x\n"]] * count),
        "r": pa.array([None] * count, pa.float64()),
    }
    return pa.RecordBatch.from_pydict(columns)


def _jsonl(records: list[bytes], results: pa.RecordBatch) -> bytes:
    target = io.BytesIO()
    writer = JsonlTableWriter(target)
    writer.write(records, results)
    writer.close()
    return target.getvalue()


def test_results_stand_behind_the_bytes_of_the_record() -> None:
    assert _jsonl([b'{"a": 1.10}', b'{"b":[]}'], _results()).decode().split("\n") == [
        '{"a": 1.10,"score":4,"标签":["x\\n"],"r":null}',
        '{"b":[],"score":5,"标签":["x\\n"],"r":null}',
        "",
    ]


@pytest.mark.parametrize("empty", [b"{}", b"{ }", b"{\t \r}"])
def test_empty_records_get_no_comma(empty: bytes) -> None:
    assert _jsonl([empty], _results(1)) == '{"score":4,"标签":["x\\n"],"r":null}\n'.encode()


def test_without_results_records_are_copied() -> None:
    assert _jsonl([b'{"a":1}', b"{}"], NO_RESULTS) == b'{"a":1}\n{}\n'


@given(rows=st.lists(st.dictionaries(st.text(max_size=3).map("k".__add__), st.integers() | st.text()), max_size=4))
def test_every_line_is_the_row_and_its_results(rows: list[dict[str, Any]]) -> None:
    lines = _jsonl([json.dumps(row).encode() for row in rows], _results(len(rows))).decode().split("\n")
    assert lines.pop() == ""
    expected = [{**row, **result} for row, result in zip(rows, _results(len(rows)).to_pylist(), strict=True)]
    assert [json.loads(line) for line in lines] == expected


def test_rows_and_results_of_different_number_are_refused() -> None:
    with pytest.raises(ValueError, match="1 rows do not go with 2 results"):
        _jsonl([b"{}"], _results(2))
    batch = pa.RecordBatch.from_pydict({"a": [1, 2, 3]})
    with pytest.raises(ValueError, match="3 rows do not go with 2 results"):
        _parquet([batch], [_results(2)])


def _parquet(batches: list[pa.RecordBatch], results: list[pa.RecordBatch]) -> bytes:
    target = io.BytesIO()
    writer = ParquetTableWriter(target, inputs=batches[0].schema, results=results[0].schema)
    for batch, result in zip(batches, results, strict=True):
        writer.write(batch, result)
    writer.close()
    return target.getvalue()


def test_parquet_has_inputs_then_results() -> None:
    batch = pa.RecordBatch.from_pydict({"a": ["x", "y"]})
    table = pq.read_table(io.BytesIO(_parquet([batch, batch], [_results(), _results()])))
    assert table.schema.names == ["a", "score", "标签", "r"]
    assert table["a"].to_pylist() == ["x", "y"] * 2
    assert table["score"].to_pylist() == [4, 5] * 2


def test_the_same_rows_give_the_same_bytes() -> None:
    batch = pa.RecordBatch.from_pydict({"a": ["x", "y"]})
    assert _parquet([batch], [_results()]) == _parquet([batch], [_results()])


def _group_sizes(data: bytes) -> list[int]:
    metadata = pq.read_metadata(io.BytesIO(data))
    return [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]


def test_row_groups_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "ROW_GROUP_BYTES", 50_000)
    rows = [random.Random(index).randbytes(10_000) for index in range(2)]
    batch = pa.RecordBatch.from_pydict({"a": rows})
    assert _group_sizes(_parquet([batch] * 5, [_results()] * 5)) == [4, 4, 2]
    huge = pa.RecordBatch.from_pydict({"a": rows * 10})
    data = _parquet([huge], [_results(20)])
    assert _group_sizes(data) == [4] * 5
    metadata = pq.read_metadata(io.BytesIO(data))
    assert all(metadata.row_group(index).total_byte_size <= 50_000 for index in range(5))


def test_row_groups_are_bounded_in_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "ROW_GROUP_ROWS", 5)
    batch = pa.RecordBatch.from_pydict({"a": [1, 2]})
    assert _group_sizes(_parquet([batch] * 5, [_results()] * 5)) == [4, 4, 2]
    assert _group_sizes(_parquet([pa.RecordBatch.from_pydict({"a": range(7)})], [_results(7)])) == [5, 2]


def test_one_row_may_be_larger_than_a_row_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "ROW_GROUP_BYTES", 100)
    batch = pa.RecordBatch.from_pydict({"a": ["x" * 1000, "y" * 1000]})
    assert _group_sizes(_parquet([batch], [_results()])) == [1, 1]


def test_files_are_zstd_with_checksums() -> None:
    data = _parquet([pa.RecordBatch.from_pydict({"a": ["x" * 500] * 2})], [_results()])
    metadata = pq.read_metadata(io.BytesIO(data))
    assert {metadata.row_group(0).column(index).compression for index in range(4)} == {"ZSTD"}
    broken = bytearray(data)
    column = metadata.row_group(0).column(0)
    broken[column.dictionary_page_offset + column.total_compressed_size - 1] ^= 1
    with pytest.raises(OSError, match=r"."):
        pq.read_table(io.BytesIO(bytes(broken)), page_checksum_verification=True)


def test_dictionaries_may_differ_from_batch_to_batch() -> None:
    batches = [
        pa.RecordBatch.from_pydict({"a": pa.array(values).dictionary_encode()}) for values in (["x", "y"], ["z", "x"])
    ]
    table = pq.read_table(io.BytesIO(_parquet(batches, [_results()] * 2)))
    assert pa.types.is_dictionary(table.schema.field("a").type)
    assert table["a"].to_pylist() == ["x", "y", "z", "x"]


def test_a_writer_given_up_writes_no_end_and_raises_nothing() -> None:
    sink = _ClosingSink()
    batch = pa.RecordBatch.from_pydict({"a": [1, 2]})
    writer = ParquetTableWriter(sink, inputs=batch.schema, results=_results().schema)
    writer.write(batch, _results())
    writer._flush()
    sink.closed = True
    del writer
    gc.collect()
    assert sink.data == b""


class _ClosingSink:
    def __init__(self) -> None:
        self.data = b""
        self.closed = False

    def write(self, data: bytes | memoryview) -> int:
        if self.closed:
            raise ValueError("write to a closed sink")
        self.data += data
        return len(data)


def test_errors_of_the_sink_pass() -> None:
    class _Full:
        def write(self, _: bytes | memoryview) -> int:
            raise OSError(28, "No space left on device", "/x/a.parquet")

    batch = pa.RecordBatch.from_pydict({"a": [1, 2]})
    writer = ParquetTableWriter(_Full(), inputs=batch.schema, results=_results().schema)
    writer.write(batch, _results())
    with pytest.raises(OSError, match="No space left") as raised:
        writer.close()
    assert (raised.value.errno, raised.value.filename) == (28, "/x/a.parquet")


def test_large_rows_among_small_ones_do_not_share_a_row_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "ROW_GROUP_BYTES", 50_000)
    rows = [b""] * 300 + [random.Random(index).randbytes(20_000) for index in range(6)] + [b""] * 300
    data = _parquet([pa.RecordBatch.from_pydict({"a": rows})], [_results(606)])
    metadata = pq.read_metadata(io.BytesIO(data))
    sizes = [metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups)]
    assert max(sizes) <= 50_000
    assert len(sizes) <= 5
    assert pq.read_table(io.BytesIO(data))["a"].to_pylist() == rows


def test_the_words_of_a_dictionary_do_not_cut_rows_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "ROW_GROUP_BYTES", 50_000)
    words = pa.array([random.Random(index).randbytes(10_000) for index in range(20)])
    column = pa.DictionaryArray.from_arrays(pa.array(range(20), pa.int8()), words)
    assert _group_sizes(_parquet([pa.RecordBatch.from_pydict({"a": column})], [_results(20)])) == [20]


@pytest.mark.parametrize("wrap", [lambda text: text, lambda text: {"x": text, "y": [text]}, lambda text: [text]])
def test_large_views_are_views_again(monkeypatch: pytest.MonkeyPatch, wrap: Callable[[str], Any]) -> None:
    monkeypatch.setattr(writers, "ROW_GROUP_BYTES", 50_000)
    kinds: dict[type, pa.DataType] = {
        str: pa.string_view(),
        dict: pa.struct([("x", pa.string_view()), ("y", pa.list_(pa.field("element", pa.string_view())))]),
        list: pa.list_(pa.field("element", pa.string_view())),
    }
    rows = [wrap(str(index) * 300) for index in range(2000)] + [None]
    kind = kinds[type(rows[0])]
    schema = pa.schema([pa.field("a", kind, metadata={"note": "kept"})], metadata={"made by": "a test"})
    data = _parquet([pa.RecordBatch.from_arrays([pa.array(rows, kind)], schema=schema)], [_results(2001)])
    table = pq.read_table(io.BytesIO(data))
    assert table.schema.field("a").equals(schema.field("a"), check_metadata=True)
    assert table.schema.metadata == schema.metadata
    assert table["a"].to_pylist() == rows
    assert len(_group_sizes(data)) > 10


def test_columns_beside_views_are_left_as_they_are() -> None:
    """pyarrow's cast spoils a list of fixed size of nulls, though it stays of its type."""
    table = pa.table({"v": pa.array([None, b"x"], pa.binary_view()), "f": pa.array([None] * 2, pa.list_(pa.null(), 2))})
    stored, target = io.BytesIO(), io.BytesIO()
    pq.write_table(table, stored)
    writer = ParquetTableWriter(target, inputs=table.schema, results=_results().schema)
    for batch in pq.ParquetFile(stored).iter_batches():
        writer.write(batch, _results())
    writer.close()
    read = pq.read_table(target).select(table.column_names)
    assert read.schema == table.schema
    assert read.to_pydict() == table.to_pydict()
