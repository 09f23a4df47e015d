from __future__ import annotations

import gzip
import io
import itertools
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcall.errors import FileFailure
from modelcall.formats import jsonl
from modelcall.formats.base import BadRow
from modelcall.formats.contract import Recorded, SourceContract
from modelcall.formats.jsonl import JsonlSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelcall.formats.base import Source
    from modelcall.formats.unify import Unified
    from modelcall.types import Row


def _source(
    data: bytes, *, name: str = "a.jsonl", max_line_bytes: int = 1 << 20, unified: Unified | None = None
) -> JsonlSource:
    return JsonlSource(partial(io.BytesIO, data), name=name, max_line_bytes=max_line_bytes, unified=unified)


def _rows(source: JsonlSource, columns: Sequence[str] | None = None) -> list[Any]:
    return list(itertools.chain.from_iterable(source.rows(columns, chunk_rows=3)))


def _records(source: JsonlSource, columns: Sequence[str] | None = None) -> list[bytes]:
    return list(itertools.chain.from_iterable(source.records(columns)))


def _columns(source: JsonlSource) -> dict[str, list[Any]]:
    schema, _ = source.schema()
    columns: dict[str, list[Any]] = pa.Table.from_batches(source.batches(schema), schema).to_pydict()
    return columns


class TestPlain(SourceContract):
    def make(self, rows: Sequence[Row], *, unified: Unified | None = None) -> Source:
        lines = (json.dumps(row, ensure_ascii=False).encode() + b"\r\n" for row in rows)
        return _source(b"".join(lines), unified=unified)

    def make_damaged(self) -> Source:
        return _source(b"PK\x03\x04 zipped")

    def make_bad_row(self, rows: Sequence[Row], bad: int) -> Source:
        lines = [json.dumps(row).encode() for row in rows]
        return _source(b"\n".join([*lines[:bad], b'{"text": "\xff"}', *lines[bad + 1 :]]))


class TestGzip(SourceContract):
    def make(self, rows: Sequence[Row], *, unified: Unified | None = None) -> Source:
        packed = gzip.compress("\n".join(map(json.dumps, rows)).encode())
        return _source(packed, name="a.jsonl.gz", unified=unified)

    def make_damaged(self) -> Source:
        return _source(gzip.compress(b'{"a": 1}\n' * 1000)[:-9], name="a.jsonl.gz")

    def make_bad_row(self, rows: Sequence[Row], bad: int) -> Source:
        lines = [json.dumps(row).encode() for row in rows]
        packed = b"\n".join([*lines[:bad], b"[]", *lines[bad + 1 :]])
        return _source(gzip.compress(packed), name="a.jsonl.gz")


BROKEN = b'\xef\xbb\xbf{"a":1}\r\n\n  \t\n{"a":"\xff"}\n{"a":NaN}\n[2]\n{"a":"%s"}\n\n{"a": 3 }' % (b"x" * 40)
REASONS = {
    1: "line 4: invalid UTF-8 at byte 6",
    2: "line 5: NaN is no JSON number",
    3: "line 6: a JSON object is expected, not an array",
    4: "line 7: longer than 30 bytes",
}


def test_bad_rows_keep_their_place_and_say_their_line() -> None:
    source = _source(BROKEN, max_line_bytes=30)
    assert _rows(source) == [{"a": 1}, *(BadRow(reason) for reason in REASONS.values()), {"a": 3}]
    assert _records(source) == [b'{"a":1}', b"{}", b"{}", b"{}", b"{}", b'{"a": 3 }']
    assert _columns(source) == {"a": [1, None, None, None, None, 3]}
    assert source.column_names() == ["a"]


def test_blank_lines_are_counted() -> None:
    source = _source(BROKEN)
    _rows(source)
    assert source.blank_lines == 3
    _rows(source)
    assert source.blank_lines == 3


def test_a_last_line_without_its_end_is_a_row_if_whole() -> None:
    assert _rows(_source(b'{"a":1}\n{"a":2}')) == [{"a": 1}, {"a": 2}]
    cut = _rows(_source(b'{"a":1}\n{"a":2'))
    assert cut[0] == {"a": 1}
    assert cut[1].reason.startswith("line 2: not JSON")


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf", b"\r\n"])
def test_files_without_rows(data: bytes) -> None:
    source = _source(data)
    assert (_rows(source), _records(source), source.column_names()) == ([], [], [])
    assert source.schema() == (pa.schema([]), [])


