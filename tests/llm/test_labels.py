"""The names of attempts on the wire: UUIDs that read as request and number."""

from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from modelcall.llm.labels import label, stem


@given(st.text(), st.integers(1, 10**6))
def test_a_label_is_a_uuid_in_its_usual_form_whatever_the_request_is_called(request_id: str, attempt: int) -> None:
    name = label(request_id, attempt)
    assert str(UUID(name)) == name
    assert (UUID(name).version, UUID(name).variant) == (8, RFC_4122)


@given(st.text(), st.integers(1, 10**6))
def test_its_parts_are_the_stem_of_the_request_and_the_number_of_the_attempt(request_id: str, attempt: int) -> None:
    head, _, number = label(request_id, attempt).rpartition("-")
    assert (head, int(number)) == (stem(request_id), attempt)


def test_requests_are_told_apart_and_keep_their_stem() -> None:
    assert len({stem(str(number)) for number in range(10_000)}) == 10_000
    assert stem("r1") == "b5ca3a2e-f083-8125-8975"
