"""The names of rows on the wire: UUIDs with the number of the attempt behind them."""

from itertools import product
from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from modelcall.llm.labels import label
from modelcall.pipeline.row_ids import RowIds


@given(st.text(), st.integers(0, 2**40), st.integers(1, 10**6))
def test_an_attempt_has_a_uuid_in_its_usual_form_whatever_the_file_is_called(file: str, row: int, attempt: int) -> None:
    name = label(RowIds(file)[row], attempt)
    assert str(UUID(name)) == name
    assert (UUID(name).version, UUID(name).variant) == (8, RFC_4122)
    head, _, number = name.rpartition("-")
    assert (head, int(number)) == (RowIds(file)[row], attempt)


def test_rows_are_told_apart() -> None:
    names = {RowIds(f"part-{file}.jsonl")[row] for file, row in product(range(100), range(1000))}
    assert len(names) == 100_000


def test_a_row_has_the_same_name_in_every_start() -> None:
    assert RowIds("a/b.jsonl.gz")[258] == "a2b9b4c1-3a32-8233-84fc"
    assert RowIds("\udce4.jsonl")[0] != RowIds("\udce5.jsonl")[0]