def test_records_are_the_very_bytes() -> None:
    lines = [
        b'{"z": 1.10, "n":123456789012345678901234567890}',
        b'{"a":"\\u4e2d" , "a":"\\u4e2d"}',
        b"{ }",
        '{"t":"\u2028\u0085\x0b\x7f"}'.replace("\x0b", "\\u000b").encode(),
    ]
    assert _records(_source(b"\r\n".join(lines))) == lines


def test_chosen_members_are_their_very_bytes_in_the_order_asked_for() -> None:
    source = _source(b'{"z": 1.10, "n" :[ 1e2 ],"k":null}\n{"k":1}\nbad')
    assert _records(source, ["n", "absent", "z"]) == [b'{"n":[ 1e2 ],"z":1.10}', b"{}", b"{}"]


def test_columns_come_in_order_of_first_appearance() -> None:
    source = _source(b'{"b":1}\n{"a":1,"b":2}\n{"c":null}')
    assert source.column_names() == ["b", "a", "c"]
    assert _columns(source) == {"b": [1, 2, None], "a": [None, 1, None], "c": [None, None, None]}


def test_what_settles_on_no_type_becomes_its_own_text() -> None:
    source = _source(
        b'{"mixed":1.50,"big":123456789012345678901,"obj":{"a": 1},"empty":{},"ok":[1]}\n'
        b'{"mixed":"x","big":1,"obj":{"b":null},"empty":null,"ok":[]}\n'
        b'{"mixed":null,"ok":null}'
    )
    schema, texts = source.schema()
    assert texts == ["mixed", "big", "obj", "empty"]
    assert schema.types == [pa.string()] * 4 + [pa.list_(pa.int64())]
    assert _columns(source) == {
        "mixed": ["1.50", '"x"', None],
        "big": ["123456789012345678901", "1", None],
        "obj": ['{"a": 1}', '{"b":null}', None],
        "empty": ["{}", None, None],
        "ok": [[1], [], None],
    }


def test_batches_know_the_text_columns_without_being_told() -> None:
    schema, _ = _source(b'{"a":1}\n{"a":"x"}').schema()
    fresh = _source(b'{"a":1}\n{"a":"x"}')
    assert pa.Table.from_batches(fresh.batches(schema)).to_pydict() == {"a": ["1", '"x"']}


def test_the_schema_is_that_of_the_whole_file_whatever_the_limit() -> None:
    source = _source(b'{"a":1}\n{"a":0.5}\n{"b":1}')
    schema, _ = source.schema()
    assert pa.Table.from_batches(source.batches(schema, limit=1)).to_pydict() == {"a": [1.0], "b": [None]}


def test_a_file_that_changed_between_passes_is_an_error() -> None:
    contents = iter([b'{"a":1}', b'{"a":"x"}'])
    source = JsonlSource(lambda: io.BytesIO(next(contents)), name="x/a.jsonl")
    schema, _ = source.schema()
    with pytest.raises(FileFailure, match=r"x/a.jsonl: changed while it was being read"):
        list(source.batches(schema))


def test_keys_without_end_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl, "MAX_COLUMNS", 3)
    assert len(_source(b'{"a":1,"b":1,"c":1}').column_names()) == 3
    for ask in (JsonlSource.column_names, JsonlSource.schema):
        with pytest.raises(FileFailure, match="more than 3 different keys"):
            ask(_source(b'{"a":1,"b":1}\n{"c":1,"d":1}'))


def test_large_rows_come_in_small_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl, "BATCH_BYTES", 25)
    source = _source(b'{"a":"xx"}\n' * 5 + b'{"a":"%s"}\n{"a":""}' % (b"x" * 50))
    sizes = [2, 2, 1, 1, 1]
    assert [len(chunk) for chunk in source.rows(None, chunk_rows=100)] == sizes
    assert [len(chunk) for chunk in source.records(None)] == sizes
    assert [batch.num_rows for batch in source.batches(source.schema()[0])] == sizes


LINES = st.lists(
    st.sampled_from([b'{"a":1}', b'{"b":"x"}', b"{}", b"[]", b"", b" ", b'{"a":', b"\xff", b'{"a":1e400}', b'{"a":{}}'])
)


@given(lines=LINES, end=st.sampled_from([b"", b"\n", b"\r\n"]))
def test_every_way_of_reading_sees_the_same_rows(lines: list[bytes], end: bytes) -> None:
    source = _source(b"\n".join(lines) + end)
    rows, records = _rows(source), _records(source)
    assert len(rows) == len([line for line in lines if line.strip()])
    assert [{} if isinstance(row, BadRow) else row for row in rows] == [json.loads(record) for record in records]
    schema, _ = source.schema()
    assert sum(batch.num_rows for batch in source.batches(schema)) == len(rows)
    assert schema.names == source.column_names()


