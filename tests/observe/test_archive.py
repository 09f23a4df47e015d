from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcall.observe.archive import task_logs
from modelcall.observe.distribution import Distribution

if TYPE_CHECKING:
    from pathlib import Path


def batch(run: str, scores: dict[str, Any]) -> str:
    told = Distribution()
    for value in scores["score"]:
        told.add([{"score": value}])
    return json.dumps({"run_id": run, "rows": len(scores["score"]), "scores": told.as_json()}) + "\n"


def test_files_are_sorted_by_task_and_shard(tmp_path: Path) -> None:
    for name in (
        "a_b_20240102_030405.log",
        "a_b_20240101_030405.log",
        "a_b_batch_details.jsonl",
        "a_b_final_stats.json",
        "a_b_20240101_030405_job003.log",
        "a_b_job003_batch_details.jsonl",
        "a_b_job012_final_stats.json",
        "c_20240101_030405.out",
        "noise.txt",
    ):
        (tmp_path / name).write_text("")
    found = task_logs(tmp_path)
    assert [(one.task, one.job_index) for one in found] == [("a_b", None), ("a_b", 3), ("a_b", 12)]
    assert [path.name for path in found[0].logs] == ["a_b_20240101_030405.log", "a_b_20240102_030405.log"]
    assert found[0].details is not None
    assert found[0].stats is not None
    assert found[1].details is not None
    assert found[1].stats is None
    assert task_logs(tmp_path, "x") == []


def test_scores_are_those_of_the_last_run_over_all_its_starts(tmp_path: Path) -> None:
    lines = [batch("old", {"score": [1, 1]}), batch("new", {"score": [2, 5]}), '{"cut\n', batch("new", {"score": [5]})]
    (tmp_path / "a_batch_details.jsonl").write_text("".join(lines))
    (found,) = task_logs(tmp_path)
    assert found.last_run() == "new"
    assert list(found.scores("new").lines()) == [("score", "mean 4; 2: 1, 5: 2")]
    assert (len(list(found.batches())), found.unreadable) == (3, 1)


def test_what_is_no_statistics_is_none(tmp_path: Path) -> None:
    (tmp_path / "a_final_stats.json").write_text("[1]")
    (found,) = task_logs(tmp_path)
    assert found.final_stats() is None
    assert found.last_run() is None
    assert found.tail(3) == []


@pytest.mark.parametrize("kind", [st.integers(-3, 3), st.floats(0, 9), st.integers(-(2**53), 2**53)])
@given(data=st.data())
def test_parts_come_to_the_same_as_the_whole(kind: st.SearchStrategy[float], data: st.DataObject) -> None:
    parts = data.draw(st.lists(st.lists(kind, min_size=1, max_size=8), min_size=1, max_size=4))
    whole, merged = Distribution(), Distribution()
    for part in parts:
        alone = Distribution()
        for value in part:
            alone.add([{"score": value}])
            whole.add([{"score": value}])
        merged.merge(json.loads(json.dumps(alone.as_json())))
    told, summed = whole.as_json()["score"], merged.as_json()["score"]
    assert {**summed, "sum": None, "values": None} == {**told, "sum": None, "values": None}
    assert summed["sum"] == pytest.approx(told["sum"])
    assert by_number(summed["values"]) == by_number(told["values"])


def by_number(values: dict[str, int] | None) -> dict[float, int] | None:
    return None if values is None else {float(value): times for value, times in values.items()}
