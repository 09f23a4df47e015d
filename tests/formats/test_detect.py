from __future__ import annotations

from typing import Any, Literal

import pytest

from modelcall.errors import ConfigError, FileFailure
from modelcall.formats.detect import FileType, compression_of, content_of, file_type, is_data_file, output_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x/a.jsonl", FileType("jsonl", None, "x/a")),
        ("a.ndjson", FileType("jsonl", None, "a")),
        ("a.json", FileType("jsonl", None, "a")),
        ("a.b.JSONL.GZ", FileType("jsonl", "gzip", "a.b")),
        ("a.jsonl.zst", FileType("jsonl", "zstd", "a")),
        ("part-0.zstd.parquet", FileType("parquet", None, "part-0.zstd")),
        ("a.pq", FileType("parquet", None, "a")),
    ],
)
def test_the_suffix_tells(name: str, expected: FileType) -> None:
    assert file_type(name) == expected
    assert is_data_file(name)


@pytest.mark.parametrize("name", ["a", "a.txt", "a.gz", "jsonl", "a.jsonl.bz2", "a.jsonl/b", ""])
def test_other_names_are_no_data(name: str) -> None:
    assert not is_data_file(name)
    with pytest.raises(ConfigError, match="no data file"):
        file_type(name)


def test_packed_parquet_is_refused_with_a_reason() -> None:
    with pytest.raises(ConfigError, match="cannot be read through gzip"):
        file_type("a.parquet.gz")


@pytest.mark.parametrize(
    ("name", "output", "expected"),
    [
        ("x/a.jsonl.gz", "parquet", "x/a.parquet"),
        ("x/a.jsonl.gz", "jsonl", "x/a.jsonl"),
        ("x/a.jsonl.gz", "same", "x/a.jsonl"),
        ("a.ndjson.zst", "same", "a.jsonl"),
        ("a.pq", "same", "a.parquet"),
        ("a.parquet", "jsonl", "a.jsonl"),
        ("a.v1.parquet", "parquet", "a.v1.parquet"),
    ],
)
def test_output_names(name: str, output: Literal["jsonl", "parquet", "same"], expected: str) -> None:
    assert output_name(name, output) == expected


def test_first_bytes_tell() -> None:
    heads = {b"PAR1\0\0": "Parquet", b"\x1f\x8b\x08": "gzip", b"\xff\xfe{\0": "UTF-16 text", b'{"a": ': None, b"": None}
    assert {head: content_of(head) for head in heads} == heads


@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        ("a.jsonl", b'{"a":1', None),
        ("a.jsonl", b"", None),
        ("a.jsonl", b"\x1f\x8b\x08\0\0\0", "gzip"),
        ("a.jsonl.gz", b"\x28\xb5\x2f\xfd\0\0", "zstd"),
    ],
)
def test_content_decides_the_compression(name: str, head: bytes, expected: Any) -> None:
    assert compression_of(head, name=name) == expected


@pytest.mark.parametrize(
    ("name", "head", "reason"),
    [
        ("a.jsonl", b"PAR1\0\0", "named as JSON Lines, but its content is Parquet"),
        ("a.jsonl.gz", b"PAR1\0\0", "named as gzip, but its content is Parquet"),
        ("a.jsonl.gz", b'{"a":1', "named as gzip, but its content is not"),
        ("a.jsonl.zst", b"", "named as zstd, but its content is empty"),
        ("a.jsonl", b"PK\x03\x04\0\0", "a zip archive"),
        ("a.jsonl", b"BZh91A", "bzip2"),
    ],
)
def test_content_that_betrays_its_name_is_refused(name: str, head: bytes, reason: str) -> None:
    with pytest.raises(FileFailure, match=reason) as raised:
        compression_of(head, name=name)
    assert raised.value.message.startswith(f"{name}: ")
