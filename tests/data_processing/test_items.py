from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelcall.data_processing.base import BasePreprocessor
from modelcall.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelcall.types import Row
    from tests.data_processing.bench import Bench


class Titles(BasePreprocessor):
    """Drops rows without a title; the types of what it adds show late."""

    source = "titles"

    def process_item(self, item: Row) -> Row | None:
        if item.get("title") is None:
            return None
        item["text"] = f"{item.pop('title')}: {item['body']}"
        item["size"] = len(item["body"]) if item["body"] != "half" else 0.5
        item["note"] = None if item["body"] == "b" else "n"
        item["mixed"] = item["body"] if item["body"] == "b" else [1]
        return item


def test_rows_are_changed_dropped_and_completed(bench: Bench) -> None:
    rows = [
        {"title": "A", "body": "b"},
        {"title": None, "body": "x"},
        {"title": "C", "body": "half"},
        "broken",
        {"title": "D", "body": "ccc"},
    ]

    made = bench.make(bench.jsonl(rows), Titles)

    assert made.column("text") == ["A: b", "C: half", None, "D: ccc"]
    assert made.column("content_truncate_32k") == made.column("text")
    assert made.column("title") == [None] * 4
    assert made.column("size") == [1.0, 0.5, None, 3.0]
    assert made.column("note") == [None, "n", None, "n"]
    assert made.column("mixed") == ['"b"', "[1]", None, "[1]"]
    assert made.table.schema.field("size").type == pa.float64()
    assert set(made.column("source")) == {"titles"}
    assert made.report.dropped == {"process_item returned None": 1}
    assert (made.report.rows_in, made.report.rows_out, made.report.bad_rows) == (5, 4, 1)
    assert made.report.json_text_columns == ("mixed",)


def test_ids_are_those_of_the_rows_that_were_read(bench: Bench) -> None:
    path = bench.jsonl([{"text": "a"}, {"text": "b"}, {"text": "c"}])

    class Last(BasePreprocessor):
        def process_item(self, item: Row) -> Row | None:
            return item if item["text"] == "c" else None

    assert bench.make(path, Last).column("id") == bench.make(path, BasePreprocessor).column("id")[2:]


class Same(BasePreprocessor):
    def process_item(self, item: Row) -> Row | None:
        return dict(item)


def test_columns_that_are_not_touched_keep_what_python_cannot_hold(bench: Bench) -> None:
    table = pa.table(
        {
            "text": ["a", "b"],
            "when": pa.array([1, 2], pa.timestamp("ns")),
            "far": pa.array([2**40, 5], pa.timestamp("s")),
            "day": pa.array([dt.date(2024, 1, 2), None]),
            "deep": pa.array([[{"x": 1}], None], pa.list_(pa.struct([("x", pa.int8())]))),
            "kind": pa.array(["x", "y"]).dictionary_encode(),
        }
    )

    path = bench.parquet(table)

    assert bench.make(path, Same).table.select(table.column_names).equals(pq.read_table(path))


class Changes(BasePreprocessor):
    def process_item(self, item: Row) -> Row | None:
        item["n"] += 1
        item["tags"].append("z")
        item["deep"]["x"] = 9
        return item


def test_what_is_changed_in_place_is_written_in_the_type_of_its_column(bench: Bench) -> None:
    table = pa.table(
        {
            "text": ["a"],
            "n": pa.array([1], pa.int8()),
            "tags": pa.array([["y"]], pa.list_(pa.large_string())),
            "deep": pa.array([{"x": 1}], pa.struct([("x", pa.uint16())])),
        }
    )

    made = bench.make(bench.parquet(table), Changes)

    assert made.table.select(table.column_names).schema.equals(table.schema)
    assert made.rows[0] | {"n": 2, "tags": ["y", "z"], "deep": {"x": 9}} == made.rows[0]


def test_values_of_mixed_columns_are_what_they_were_in_the_file(bench: Bench) -> None:
    seen: list[Any] = []

    class Looks(BasePreprocessor):
        def process_item(self, item: Row) -> Row | None:
            seen.append(item["x"])
            return item | {"x": {"was": item["x"]}} if item["text"] == "b" else item

    rows = [{"text": "a", "x": 10**30}, {"text": "b", "x": "s"}, {"text": "c", "x": [1.50]}]

    made = bench.make(bench.jsonl(rows), Looks)

    assert seen == [10**30, "s", [1.5]]
    assert made.column("x") == [str(10**30), '{"was": "s"}', "[1.5]"]


class Raises(BasePreprocessor):
    def process_item(self, item: Row) -> Row | None:
        if item["text"] == "bad":
            raise KeyError("no such thing")
        return item


class NoRow(BasePreprocessor):
    def process_item(self, item: Row) -> Any:
        return item["text"]


class NoNumber(BasePreprocessor):
    def process_item(self, item: Row) -> Row | None:
        return item | {"n": "many"}


class NoJson(BasePreprocessor):
    def process_item(self, item: Row) -> Row | None:
        return item | {"new": object()}


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Raises, r"a.jsonl: row 1: process_item raised KeyError: 'no such thing' \(.*test_items.py:\d+\)"),
        (NoRow, "a.jsonl: row 0: process_item returned str, not a dict"),
        (NoNumber, "a.jsonl: process_item put into the column 'n' what is no int64: .*another name"),
        (NoJson, "a.jsonl: row 0: process_item returned what JSON cannot hold: .*object"),
    ],
)
def test_what_a_preprocessor_breaks_fails_its_file(bench: Bench, kind: type[BasePreprocessor], said: str) -> None:
    made = bench.make(bench.jsonl([{"text": "a", "n": 1}, {"text": "bad", "n": 2}]), kind)

    assert made.report.failure is not None
    assert re.match(said, made.report.failure), made.report.failure
    assert not list(bench.folder.rglob("out/*"))


def test_a_preprocessor_may_end_the_run(bench: Bench) -> None:
    class Ends(BasePreprocessor):
        def process_item(self, item: Row) -> Row | None:
            raise FatalError(f"no licence left for {item['text']}")

    with pytest.raises(FatalError, match="no licence left for a"):
        bench.make(bench.jsonl([{"text": "a"}]), Ends)


class Batches(BasePreprocessor):
    """Whole batches instead of rows, without what rows get."""

    def process_batch(self, batch: pa.RecordBatch, numbers: Sequence[int]) -> pa.RecordBatch:
        return batch.append_column("number", pa.array(numbers, pa.int64())).select(["number", "text"])


def test_arrow_batches_are_written_as_they_come_back(bench: Bench) -> None:
    made = bench.make(bench.jsonl([{"text": str(number)} for number in range(2500)]), Batches)

    assert made.table.column_names == ["number", "text"]
    assert made.column("number") == list(range(2500))


def test_a_batch_with_other_columns_fails_the_file(bench: Bench) -> None:
    class Varies(BasePreprocessor):
        def process_batch(self, batch: pa.RecordBatch, numbers: Sequence[int]) -> pa.RecordBatch:
            return batch.rename_columns(["text" if len(numbers) else "other"])

    made = bench.make(bench.jsonl([{"text": "a"}]), Varies)

    assert made.report.failure is not None
    assert "process_batch returned other columns" in made.report.failure