@given(
    lines=st.lists(st.sampled_from(["", " ", "{}", '{"a": 1}', " {}", "bad", "\r"]), max_size=40),
    recorded=st.one_of(st.sets(st.integers(0, 40)), st.integers(0, 40).map(lambda end: set(range(end)))),
    limit=st.none() | st.integers(0, 40),
    piece=st.integers(1, 60),
)
def test_rows_left_are_those_of_a_full_pass_without_the_recorded(
    lines: list[str], recorded: set[int], limit: int | None, piece: int
) -> None:
    source = _source("\n".join(lines).encode())
    every: list[tuple[int, Any]] = list(enumerate(_rows(source)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("modelcall.formats.lines.CHUNK_BYTES", piece)
        left = source.rows_left(None, recorded=Recorded(recorded), chunk_rows=3, limit=limit)
        assert list(itertools.chain.from_iterable(left)) == [
            (index, row) for index, row in every[:limit] if index not in recorded
        ]
    assert source.row_count == len(every[:limit])


@given(
    lines=st.lists(
        st.sampled_from(["", "{}", '{"a": 1}', '{"a": 1.5}', '{"b": null}', '{"b": [1]}', "bad"]), max_size=12
    ),
    recorded=st.sets(st.integers(0, 12), max_size=3),
    limit=st.none() | st.integers(0, 12),
    chunk_rows=st.integers(1, 4),
)
def test_types_are_those_of_all_rows_whatever_was_read_before(
    lines: list[str], recorded: set[int], limit: int | None, chunk_rows: int
) -> None:
    data = "\n".join(lines).encode()
    source = _source(data)
    list(source.rows_left(["a"], recorded=Recorded(recorded), chunk_rows=chunk_rows, limit=limit))
    assert source.schema() == _source(data).schema()


ODD_LINES = [
    '{"a": 1, "b": "x"}',
    '{"a": -0, "b": "\\ud83d\\ude00"}',
    '{"a": 18446744073709551615}',
    '{"a": 18446744073709551616}',
    '{"a": 1.5e300}',
    '{"a": 1, "a": 1}',
    '{"b": "y", "c": 1' + "0" * 400 + "}",
    '{"b": {"x": 1}}',
    '{"a": 1, "a": 2}',
    '{"b": "\\ud800"}',
    '{"a": NaN}',
    '{"a": ' + "[" * 300 + "]" * 300 + "}",
    "bad",
]


@given(lines=st.lists(st.sampled_from(ODD_LINES), max_size=6), is_read=st.booleans())
def test_what_is_published_is_what_was_read_whatever_is_known_by_then(lines: list[str], is_read: bool) -> None:
    source = _source("\n".join(lines).encode())
    rows = [
        row if isinstance(row, dict) else {}
        for row in (_rows(source) if is_read else _rows(_source("\n".join(lines).encode())))
    ]
    schema, texts = source.schema()
    table = pa.Table.from_batches(source.batches(schema), schema)
    assert [{name: row.get(name) for name in schema.names if name not in texts} for row in rows] == (
        table.drop_columns(texts).to_pylist() if len(texts) < len(schema) else [{}] * len(rows)
    )
    assert list(itertools.chain.from_iterable(source.records(None))) == [
        line.encode() if row else b"{}" for line, row in zip(lines, rows, strict=True)
    ]


def test_a_file_whose_rows_were_all_read_is_not_read_again_for_its_types() -> None:
    opened: list[int] = []

    def opener() -> io.BytesIO:
        opened.append(1)
        return io.BytesIO(b'{"a": 1}\n{"a": 2}\nbad\n')

    source = JsonlSource(opener, name="a.jsonl")
    assert len(_rows(source, ["a"])) == 3
    assert source.schema()[0] == pa.schema([("a", pa.int64())])
    assert source.column_names() == ["a"]
    assert len(opened) == 1


def test_rows_to_expect_follow_from_the_length_of_those_that_were_read() -> None:
    data = b"".join(b'{"a": %06d}\n' % number for number in range(100_000, 101_000))
    source = _source(data)
    assert source.expected_rows(len(data)) is None
    next(source.rows(None, chunk_rows=10))
    assert source.expected_rows(len(data)) == 1000
    assert source.expected_rows(10 * len(data)) == 10_000
    assert len(_rows(source)) == source.expected_rows(0) == 1000, "never fewer than were seen"


def test_of_compressed_rows_there_is_no_telling() -> None:
    source = _source(gzip.compress(b'{"a": 1}\n' * 100), name="a.jsonl.gz")
    next(source.rows(None, chunk_rows=10))
    assert source.expected_rows(1000) is None
