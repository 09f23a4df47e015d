from __future__ import annotations

import asyncio
import enum
import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from modelcall.errors import ConfigError, FatalError, RowFailure
from modelcall.permits import Permits
from modelcall.pipeline.scorer import Scorer
from modelcall.scorers.columns import parse_type
from modelcall.scorers.contract import ScorerContract
from modelcall.scorers.custom import CustomScorer, build
from modelcall.types import FLOAT, INT, STRING_LIST, ColumnType, ErrorType, Outcome, RowRef

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROW = {"text": "a document", "tags": ["x"], "n": 1}


class Adding:
    """Adds what a function makes of the row."""

    def __init__(self, add: Callable[[dict[str, Any]], Any]) -> None:
        self.add = add

    def score(self, item: dict[str, Any]) -> Any:
        return self.add(item)


async def outcome_of(scorer: Any, row: dict[str, Any] = ROW) -> Outcome:
    rows = CustomScorer(scorer, Permits(2), identity={})
    await rows.open()
    try:
        return await rows.score(row, RowRef("f", 0, "r"), await rows.permits.take())
    finally:
        await rows.close()


async def added(values: dict[str, Any]) -> Outcome:
    return await outcome_of(Adding(lambda item: {**item, **values}))


async def test_what_is_added_are_the_values() -> None:
    assert (await added({"score": 4, "why": ("a", None)})).values == {"score": 4, "why": ["a", None]}


async def test_a_scorer_may_change_the_row_it_gets() -> None:
    def mutate(item: dict[str, Any]) -> dict[str, Any]:
        item["score"] = 1
        return item

    row = dict(ROW)
    assert (await outcome_of(Adding(mutate), row)).values == {"score": 1}
    assert row == ROW


async def test_an_async_scorer_is_awaited_on_the_loop() -> None:
    class Slow:
        async def score(self, item: dict[str, Any]) -> dict[str, Any]:
            await asyncio.sleep(0)
            return {**item, "thread": threading.current_thread().name}

    assert (await outcome_of(Slow())).values == {"thread": threading.current_thread().name}


async def test_sync_scorers_run_in_as_many_threads_as_there_are_permits() -> None:
    together = threading.Barrier(3, timeout=5)
    rows = CustomScorer(Adding(lambda item: {**item, "at": together.wait()}), Permits(3), identity={})
    await rows.open()
    outcomes = await asyncio.gather(
        *[rows.score(ROW, RowRef("f", n, "r"), await rows.permits.take()) for n in range(3)]
    )
    await rows.close()
    assert sorted((outcome.values or {})["at"] for outcome in outcomes) == [0, 1, 2]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("scorer")]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda item: {"score": 1, **{k: v for k, v in item.items() if k != "n"}}, "dropped the input column 'n'"),
        (lambda item: {**item, "n": 2}, "changed the input column 'n'"),
        (lambda item: {**item, "n": True}, "changed the input column 'n'"),
        (lambda item: {**item, "n": 1.0}, "changed the input column 'n'"),
        (lambda item: item["tags"].append("y") or item, "changed the input column 'tags'"),
    ],
)
async def test_input_columns_must_come_back_as_they_were(change: Callable[[Any], Any], reason: str) -> None:
    row = {"text": "t", "tags": ["x"], "n": 1}
    outcome = await outcome_of(Adding(change), row)
    assert outcome.error_type is ErrorType.BAD_ROW
    assert reason in (outcome.fail_reason or "")
    assert row["tags"] == ["x"]


async def test_nan_in_the_input_is_unchanged() -> None:
    assert (await outcome_of(Adding(lambda item: {**item, "score": 1}), {"x": [float("nan")]})).values == {"score": 1}


def _raise(error: BaseException) -> Any:
    raise error


@pytest.mark.parametrize("error", [ValueError("bad luck"), KeyError("k"), SystemExit("out"), StopIteration("end")])
async def test_what_the_users_code_raises_is_the_rows_failure(error: BaseException) -> None:
    outcome = await outcome_of(Adding(lambda _: _raise(error)))
    assert outcome.error_type is ErrorType.SCORER_ERROR
    assert (outcome.fail_reason or "").startswith(f"{type(error).__name__}: {error} (")
    assert f"{__file__}:{_raise.__code__.co_firstlineno + 1}" in (outcome.fail_reason or "")


