from __future__ import annotations

import gzip
import io
import itertools
import json
import tracemalloc
from functools import partial

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcall.errors import FileFailure
from modelcall.formats.lines import CHUNK_BYTES, read_lines, split_lines

PLAIN = b"".join(
    json.dumps({"id": index, "text": f"text {index * 7919 % 1009}"}).encode() + b"\n" for index in range(60)
)


def _zstd(data: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(data))


def _read(data: bytes, name: str = "a.jsonl", max_bytes: int = 1 << 20) -> list[bytes | int | None]:
    return list(read_lines(partial(io.BytesIO, data), name=name, max_bytes=max_bytes))


def _reference(data: bytes, max_bytes: int) -> list[bytes | None]:
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return [line if len(line) <= max_bytes else None for line in lines]


@given(
    data=st.lists(
        st.sampled_from([b"\n", b"\r\n", b"\r", b"a", b"{}", "\u2028".encode(), b"\0", b"\x85", b"long" * 3])
    ),
    cuts=st.lists(st.integers(0, 60)),
    max_bytes=st.integers(0, 12),
)
def test_framing_is_that_of_the_reference(data: list[bytes], cuts: list[int], max_bytes: int) -> None:
    whole = b"".join(data)
    borders = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    chunks = [whole[start:end] for start, end in itertools.pairwise(borders)]
    assert list(split_lines(chunks, max_bytes=max_bytes)) == _reference(whole, max_bytes)


def test_lines_longer_than_the_pieces_they_are_read_in() -> None:
    lines = [b"x" * (3 * CHUNK_BYTES + 5), b"y", b"z" * CHUNK_BYTES]
    assert _read(b"\n".join(lines), max_bytes=4 * CHUNK_BYTES) == lines
    assert _read(b"\n".join(lines), max_bytes=CHUNK_BYTES) == [None, b"y", lines[2]]


def test_a_byte_order_mark_is_dropped_at_the_start_only() -> None:
    assert _read(b"\xef\xbb\xbf{}\n\xef\xbb\xbf{}") == [b"{}", b"\xef\xbb\xbf{}"]


@pytest.mark.parametrize("pack", [gzip.compress, _zstd])
@pytest.mark.parametrize("members", [1, 2, 7])
def test_members_and_frames_have_no_borders(pack: object, members: int) -> None:
    assert callable(pack)
    size = len(PLAIN) // members + 1
    packed = b"".join(pack(PLAIN[start : start + size]) for start in range(0, len(PLAIN), size))
    name = "a.jsonl.gz" if pack is gzip.compress else "a.jsonl.zst"
    assert _read(packed, name) == PLAIN.splitlines()
    assert _read(packed, "a.jsonl") == PLAIN.splitlines()


@pytest.mark.parametrize(("pack", "name"), [(gzip.compress, "a.jsonl.gz"), (_zstd, "a.jsonl.zst")])
def test_compressed_input_cut_anywhere_is_an_error(pack: object, name: str) -> None:
    assert callable(pack)
    first, packed = pack(PLAIN[:1500]), pack(PLAIN[:1500]) + pack(PLAIN[1500:])
    for cut in set(range(len(packed))) - {len(first)}:
        with pytest.raises(FileFailure) as raised:
            _read(packed[:cut], name)
        assert raised.value.message.startswith(f"{name}: ")


def test_damaged_gzip_is_an_error_that_names_the_file() -> None:
    packed = bytearray(gzip.compress(PLAIN))
    packed[-6] ^= 1  # in the checksum
    with pytest.raises(FileFailure, match=r"a.jsonl.gz: cannot be read: .*incorrect data check"):
        _read(bytes(packed), "a.jsonl.gz")


def test_packed_parquet_under_a_jsonl_name_is_refused() -> None:
    with pytest.raises(FileFailure, match="its content is Parquet"):
        _read(gzip.compress(b"PAR1\0\0\0\0"), "a.jsonl.gz")


@pytest.mark.parametrize("pack", [gzip.compress, _zstd])
def test_a_bomb_is_unpacked_piece_by_piece(pack: object) -> None:
    assert callable(pack)
    packed = pack(b" " * (64 << 20))
    tracemalloc.start()
    arrow_before = pa.default_memory_pool().max_memory()
    try:
        assert _read(packed, "a.jsonl") == [None]
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
        assert pa.default_memory_pool().max_memory() - arrow_before < 8 << 20
    finally:
        tracemalloc.stop()


def test_the_stream_is_closed_even_if_the_pass_is_given_up() -> None:
    stream = io.BytesIO(b"{}\n{}\n")
    lines = read_lines(lambda: stream, name="a.jsonl", max_bytes=10)
    next(lines)
    lines.close()  # type: ignore[attr-defined]
    assert stream.closed


def test_errors_of_the_store_pass() -> None:
    def opener() -> io.BytesIO:
        raise FileNotFoundError(2, "No such file or directory", "/x/a.jsonl")

    with pytest.raises(FileNotFoundError):
        list(read_lines(opener, name="a.jsonl", max_bytes=10))
