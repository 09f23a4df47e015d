"""Streams of remote files: what they return, and what they fetch for it."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelcall.fs import ranges
from modelcall.fs.ranges import RangeReader

DATA = random.Random(3).randbytes(20_000)
POOL = ThreadPoolExecutor(2)


class Far:
    """A remote file that counts."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def fetch(self, begin: int, end: int) -> bytes:
        self.asked.append((begin, end))
        return DATA[begin:end]

    def reader(self) -> RangeReader:
        return RangeReader(self.fetch, size=len(DATA), pool=POOL)


@pytest.fixture(autouse=True)
def _nothing_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "SMALL_BYTES", 100)
    monkeypatch.setattr(ranges, "AHEAD_BYTES", 4000)


READS = st.lists(st.tuples(st.integers(0, len(DATA) + 10), st.integers(0, 5000)), max_size=30)


@settings(deadline=None)
@given(reads=READS, cuts=st.sets(st.integers(1, len(DATA) - 1), max_size=20), expected=st.booleans())
def test_every_read_returns_what_stands_there(reads: list[tuple[int, int]], cuts: set[int], *, expected: bool) -> None:
    """Whatever was said to be read, and in whatever order it is."""
    with Far().reader() as stream:
        if expected:
            borders = [0, *sorted(cuts), len(DATA)]
            stream.expect(pairwise(borders))
        for begin, size in reads:
            stream.seek(begin)
            assert stream.read(size) == DATA[begin : begin + size]
            assert stream.tell() == begin + len(DATA[begin : begin + size])


def test_what_is_expected_is_fetched_once_and_nothing_else() -> None:
    far = Far()
    pieces = [(start, start + 1000) for start in range(2000, 18_000, 1000)]
    with far.reader() as stream:
        stream.expect(pieces)
        for begin, end in pieces:
            for start in range(begin, end, 300):
                stream.seek(start)
                assert stream.read(min(300, end - start)) == DATA[start : min(start + 300, end)]
    assert sorted(far.asked) == pieces


def test_no_more_is_fetched_ahead_than_is_held() -> None:
    far = Far()
    with far.reader() as stream:
        stream.expect((start, start + 1000) for start in range(0, 20_000, 1000))
        stream.read(10)
        POOL.submit(int).result()
    assert len(far.asked) <= 5


def test_what_was_read_before_it_came_is_not_fetched_again() -> None:
    """Columns side by side, more of them than are fetched ahead."""
    far = Far()
    pieces = [(start, start + 1000) for start in range(0, 20_000, 1000)]
    with far.reader() as stream:
        stream.expect(pieces)
        for step in (0, 500):
            for begin, _ in pieces:
                stream.seek(begin + step)
                assert stream.read(500) == DATA[begin + step : begin + step + 500]
    assert sum(end - begin for begin, end in far.asked) == len(DATA)


def test_a_small_file_is_fetched_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "SMALL_BYTES", len(DATA))
    far = Far()
    with far.reader() as stream:
        stream.seek(-8, 2)
        assert stream.read(4) == DATA[-8:-4]
        stream.expect([(0, 100)])
        stream.seek(0)
        assert stream.read() == DATA
    assert far.asked == [(0, len(DATA))]


def test_an_error_of_what_is_fetched_ahead_comes_with_its_read() -> None:
    def fetch(begin: int, end: int) -> bytes:
        if begin >= 5000:
            raise OSError(5, "gone")
        return DATA[begin:end]

    with RangeReader(fetch, size=len(DATA), pool=POOL) as stream:
        stream.expect([(4000, 5000), (5000, 6000)])
        stream.seek(4000)
        assert stream.read(1000) == DATA[4000:5000]
        with pytest.raises(OSError, match="gone"):
            stream.read(1)
