from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelcall.formats.promote import promoted
from modelcall.formats.values import python_values
from tests.formats.arrow_tables import SCALARS, array

if TYPE_CHECKING:
    from collections.abc import Callable

REFUSED = None
X_INT = pa.struct([("x", pa.int32())])


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (pa.int32(), pa.int32(), pa.int32()),
        (pa.int32(), pa.int64(), pa.int64()),
        (pa.uint8(), pa.uint32(), pa.uint32()),
        (pa.uint8(), pa.int16(), pa.int16()),
        (pa.uint16(), pa.int16(), pa.int32()),
        (pa.uint32(), pa.int8(), pa.int64()),
        (pa.uint64(), pa.int64(), REFUSED),
        (pa.float32(), pa.float64(), pa.float64()),
        (pa.float16(), pa.float32(), pa.float32()),
        (pa.int32(), pa.float32(), pa.float64()),
        (pa.int64(), pa.float64(), REFUSED),
        (pa.bool_(), pa.int8(), REFUSED),
        (pa.null(), X_INT, X_INT),
        (pa.string(), pa.large_string(), pa.large_string()),
        (pa.string(), pa.string_view(), pa.large_string()),
        (pa.string(), pa.binary(), REFUSED),
        (pa.string(), pa.int64(), REFUSED),
        (pa.binary(), pa.large_binary(), pa.large_binary()),
        (pa.binary(3), pa.binary(4), REFUSED),
        (pa.decimal128(9, 2), pa.decimal128(12, 1), pa.decimal128(13, 2)),
        (pa.decimal32(7, 2), pa.decimal64(17, 3), pa.decimal64(17, 3)),
        (pa.decimal128(38, 0), pa.decimal128(9, 2), pa.decimal256(40, 2)),
        (pa.decimal256(76, 0), pa.decimal128(9, 2), REFUSED),
        (pa.timestamp("us"), pa.timestamp("ns"), REFUSED),
        (pa.timestamp("us", "UTC"), pa.timestamp("us"), REFUSED),
        (pa.date32(), pa.timestamp("us"), REFUSED),
        (pa.list_(pa.int8()), pa.large_list(pa.int32()), pa.large_list(pa.int32())),
        (pa.list_(pa.int8(), 2), pa.list_(pa.int16(), 2), pa.list_(pa.int16(), 2)),
        (pa.list_(pa.int8(), 2), pa.list_(pa.int8(), 3), pa.list_(pa.int8())),
        (pa.list_(pa.null()), pa.list_(pa.string()), pa.list_(pa.string())),
        (pa.list_(pa.int8()), pa.list_(pa.string()), REFUSED),
        (X_INT, pa.struct([("y", pa.string())]), pa.struct([("x", pa.int32()), ("y", pa.string())])),
        (X_INT, pa.struct([("x", pa.string())]), REFUSED),
        (X_INT, pa.map_(pa.string(), pa.int32()), REFUSED),
        (pa.map_(pa.string(), pa.int8()), pa.map_(pa.string(), pa.int16()), pa.map_(pa.string(), pa.int16())),
        (pa.dictionary(pa.int8(), pa.string()), pa.string(), pa.string()),
        (pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int16(), pa.string()), pa.string()),
        (pa.dictionary(pa.int8(), pa.string()), pa.int8(), REFUSED),
        (pa.uuid(), pa.binary(16), REFUSED),
        (pa.uuid(), pa.null(), pa.uuid()),
    ],
)
def test_the_type_of_two(one: pa.DataType, other: pa.DataType, expected: pa.DataType | None) -> None:
    assert promoted(one, other) == expected
    assert (promoted(other, one) is None) == (expected is None)


def test_a_field_that_one_side_lacks_may_be_null() -> None:
    required = pa.struct([pa.field("x", pa.int8(), nullable=False)])
    both = promoted(required, pa.struct([pa.field("y", pa.int8(), nullable=False)]))
    assert both is not None
    assert [both.field(name).nullable for name in ("x", "y")] == [True, True]


PAIRS = [(one, other) for one in SCALARS for other in SCALARS if promoted(one, other) not in {None, one}]
Made = tuple[pa.DataType, pa.DataType, st.SearchStrategy[Any]]
Wrap: TypeAlias = "Callable[[Made], Made]"
WRAPPED: list[Wrap] = [
    lambda made: made,
    lambda made: (pa.list_(made[0]), pa.large_list(made[1]), st.lists(st.none() | made[2], max_size=3)),
    lambda made: (pa.list_(made[0], 1), pa.list_(made[1]), st.lists(st.none() | made[2], min_size=1, max_size=1)),
    lambda made: (
        pa.struct([("a", made[0])]),
        pa.struct([("b", pa.int8()), ("a", made[1])]),
        st.fixed_dictionaries({"a": st.none() | made[2]}),
    ),
    lambda made: (
        pa.map_(pa.string(), made[0]),
        pa.map_(pa.large_string(), made[1]),
        st.lists(st.tuples(st.text(max_size=2), st.none() | made[2]), max_size=2),
    ),
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pair=st.sampled_from(PAIRS), inner=st.sampled_from(WRAPPED), outer=st.sampled_from(WRAPPED), data=st.data())
def test_nothing_is_lost(
    pair: tuple[pa.DataType, pa.DataType],
    inner: Callable[[Made], Made],
    outer: Callable[[Made], Made],
    data: st.DataObject,
) -> None:
    one, other, values = outer(inner((*pair, SCALARS[pair[0]])))
    kind = promoted(one, other)
    if kind is None:
        assert pa.types.is_dictionary(pair[0]) or pa.types.is_dictionary(pair[1])
        return
    before = array(data.draw(st.lists(st.none() | values, max_size=4)), one)
    try:
        after = before.cast(kind)
    except pa.ArrowNotImplementedError:
        return  # the unifier tries it, and refuses
    assert kind == promoted(kind, one)
    assert alike(python_values(after), python_values(before))


def alike(after: Any, before: Any) -> bool:
    """Equal, NaN equal to itself; an object may have got fields that are null."""
    if isinstance(before, dict):
        return all(alike(value, before.get(name)) for name, value in after.items()) and before.keys() <= after.keys()
    if isinstance(before, list | tuple):
        return len(after) == len(before) and all(map(alike, after, before))
    return bool(after == before or (after != after and before != before))  # noqa: PLR0124  NaN


SAMPLES: dict[pa.DataType, list[Any]] = {
    pa.int8(): [-128, 127],
    pa.int32(): [-(2**31), 2**31 - 1],
    pa.int64(): [-(2**63), 2**63 - 1],
    pa.uint8(): [0, 255],
    pa.uint32(): [0, 2**32 - 1],
    pa.uint64(): [0, 2**64 - 1],
    pa.float16(): [-65504.0, 6e-8],
    pa.float32(): [3.4028234663852886e38, 1e-45],
    pa.float64(): [0.1, -1.7976931348623157e308],
}


@pytest.mark.parametrize("one", SAMPLES, ids=str)
@pytest.mark.parametrize("other", SAMPLES, ids=str)
def test_the_ends_of_every_number_type_are_kept(one: pa.DataType, other: pa.DataType) -> None:
    kind = promoted(one, other)
    if kind is not None:
        numbers = pa.array([*SAMPLES[one], None], one)
        assert numbers.cast(kind).to_pylist() == numbers.to_pylist()