async def test_a_cancellation_out_of_the_users_own_code_fails_the_row_and_does_not_end_it() -> None:
    class Cancelling:
        async def score(self, item: dict[str, Any]) -> dict[str, Any]:
            raise asyncio.CancelledError(item["text"])

    outcome = await outcome_of(Cancelling())
    assert outcome.error_type is ErrorType.SCORER_ERROR
    assert (outcome.fail_reason or "").startswith("CancelledError")
    threaded = await outcome_of(Adding(lambda _: _raise(asyncio.CancelledError())))
    assert threaded.error_type is ErrorType.SCORER_ERROR


async def test_a_row_that_the_run_cancels_is_cancelled() -> None:
    begun = asyncio.Event()

    class Endless:
        async def score(self, item: dict[str, Any]) -> dict[str, Any]:
            begun.set()
            await asyncio.Event().wait()
            return item

    row = asyncio.ensure_future(outcome_of(Endless()))
    await begun.wait()
    row.cancel()
    with pytest.raises(asyncio.CancelledError):
        await row


async def test_async_code_that_raises_fails_its_row_too() -> None:
    class Broken:
        async def score(self, item: dict[str, Any]) -> dict[str, Any]:
            raise ValueError(item["text"])

    assert ((await outcome_of(Broken())).fail_reason or "").startswith("ValueError: a document (")


async def test_a_scorer_may_stop_the_run_or_name_the_rows_failure() -> None:
    with pytest.raises(FatalError, match="no licence"):
        await outcome_of(Adding(lambda _: _raise(FatalError("no licence"))))
    outcome = await outcome_of(Adding(lambda _: _raise(RowFailure(ErrorType.TOO_LONG, "too many lines"))))
    assert (outcome.error_type, outcome.fail_reason) == (ErrorType.TOO_LONG, "too many lines")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (float("nan"), "'v' is nan"),
        (float("inf"), "'v' is inf"),
        ([{"a": float("nan")}], "'v[0].a' is nan"),
        (2**63, "'v' holds an integer beyond 64 bit"),
        (Decimal(1), "'v' holds a Decimal"),
        (b"x", "'v' holds a bytes"),
        ({1, 2}, "'v' holds a set"),
        ({1: 2}, "'v' has a key that is no text but int"),
        ("\ud800", "'v' holds a lone surrogate"),
    ],
)
async def test_values_no_column_can_hold(value: Any, reason: str) -> None:
    outcome = await added({"v": value})
    assert outcome.error_type is ErrorType.SCORER_ERROR
    assert reason in (outcome.fail_reason or "")


async def test_a_value_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert "nested deeper" in ((await added({"v": endless})).fail_reason or "")


@pytest.mark.parametrize("result", [None, 3, ["row"], "text"])
async def test_a_result_that_is_no_row(result: Any) -> None:
    outcome = await outcome_of(Adding(lambda _: result))
    assert outcome.error_type is ErrorType.SCORER_ERROR
    assert f"returned {type(result).__name__}, not a dict" in (outcome.fail_reason or "")


class Level(enum.IntEnum):
    HIGH = 3


