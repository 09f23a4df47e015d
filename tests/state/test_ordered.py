"""Records of several segments by row index, with and without sorting on disk."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcall.state import merge, ordered
from modelcall.state.frames import frame
from modelcall.state.ordered import by_row
from modelcall.state.segments import Segment

HEADER = frame(0, b'{"journal":1}')


def written(folder: Path, number: int, rows: list[int]) -> Segment:
    path = folder / f"key.{number:06d}.log"
    records = (frame(row, b"[%d,%d]" % (number, place)) for place, row in enumerate(rows))
    path.write_bytes(HEADER + b"".join(records))
    return Segment(str(path), path.stat().st_size, number)


def expected(segments: list[list[int]]) -> list[tuple[int, bytes]]:
    came = [
        (row, b"[%d,%d]" % (number, place)) for number, rows in enumerate(segments) for place, row in enumerate(rows)
    ]
    return sorted(came, key=lambda record: record[0])


@given(
    st.lists(st.lists(st.integers(0, 300), max_size=120), max_size=5),
    st.integers(1, 2000),
    st.sampled_from([200, 2000, 1 << 20]),
)
def test_records_come_by_row_and_those_of_one_row_as_they_came(
    segments: list[list[int]], block: int, memory: int
) -> None:
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordered, "BLOCK_BYTES", block)
        patch.setattr(merge, "MEMORY_BYTES", memory)
        found = [written(Path(name), number, rows) for number, rows in enumerate(segments)]
        assert list(by_row(found, name)) == expected(segments)


def test_what_came_nearly_in_order_is_not_sorted_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordered, "BLOCK_BYTES", 4000)
    monkeypatch.setattr(merge, "MEMORY_BYTES", 50_000)
    rows = sorted(range(20_000), key=lambda row: row + 37 * (row % 7))
    cut = [rows[:9000], rows[15_000:], [row for row in rows[9000:15_000] if row % 3], [9999 * 3]]
    found = [written(tmp_path, number, some) for number, some in enumerate(cut)]
    assert list(by_row(found, "/nowhere")) == expected(cut)


def test_what_is_scattered_is_sorted_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordered, "BLOCK_BYTES", 4000)
    monkeypatch.setattr(merge, "MEMORY_BYTES", 50_000)
    rows = [(row * 7919) % 20_011 for row in range(20_011)]
    found = [written(tmp_path, 0, rows)]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        list(by_row(found, "/nowhere"))
    assert list(by_row(found, str(tmp_path))) == expected([rows])


@pytest.mark.parametrize("cut", range(1, 40))
def test_damage_and_a_torn_end_cost_their_own_records_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    monkeypatch.setattr(ordered, "BLOCK_BYTES", 100)
    segment = written(tmp_path, 0, [5, 3, 4, 1, 2, 0])
    path = Path(segment.path)
    data = bytearray(path.read_bytes())
    at = len(HEADER) + len(frame(5, b"[0,0]")) + cut % (len(frame(3, b"[0,1]")) - 1)
    data[at] ^= 1
    path.write_bytes(data + frame(6, b"[0,6]")[:-cut])
    torn = Segment(segment.path, path.stat().st_size)
    assert [row for row, _ in by_row([torn], "/nowhere") if row != 3] == [0, 1, 2, 4, 5]


def test_a_segment_that_is_retired_while_it_is_read_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordered, "BLOCK_BYTES", 100)
    segment = written(tmp_path, 0, list(range(50)))
    found = by_row([segment], "/nowhere")
    assert next(found)[0] == 0
    Path(segment.path).unlink()
    with pytest.raises(FileNotFoundError):
        list(found)


def test_what_is_written_later_and_what_is_gone_does_not_count(tmp_path: Path) -> None:
    segment = written(tmp_path, 0, [1, 0])
    with Path(segment.path).open("ab") as stream:
        stream.write(frame(2, b"[]"))
    gone = Segment(str(tmp_path / "gone.log"), 100)
    assert [row for row, _ in by_row([gone, segment], "/nowhere")] == [0, 1]
