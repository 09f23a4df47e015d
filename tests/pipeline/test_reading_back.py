"""Outcomes, published, read back and published again: equal outcomes, an equal output."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelcall.pipeline.reading_back import read_back
from modelcall.pipeline.settle import settle_columns
from modelcall.types import (
    BOOL,
    FLOAT,
    INT,
    JSON,
    STRING,
    STRING_LIST,
    Columns,
    ColumnType,
    ErrorType,
    Outcome,
    Permit,
    RowRef,
    Usage,
)
from tests.pipeline.harness import SETTINGS, Bench, FakeJudge

COLUMNS: Columns = {
    "score": INT,
    "share": FLOAT,
    "good": BOOL,
    "note": STRING,
    "tags": STRING_LIST,
    "free": JSON,
    "parts": ColumnType("struct", fields=(("a", INT), ("b", STRING_LIST))),
    "pairs": ColumnType("list", items=ColumnType("struct", fields=(("x", FLOAT),))),
}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
INTS = st.integers(-(2**63), 2**63 - 1)
ANY = st.recursive(
    st.none() | st.booleans() | INTS | FINITE | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
TYPED = st.fixed_dictionaries(
    {
        "score": st.none() | INTS,
        "share": st.none() | FINITE,
        "good": st.none() | st.booleans(),
        "note": st.none() | TEXT,
        "tags": st.none() | st.lists(st.none() | TEXT, max_size=3),
        "free": st.none() | ANY.map(json.dumps),
        "parts": st.none()
        | st.fixed_dictionaries({"a": st.none() | INTS, "b": st.none() | st.lists(TEXT, max_size=2)}),
        "pairs": st.none() | st.lists(st.fixed_dictionaries({"x": FINITE}), max_size=2),
    }
)
SETTLED = st.dictionaries(st.sampled_from(["n", "s", "mixed", "deep"]), ANY, max_size=4)
USAGE = st.none() | st.builds(Usage, *[st.none() | st.integers(0, 10**9)] * 4).filter(lambda usage: usage != Usage())
OTHERS: Mapping[str, Any] = {
    "raw": st.none() | TEXT,
    "attempts": st.integers(0, 9),
    "model": st.none() | TEXT,
    "finish_reason": st.none() | TEXT,
    "usage": USAGE,
}
FAILED = st.builds(Outcome, error_type=st.sampled_from(ErrorType), fail_reason=st.none() | TEXT, **OTHERS)


def outcomes(values: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[list[Outcome]]:
    return st.lists(st.builds(Outcome, values=values, **OTHERS) | FAILED, min_size=1, max_size=12)


async def published(
    folder: Path, made: list[Outcome], columns: Columns | None, output_format: str, *, drop: bool
) -> Bench:
    def act(ref: RowRef, permit: Permit) -> Outcome:
        del permit
        return made[ref.row_index]

    folder.mkdir()
    bench = Bench(folder, output_format=output_format)
    bench.jsonl("a.jsonl", [f"text {row}" for row in range(len(made))])
    run = SETTINGS if not drop else type(SETTINGS)(max_concurrent_files=1, chunk_rows=5, drop_failed=True)
    await bench.start(FakeJudge(act=act, columns=columns), settings=run, prefix="p_")
    return bench


def back(bench: Bench) -> list[Outcome]:
    to = bench.run_of().to
    [name] = [path.name for path in bench.output.iterdir() if path.is_file()]
    entry = to.manifest.get(name)
    assert entry is not None
    rows = list(read_back(to, entry))
    assert [row for row, _ in rows] == list(range(entry.rows))
    return [outcome for _, outcome in rows]


def files(bench: Bench) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in bench.output.iterdir() if path.is_file()}


SLOW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("output_format", ["parquet", "jsonl"])
@given(made=outcomes(TYPED))
@SLOW
async def test_outcomes_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, made: list[Outcome], output_format: str, drop: bool
) -> None:
    folder = tmp_path_factory.mktemp("x")
    bench = await published(folder / "first", made, COLUMNS, output_format, drop=drop)
    assert back(bench) == made
    assert bench.verify().problems == []


@pytest.mark.parametrize("output_format", ["parquet", "jsonl"])
@given(made=outcomes(SETTLED))
@SLOW
async def test_columns_that_were_settled_are_settled_again_to_the_same(
    tmp_path_factory: pytest.TempPathFactory, made: list[Outcome], output_format: str
) -> None:
    folder = tmp_path_factory.mktemp("x")
    first = await published(folder / "first", made, None, output_format, drop=False)
    again = back(first)
    assert dict(settle_columns(again)) == dict(settle_columns(made))
    second = await published(folder / "second", again, None, output_format, drop=False)
    assert files(second) == files(first)
    assert back(second) == again
