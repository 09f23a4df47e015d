import io

from hypothesis import given
from hypothesis import strategies as st

from modelcall.state.frames import Damage, frame, parse, read_frames

PAYLOADS = st.binary(max_size=200).map(lambda data: data.replace(b"\n", b" "))
RECORDS = st.lists(st.tuples(st.integers(0, 2**40), PAYLOADS), max_size=20)


@given(RECORDS)
def test_what_is_framed_is_read_back(records: list[tuple[int, bytes]]) -> None:
    data = b"".join(frame(key, payload) for key, payload in records)
    damage = Damage()
    assert list(read_frames(io.BytesIO(data), size=len(data), damage=damage)) == records
    assert damage == Damage()


@given(RECORDS.filter(bool), st.data())
def test_a_cut_file_gives_the_frames_before_the_cut(records: list[tuple[int, bytes]], data: st.DataObject) -> None:
    whole = b"".join(frame(key, payload) for key, payload in records)
    cut = data.draw(st.integers(0, len(whole)))
    got = list(read_frames(io.BytesIO(whole[:cut]), size=cut, damage=Damage()))
    ends = [len(b"".join(frame(*record) for record in records[: n + 1])) for n in range(len(records))]
    assert got == [record for record, end in zip(records, ends, strict=True) if end <= cut]


@given(RECORDS.filter(bool), st.data())
def test_a_flipped_bit_never_makes_another_record(records: list[tuple[int, bytes]], data: st.DataObject) -> None:
    whole = bytearray(b"".join(frame(key, payload) for key, payload in records))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    got = list(read_frames(io.BytesIO(bytes(whole)), size=len(whole), damage=Damage()))
    assert all(record in records for record in got)
    assert len(got) >= len(records) - 2


def test_damage_is_counted_and_told_from_a_torn_tail() -> None:
    good = frame(1, b"{}")
    damage = Damage()
    data = good + b"00000000 2 {}\n" + good + good[:-3]
    assert list(read_frames(io.BytesIO(data), size=len(data), damage=damage)) == [(1, b"{}"), (1, b"{}")]
    assert damage == Damage(frames=1, torn_tail=True)


def test_only_the_believed_size_is_read() -> None:
    data = frame(1, b"{}") + frame(2, b"{}")
    size = len(frame(1, b"{}"))
    assert list(read_frames(io.BytesIO(data), size=size, damage=Damage())) == [(1, b"{}")]


def test_short_and_odd_lines_are_no_frames() -> None:
    assert [parse(line) for line in (b"", b"\n", b"12345678\n", b"12345678x1 {}\n", b"zzzzzzzz 1 {}\n")] == [None] * 5
