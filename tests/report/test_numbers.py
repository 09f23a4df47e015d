from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelcall.report.numbers import FEW, Histogram, Pick, Picks

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
NUMBERS = st.one_of(FLOATS, st.integers(-(2**60), 2**60), st.floats(0, 1), st.integers(0, 5))


def filled(values: list[float], *, picks: int = 0) -> Histogram:
    histogram = Histogram(picks=picks)
    for row, value in enumerate(values):
        histogram.add(value, 1, Pick(row * 7 % 11, 0, row) if picks else None)
    return histogram


@given(st.lists(NUMBERS, max_size=300), st.integers(2, 30))
@example([*map(float, range(10)), 1e20, 0.5, 0.25, 0.125, 0.1875, 0.15625, -1.2e9], 2)
def test_bars_have_every_value_once_and_are_few(values: list[float], most: int) -> None:
    histogram = filled(values, picks=2)
    bars = histogram.bars(most)
    assert sum(bar.count for bar in bars) == histogram.count == len(values)
    assert len(bars) <= max(most, FEW)
    assert [bar.low for bar in bars] == sorted(bar.low for bar in bars)
    assert all(bool(bar.picks.rows) == (bar.count > 0) for bar in bars)


@given(st.lists(st.integers(-50, 50).map(lambda value: value / 10), min_size=1, max_size=200))
def test_a_value_is_in_the_bar_that_says_so(values: list[float]) -> None:
    for bar in filled(values).bars(20):
        if bar.low == bar.high:
            assert bar.count == values.count(bar.low)
        else:
            near = [value for value in values if bar.low - 1e-9 <= value < bar.high - 1e-9]
            assert bar.count == len(near)


def test_few_values_are_counted_one_by_one() -> None:
    bars = filled([3, 0, 5, 3.0, 3]).bars(20)
    assert [(bar.label, bar.count) for bar in bars] == [("0", 1), ("3", 3), ("5", 1)]


def test_many_values_have_decimal_edges() -> None:
    bars = filled([float(value) for value in range(101)]).bars(20)
    assert [bar.label for bar in bars[:3]] == ["0 – 10", "10 – 20", "20 – 30"]
    assert [bar.count for bar in bars] == [10] * 10 + [1]
    shares = filled([value / 1000 for value in range(1000)]).bars(20)
    assert [(bar.label, bar.count) for bar in shares[:2]] == [("0 – 0.05", 50), ("0.05 – 0.1", 50)]


def test_means_medians_and_odd_values() -> None:
    histogram = filled([1.0, 2.0, 3.0, 10.0, math.nan, math.inf])
    assert (histogram.mean, histogram.median, histogram.low, histogram.high) == (4.0, 2.0, 1.0, 10.0)
    assert (histogram.count, histogram.odd) == (4, 2)
    assert (Histogram().mean, Histogram().median, Histogram().bars(20)) == (None, None, [])


@pytest.mark.parametrize("values", [[1e308, -1e308], [5e-324, 0.0], [1e-300, 1e300]])
def test_extreme_values_are_borne(values: list[float]) -> None:
    many = values + [values[0] * (number / 40) for number in range(40)]
    assert sum(bar.count for bar in filled(many).bars(20)) == len(many)


def test_memory_does_not_grow_with_the_values() -> None:
    dice = random.Random(1)
    histogram = filled([dice.random() * 10 ** dice.randint(-5, 9) for _ in range(20_000)], picks=3)
    assert len(histogram._bins) <= 2000
    assert sum(len(bin_.picks.rows) for bin_ in histogram._bins.values()) <= 6000
    assert sum(bar.count for bar in histogram.bars(20)) == 20_000


def test_groups_share_the_bars_of_all() -> None:
    overall = filled([value / 100 for value in range(100)])
    part = filled([0.005, 0.31, 0.32, 0.99])
    bars = overall.bars(20)
    shares = part.shares(bars)
    found = {bar.label: share for bar, share in zip(bars, shares, strict=True) if share}
    assert found == {"0 – 0.05": 0.25, "0.3 – 0.35": 0.5, "0.95 – 1": 0.25}


def test_every_row_has_the_same_chance_and_the_lots_decide() -> None:
    drawn: Counter[int] = Counter()
    for seed in range(3000):
        lots, picks = random.Random(seed), Picks(3)
        for row in range(10):
            picks.add(Pick(lots.random(), 0, row))
        drawn.update(pick.row for pick in picks.rows)
    assert min(drawn.values()) > 750
    assert max(drawn.values()) < 1050
    rows = [Pick(lot, 0, row) for row, lot in enumerate((0.5, 0.1, 0.9, 0.3, 0.2))]
    for order in (rows, rows[::-1]):
        picks = Picks(2)
        picks.merge(order)
        assert [pick.row for pick in picks.in_order()] == [1, 4]
    assert Picks(0).in_order() == []
