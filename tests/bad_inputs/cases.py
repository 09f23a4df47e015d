"""Bad inputs as bytes, and what each must come to."""

from __future__ import annotations

import gzip
import io
import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

GOOD = {"id": 1, "text": "good"}
LINE = json.dumps(GOOD).encode()


@dataclass(frozen=True, slots=True)
class Bad:
    """A row that cannot be read, with this in its reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Case:
    """A file and its verdict: one of ``rows``, ``refused`` and ``failed``."""

    name: str
    file: str
    data: bytes
    rows: tuple[dict[str, Any] | Bad, ...] | None = None
    """Input columns of the output, row by row."""
    refused: str | None = None
    """No start: exit 2 with this in the message."""
    failed: str | None = None
    """The file fails while the others go on: exit 3."""


def _lines(*lines: bytes) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def _around(line: bytes) -> bytes:
    """The line between two good ones."""
    return _lines(LINE, line, LINE)


def _bad_line(name: str, line: bytes, reason: str) -> Case:
    return Case(name, "x.jsonl", _around(line), (GOOD, Bad(f"x.jsonl: line 2: {reason}"), GOOD))


def _good_line(name: str, line: bytes, row: dict[str, Any]) -> Case:
    full = {**dict.fromkeys(row), **GOOD}
    return Case(name, "x.jsonl", _around(line), (full, row, full))


def _text(text: str) -> dict[str, Any]:
    return {"id": 2, "text": text}


def _row(text: str) -> bytes:
    return json.dumps(_text(text), ensure_ascii=False).encode()


def zstd(data: bytes) -> bytes:
    """One frame."""
    return bytes(pa.Codec("zstd").compress(data))


def parquet(table: pa.Table, **options: Any) -> bytes:
    """A file of the table."""
    target = io.BytesIO()
    pq.write_table(table, target, **options)
    return target.getvalue()


def _no_groups() -> bytes:
    target = io.BytesIO()
    pq.ParquetWriter(target, pa.schema([("text", pa.string()), ("id", pa.int8())])).close()
    return target.getvalue()


def _flipped(data: bytes, old: bytes) -> bytes:
    at = data.index(old)
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


TABLE = pa.table({"text": ["one", "two"], "id": [1, 2]})
ROWS = ({"text": "one", "id": 1}, {"text": "two", "id": 2})
PARQUET = parquet(TABLE)
CHECKED = parquet(TABLE, compression="none", write_page_checksum=True, use_dictionary=False, write_statistics=False)
THREE = (GOOD, GOOD, GOOD)
DOUBLED = pa.Table.from_arrays([pa.array(["a"]), pa.array([1]), pa.array([2])], ["text", "id", "id"])

JSONL = (
    Case("empty file", "x.jsonl", b"", ()),
    Case("blank lines only", "x.jsonl", b"\n \t\n\r\n", ()),
    Case("blank lines between", "x.jsonl", b"\n" + LINE + b"\n\n \n" + LINE + b"\n\n" + LINE + b"\n\n", THREE),
    Case("CRLF", "x.jsonl", b"\r\n".join([LINE, LINE, LINE, b""]), THREE),
    Case("byte order mark", "x.jsonl", b"\xef\xbb\xbf" + _lines(LINE, LINE, LINE), THREE),
    Case("UTF-16", "x.jsonl", b"\xff\xfe" + LINE.decode().encode("utf-16-le"), refused="content is UTF-16 text"),
    _bad_line("byte order mark in the middle", b"\xef\xbb\xbf" + LINE, "not JSON"),
    _bad_line("invalid UTF-8", b'{"id": 2, "text": "\xff\xfe"}', "invalid UTF-8 at byte 19"),
    _bad_line("cut UTF-8", b'{"id": 2, "text": "\xe4\xb8"}', "invalid UTF-8 at byte 19"),
    _bad_line("overlong UTF-8", b'{"id": 2, "text": "\xc0\x80"}', "invalid UTF-8"),
    _bad_line("NUL in a string", b'{"id": 2, "text": "a\0b"}', "not JSON: Invalid control character"),
    _bad_line("NULs", b"\0" * 20, "not JSON"),
    _good_line("NUL, escaped", b'{"id": 2, "text": "a\\u0000b"}', _text("a\0b")),
    _good_line("line separators", _row("a\u2028b\u2029c\x85d"), _text("a\u2028b\u2029c\x85d")),
    _good_line("other separators, escaped", b'{"id": 2, "text": "\\u000b\\u000c\\u001c"}', _text("\x0b\x0c\x1c")),
    _bad_line("carriage returns between", LINE + b"\r" + LINE, "not JSON"),
    Case("last line cut", "x.jsonl", _lines(LINE, LINE) + LINE[:-5], (GOOD, GOOD, Bad("x.jsonl: line 3: not JSON"))),
    Case("last line without its end", "x.jsonl", _lines(LINE, LINE) + LINE, THREE),
    _bad_line("array", b"[1, 2]", "a JSON object is expected, not an array"),
    _bad_line("text", b'"text"', "a JSON object is expected, not a string"),
    _bad_line("number", b"12", "a JSON object is expected, not a number"),
    _bad_line("null", b"null", "a JSON object is expected, not null"),
    _bad_line("two objects", LINE + LINE, "not JSON"),
    _bad_line("NaN", b'{"id": NaN, "text": "x"}', "NaN is no JSON number"),
    _bad_line("Infinity", b'{"id": -Infinity, "text": "x"}', "-Infinity is no JSON number"),
    _bad_line("beyond a double", b'{"id": 1e999, "text": "x"}', "number 1e999 is beyond a double"),
    _bad_line("key twice", b'{"id": 2, "text": "a", "text": "b"}', "key 'text' is given twice with different values"),
    _bad_line("key twice, inside", b'{"id": 2, "text": "a", "o": {"k": 1, "k": 2}}', "key 'k' is given twice"),
    _good_line("key twice, the same", b'{"id": 2, "text": "a", "text": "a"}', _text("a")),
    _bad_line("lone surrogate", b'{"id": 2, "text": "\\ud800"}', "a lone surrogate"),
    _good_line("surrogate pair", b'{"id": 2, "text": "\\ud83d\\ude00"}', _text("\U0001f600")),
    _bad_line("too deep", b'{"id": 2, "text": "a", "d": %s}' % (b"[" * 300 + b"]" * 300), "nested more than 256 deep"),
    _bad_line("deep beyond a stack", b"[" * 200_000, "nested more than 256 deep"),
    _bad_line("digits without end", b'{"id": %s, "text": "x"}' % (b"9" * 5000), "Exceeds the limit"),
    _bad_line("single quotes", b"{'id': 2, 'text': 'x'}", "not JSON"),
    _bad_line("trailing comma", b'{"id": 2, "text": "x",}', "not JSON"),
    Case(
        "integers beyond 64 bit",
        "x.jsonl",
        _lines(LINE, b'{"id": 18446744073709551617, "text": "big"}'),
        ({"id": "1", "text": "good"}, {"id": "18446744073709551617", "text": "big"}),
    ),
    Case(
        "Parquet by the name of JSON Lines", "x.jsonl", PARQUET, refused="named as JSON Lines, but its content is Parq"
    ),
    Case("zip by the name of JSON Lines", "x.jsonl", b"PK\x03\x04" + bytes(30), refused="its content is a zip archive"),
    Case("JSON document", "x.json", json.dumps([GOOD], indent=1).encode(), tuple([Bad("x.json: line ")] * 6)),
)

COMPRESSED = (
    Case(
        "gzip, two members", "x.jsonl.gz", gzip.compress(LINE + b"\n" + LINE[:9]) + gzip.compress(LINE[9:]), (GOOD,) * 2
    ),
    Case("zstd, two frames", "x.jsonl.zst", zstd(LINE + b"\n" + LINE[:9]) + zstd(LINE[9:]), (GOOD,) * 2),
    Case("gzip without its suffix", "x.jsonl", gzip.compress(_lines(LINE)), (GOOD,)),
    Case("zstd by the name of gzip", "x.jsonl.gz", zstd(_lines(LINE)), (GOOD,)),
    Case("plain text by the name of gzip", "x.jsonl.gz", _lines(LINE), refused="named as gzip, but its content is not"),
    Case("empty by the name of gzip", "x.jsonl.gz", b"", refused="named as gzip, but its content is empty"),
    Case("empty by the name of zstd", "x.jsonl.zst", b"", refused="named as zstd, but its content is empty"),
    Case("gzip of nothing", "x.jsonl.gz", gzip.compress(b""), ()),
    Case(
        "gzip with rubbish behind it", "x.jsonl.gz", gzip.compress(_lines(LINE)) + b"rubbish", refused="cannot be read"
    ),
    Case(
        "gzip with a wrong checksum",
        "x.jsonl.gz",
        gzip.compress(LINE)[:-8] + bytes(8),
        refused="cannot be read",
    ),
    Case(
        "packed Parquet", "x.parquet.gz", gzip.compress(PARQUET), refused="a Parquet file cannot be read through gzip"
    ),
    Case(
        "packed Parquet by the name of JSON Lines", "x.jsonl.gz", gzip.compress(PARQUET), refused="content is Parquet"
    ),
)

ODD_NAMES = pa.table({"text": ["a"], "": [1], "a.b": [2], "a": [{"b": 3}], "行": [4], " x ": [5], "`*`": [6]})

PARQUETS = (
    Case("no rows", "x.parquet", parquet(TABLE.slice(0, 0)), ()),
    Case("no row groups", "x.parquet", _no_groups(), ()),
    Case("empty file", "x.parquet", b"", refused="named as Parquet, but its content is empty"),
    Case(
        "JSON Lines by the name of Parquet",
        "x.parquet",
        _lines(LINE),
        refused="named as Parquet, but its content is not",
    ),
    Case("gzip by the name of Parquet", "x.parquet", gzip.compress(PARQUET), refused="its content is gzip"),
    Case("cut", "x.parquet", PARQUET[:-20], refused="cannot be read"),
    Case("footer gone", "x.parquet", PARQUET[:-8] + bytes(4) + b"PAR1", refused="cannot be read"),
    Case("footer flipped", "x.parquet", PARQUET[:-60] + bytes(40) + PARQUET[-20:], refused="cannot be read"),
    Case(
        "values flipped",
        "x.parquet",
        _flipped(CHECKED, b"one"),
        failed="cannot be read: could not verify page integrity",
    ),
    Case("columns of one name", "x.parquet", parquet(DOUBLED), refused="more than one column is named 'id'"),
    Case(
        "a result column",
        "x.parquet",
        parquet(TABLE.append_column("score", [[1, 2]])),
        refused="has the column(s) score",
    ),
    Case(
        "a bookkeeping column", "x.parquet", parquet(TABLE.append_column("api_status", [[1, 2]])), refused="api_status"
    ),
    Case("odd column names", "x.parquet", parquet(ODD_NAMES), tuple(ODD_NAMES.to_pylist())),
    Case(
        "nulls first",
        "x.parquet",
        parquet(pa.table({"text": [None] * 30 + ["a"], "id": [None] * 30 + [1]}), row_group_size=10),
        (*[Bad("text")] * 30, {"text": "a", "id": 1}),
    ),
    Case("text that is null throughout", "x.parquet", parquet(pa.table({"text": pa.nulls(2)})), (Bad("text"),) * 2),
    Case("text of numbers", "x.parquet", parquet(pa.table({"text": [1, 2]})), (Bad("text"),) * 2),
    Case(
        "text that is no UTF-8",
        "x.parquet",
        parquet(pa.table({"text": pa.array([b"a", b"\xff"]).view(pa.string())})),
        ({"text": "a"}, Bad("x.parquet: row 1: column text")),
    ),
    *(
        Case(f"text as {kind}", "x.parquet", parquet(TABLE.set_column(0, "text", TABLE["text"].cast(kind))), ROWS)
        for kind in (pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string()))
    ),
)

CASES = {
    f"{kind}: {case.name}": case
    for kind, cases in {"jsonl": JSONL, "compressed": COMPRESSED, "parquet": PARQUETS}.items()
    for case in cases
}
