from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

import pytest

from modelcall.fs.base import FileSystem
from modelcall.fs.local import LocalFileSystem
from modelcall.fs.spooled import sampled_etag


class _FailsHalfway(LocalFileSystem):
    def open(self, path: str, mode: str = "rb") -> BinaryIO:
        stream = super().open(path, mode)
        if mode == "wb":
            stream.write(b"part")
            stream.flush()
            stream.close()  # every further write fails
        return stream


def test_a_failed_copy_leaves_no_part(tmp_path: Path) -> None:
    path = str(tmp_path / "a")
    with FileSystem.sink(_FailsHalfway(), path) as sink:
        sink.write(b"data")
        with pytest.raises(ValueError, match="closed"):
            sink.commit()
    assert not Path(path).exists()


def test_large_files_wait_on_disk_and_arrive_whole(tmp_path: Path) -> None:
    data = bytes(range(256)) * (40 << 10)
    with FileSystem.sink(LocalFileSystem(), str(tmp_path / "x" / "a")) as sink:
        sink.write(data)
        sink.commit()
    assert (tmp_path / "x" / "a").read_bytes() == data


@pytest.mark.parametrize("at", [0, 65535, 300_000 - 65536, 299_999])
def test_etag_sees_changes_at_both_ends(at: int) -> None:
    data = bytearray(300_000)
    before = sampled_etag(io.BytesIO(data))
    data[at] ^= 1
    assert sampled_etag(io.BytesIO(data))[1] != before[1]
    assert before[0] == 300_000


def test_etag_sees_size() -> None:
    assert sampled_etag(io.BytesIO(bytes(200_000)))[1] != sampled_etag(io.BytesIO(bytes(200_001)))[1]


@pytest.mark.parametrize("size", [0, 1, 99, 100, 1000])
def test_a_file_not_longer_than_its_samples_is_read_whole(size: int) -> None:
    data = bytearray(size)
    etags = {sampled_etag(io.BytesIO(data), blocks=10, block_bytes=100)}
    for at in range(size):
        data[at] = 1
        etags.add(sampled_etag(io.BytesIO(data), blocks=10, block_bytes=100))
        data[at] = 0
    assert len(etags) == size + 1


@pytest.mark.parametrize(("at", "seen"), [(0, True), (99_999, True), (25_000, True), (50_000, True), (12_000, False)])
def test_samples_are_spread_over_a_large_file(at: int, seen: bool) -> None:
    data = bytearray(100_000)
    before = sampled_etag(io.BytesIO(data), blocks=5, block_bytes=100)
    data[at] = 1
    assert (sampled_etag(io.BytesIO(data), blocks=5, block_bytes=100) != before) is seen
