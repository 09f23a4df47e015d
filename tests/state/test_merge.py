from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcall.state import merge
from modelcall.state.merge import in_order

RECORDS = st.lists(st.tuples(st.integers(0, 500), st.binary(max_size=5).map(lambda b: b.hex().encode())), max_size=300)


def reference(records: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    return sorted(records, key=lambda record: record[0])


@given(RECORDS)
def test_records_come_by_row_and_those_of_one_row_as_they_came(records: list[tuple[int, bytes]]) -> None:
    assert list(in_order(iter(records), "/nowhere")) == reference(records)


def test_large_journals_are_sorted_through_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "MEMORY_BYTES", 100_000)
    monkeypatch.setattr(merge, "FAN_IN", 3)
    records = [((row * 7919) % 20_011, b"%d" % row) for row in range(30_000)]
    most = 0
    for got, expected in zip(in_order(iter(records), str(tmp_path)), reference(records), strict=True):
        assert got == expected
        most = max(most, len(list(Path("/proc/self/fd").iterdir()))) if got[0] % 1000 == 0 else most
    assert most < len(list(Path("/proc/self/fd").iterdir())) + 8
    assert list(tmp_path.iterdir()) == []