class FakeNumpy:
    """What NumPy's scalars and arrays have in common."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def tolist(self) -> Any:
        return self.value


async def test_numbers_of_libraries_become_plain() -> None:
    values = (await added({"a": Level.HIGH, "b": FakeNumpy([FakeNumpy(0.5)])})).values or {}
    assert values == {"a": 3, "b": [0.5]}
    assert type(values["a"]) is int


class Declared:
    columns: ClassVar = {"score": "float", "tags": "list<string>"}

    def __init__(self, *, add: dict[str, Any]) -> None:
        self.add = add

    def score(self, item: dict[str, Any]) -> dict[str, Any]:
        return {**item, **self.add}


async def test_declared_columns_are_typed_before_row_one() -> None:
    row = {"text": "t"}
    assert CustomScorer(Declared(add={}), Permits(1), identity={}).columns == {"score": FLOAT, "tags": STRING_LIST}
    values = (await outcome_of(Declared(add={"tags": ["a"], "score": 4}), row)).values or {}
    assert list(values.items()) == [("score", 4.0), ("tags", ["a"])]
    assert type(values["score"]) is float
    assert (await outcome_of(Declared(add={"score": None, "tags": []}), row)).values == {"score": None, "tags": []}


@pytest.mark.parametrize(
    ("add", "reason"),
    [
        ({"score": "high", "tags": []}, "'score' must be float, got \"high\""),
        ({"score": 1}, "no 'tags'"),
        ({"score": 1, "tags": [], "extra": 1}, "undeclared 'extra'"),
    ],
)
async def test_what_is_not_as_declared_is_refused(add: dict[str, Any], reason: str) -> None:
    outcome = await outcome_of(Declared(add=add), {"text": "t"})
    assert outcome.error_type is ErrorType.SCORER_ERROR
    assert reason in (outcome.fail_reason or "")


def test_column_types_as_users_write_them() -> None:
    assert parse_type("int") == INT
    assert parse_type(" list < list<float> > ") == ColumnType("list", items=ColumnType("list", items=FLOAT))
    for wrong in ("integer", "list", "list<>", "list<int", ""):
        with pytest.raises(ValueError, match="no column type"):
            parse_type(wrong)


def test_wrong_declarations_are_told_all_at_once() -> None:
    class Wrong:
        columns: ClassVar = {"a": "integer", "b": "float", "c": "number"}

        def score(self, item: dict[str, Any]) -> dict[str, Any]:
            return item

    with pytest.raises(ConfigError, match=r"a: 'integer' is no column type.*c: 'number'"):
        CustomScorer(Wrong(), Permits(1), identity={})
    with pytest.raises(ConfigError, match="no method score"):
        CustomScorer(object(), Permits(1), identity={})  # type: ignore[arg-type]


SOURCE = """
class MyScorer:
    columns = {"score": "int"}
    def __init__(self, threshold, *, label="x"):
        if threshold < 0:
            raise ValueError("negative")
        self.threshold = threshold
    def score(self, item):
        return {**item, "score": len(item["text"]) // self.threshold}
"""


@pytest.fixture
def ref(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"scorer_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return f"{name}:MyScorer"


async def test_a_scorer_is_built_from_its_reference_and_options(ref: str) -> None:
    rows = build(ref, {"threshold": 2}, max_concurrent=3)
    await rows.open()
    outcome = await rows.score({"text": "four"}, RowRef("f", 0, "r"), await rows.permits.take())
    await rows.close()
    assert outcome.values == {"score": 2}
    assert rows.permits.ceiling == 3
    assert rows.identity["scorer"] == ref
    assert rows.identity["scorer_options"] == '{"threshold": 2}'
    assert rows.identity != build(ref, {"threshold": 3}, max_concurrent=3).identity


def test_the_source_of_the_module_is_identity(ref: str, tmp_path: Path) -> None:
    before = build(ref, {"threshold": 1}, max_concurrent=1).identity["scorer_source"]
    (tmp_path / f"{ref.partition(':')[0]}.py").write_text(SOURCE + "# changed\n")
    assert build(ref, {"threshold": 1}, max_concurrent=1).identity["scorer_source"] != before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "'threshold' is missing"),
        ({"treshold": 1}, "'treshold' is unknown; did you mean 'threshold'"),
        ({"threshold": 1, "zzz": 1}, "'zzz' is unknown; known: threshold, label"),
        ({"threshold": -1}, r"ValueError: negative \(.*scorer_.*\.py:6\)"),
    ],
)
def test_mistakes_in_options_are_told_before_a_row_is_read(ref: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(ref, options, max_concurrent=1)


def test_users_find_the_protocol_where_it_is_documented() -> None:
    assert isinstance(Declared(add={}), Scorer)


class TestContractOfAGoodScorer(ScorerContract):
    def make_scorer(self) -> Scorer:
        return Declared(add={"score": 1, "tags": []})


class Bad:
    def __init__(self) -> None:
        self.seen = 0

    def score(self, item: dict[str, Any]) -> dict[str, Any]:
        self.seen += 1
        return {**item, "score": self.seen} if self.seen % 2 else {**item, "other": float("nan")}


class BadContract(ScorerContract):
    __test__ = False

    def make_scorer(self) -> Scorer:
        return Bad()


@pytest.mark.parametrize(
    "test",
    [
        "test_scores_every_item",
        "test_adds_the_same_columns_to_every_row",
        "test_scores_do_not_depend_on_what_runs_beside_them",
    ],
)
def test_the_contract_finds_bad_scorers(test: str) -> None:
    with pytest.raises(AssertionError):
        getattr(BadContract(), test)()
