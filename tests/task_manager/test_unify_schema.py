"""``data.unify_schema``: one schema for all outputs of a run, settled before row one and kept through everything."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from modelcall.errors import ConfigError
from modelcall.formats.unify import type_name
from modelcall.fs.local import LocalFileSystem
from modelcall.scorers.quality.scorer import QualityScorer
from modelcall.state.manifest import checksum
from modelcall.state.shard import output_at
from tests.task_manager.test_task_run import Desk

TYPES = {
    "text": "large_string",
    "id": "int64",
    "score_before": "double",
    "tags": "list<string>",
    "odd": "string",
    "late": "bool",
}
"""Of the columns of all files of :func:`desk`, in order of first appearance."""


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    for path in (tmp_path / "in").iterdir():
        path.unlink()
    made.set("data.unify_schema", True)
    parquet(made, "a", text=pa.array(["one", "two"]), id=pa.array([1, 2], pa.int32()))
    parquet(made, "b", id=pa.array([2**40]), score_before=pa.array([0.5], pa.float32()), text=pa.array(["three"]))
    parquet(made, "c", text=pa.array(["four"], pa.large_string()), score_before=pa.array([0.1]), tags=pa.array([["x"]]))
    jsonl(made, "d", {"text": "five", "id": 5, "odd": 1.50}, {"text": "six", "score_before": 1, "tags": []})
    jsonl(made, "e", {"late": True, "text": "seven", "odd": "n/a"})
    return made


def parquet(desk: Desk, name: str, **columns: pa.Array) -> None:
    pq.write_table(pa.table(columns), desk.folder / f"in/{name}.parquet")


def jsonl(desk: Desk, name: str, *rows: dict[str, object]) -> None:
    (desk.folder / f"in/{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def schemas(desk: Desk) -> list[pa.Schema]:
    return [pq.read_schema(path) for path in sorted((desk.folder / "out").glob("*.parquet"))]


def test_the_folder_loads_as_one_dataset_everywhere(desk: Desk) -> None:
    assert desk.start().exit_code == 0
    found = schemas(desk)
    assert all(schema.equals(found[0], check_metadata=True) for schema in found)
    assert {name: type_name(found[0].field(name).type) for name in TYPES} == TYPES
    assert found[0].names[: len(TYPES)] == list(TYPES)
    table = ds.dataset(desk.folder / "out", format="parquet").to_table().sort_by("text")
    assert table["id"].to_pylist() == [5, None, 1, None, None, 2**40, 2]
    assert table["odd"].to_pylist() == ["1.5", None, None, '"n/a"', None, None, None]
    assert table["score_before"].to_pylist() == [None, 0.1, None, None, 1.0, 0.5, None]
    with duckdb.connect() as connection:
        found_rows = connection.read_parquet(f"{desk.folder}/out/*.parquet")
        rows = found_rows.aggregate("count(*), sum(id), count(late)").fetchall()
    assert rows == [(7, 8 + 2**40, 1)]
    loaded = datasets.load_dataset("parquet", data_dir=str(desk.folder / "out"), cache_dir=str(desk.folder / "cache"))
    assert loaded["train"].num_rows == 7
    findings = desk.verify("out")
    assert (findings.problems, findings.compared, bool(findings.drift)) == ([], 5, False)


def test_what_was_brought_together_is_told_in_the_log_and_beside_the_output(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "modelcall")
    desk.start()
    said = [record.getMessage() for record in caplog.records]
    assert any("One schema for 5 files: 6 columns, 6 of them differ between files" in line for line in said)
    assert "   id: int32 in a.parquet, int64 in b.parquet and 1 more, absent in c.parquet and 1 more" in said
    note = json.loads((desk.folder / "out/.modelcall/schema.json").read_text())
    assert (note["columns"], note["json_text_columns"]) == (TYPES, ["odd"])
    assert note["drift"]["odd"]["string"] == {"files": 1, "first": "e.jsonl"}


@pytest.fixture
def nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def score(*_: object) -> None:
        raise AssertionError("a row was asked")

    monkeypatch.setattr(QualityScorer, "score", score)


@pytest.mark.usefixtures("nothing_is_asked")
def test_what_no_type_holds_is_refused_with_file_column_and_types_before_anything_begins(desk: Desk) -> None:
    parquet(desk, "f", text=pa.array(["x"]), id=pa.array(["seven"]), tags=pa.array([1]))
    with pytest.raises(ConfigError) as raised:
        desk.start()
    assert raised.value.message == "2 column(s) have types that no one type holds"
    told = [str(mistake) for mistake in raised.value.mistakes]
    assert told[0].startswith("id: int32 in a.parquet, int64 in b.parquet and 1 more, ")
    assert told[0].endswith(", string in f.parquet")
    assert told[1].startswith("tags: ")
    assert "leave out data.unify_schema" in (raised.value.hint or "")
    assert not (desk.folder / "out").exists()
    (desk.folder / "in/f.parquet").unlink()


@pytest.mark.usefixtures("nothing_is_asked")
def test_a_file_of_another_shard_that_cannot_be_read_is_refused_too(desk: Desk) -> None:
    (desk.folder / "in/f.parquet").write_bytes(b"PAR1")
    for job_index in range(2):
        with pytest.raises(ConfigError, match=r"1 input file\(s\) cannot be"):
            desk.start(job_index=job_index, world_size=2)


def test_a_result_column_that_a_file_of_another_shard_has_is_refused(desk: Desk) -> None:
    rows: list[dict[str, object]] = [{"text": "x"} for _ in range(30)]
    jsonl(desk, "f", *rows, {"text": "x", "score": 1})
    with pytest.raises(ConfigError, match="already has the column"):
        desk.start()


def test_a_scorer_that_does_not_say_its_columns_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    (desk.folder / "its_length.py").write_text(
        "class Length:\n    def score(self, item):\n        return {**item, 'length': len(item['text'])}\n"
    )
    monkeypatch.syspath_prepend(desk.folder)
    desk.set("scorer.name", "its_length:Length")
    with pytest.raises(ConfigError, match="settled file by file"):
        desk.start()


def test_a_stopped_run_goes_on_with_the_schema_it_began_with(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        parquet(desk, f"f{number:02}", text=pa.array(["more"]))
    desk.set("concurrency.max_concurrent_files", 1)
    assert desk.start(stop_early=True).exit_code == 128 + 15
    assert 1 <= len(schemas(desk)) < 35
    monkeypatch.setattr("modelcall.pipeline.unify.Unifier", None)  # it is not settled again
    assert desk.start().exit_code == 0
    found = schemas(desk)
    assert len(found) == 35
    assert all(schema.equals(found[0], check_metadata=True) for schema in found)
    assert desk.verify("out").problems == []


def test_all_shards_have_the_schema_of_all_files(desk: Desk) -> None:
    for job_index in (2, 0, 1):
        assert desk.start(job_index=job_index, world_size=3).exit_code == 0
    found = schemas(desk)
    assert len(found) == 5
    assert all(schema.equals(found[0], check_metadata=True) for schema in found)
    assert {name: type_name(found[0].field(name).type) for name in TYPES} == TYPES


def test_files_that_come_later_get_the_schema_of_the_others_or_are_refused(desk: Desk) -> None:
    desk.start()
    jsonl(desk, "f", {"text": "eight", "id": 7.5})
    parquet(desk, "g", text=pa.array(["nine"]), new=pa.array([1]))
    with pytest.raises(ConfigError) as raised:
        desk.start()
    assert [(Path(mistake.where).name, mistake.message) for mistake in raised.value.mistakes] == [
        ("f.jsonl", "id: double, where the schema of all files has int64"),
        ("g.parquet", "new: int64, where the schema of all files has no such column"),
    ]
    jsonl(desk, "f", {"text": "eight", "id": 7, "odd": []})
    parquet(desk, "g", id=pa.array([1], pa.int8()), text=pa.array(["nine"]))
    assert desk.start().how == "extended"
    found = schemas(desk)
    assert len(found) == 7
    assert all(schema.equals(found[0], check_metadata=True) for schema in found)
    assert desk.verify("out").problems == []


def test_it_cannot_be_switched_in_a_run(desk: Desk) -> None:
    desk.start(stop_early=True)
    desk.set("data.unify_schema", False)
    with pytest.raises(ConfigError, match=r"another data\.unify_schema"):
        desk.start()


def test_only_wanted_columns_need_not_be_in_every_file(desk: Desk) -> None:
    desk.set("data.output_columns", ["late", "id"])
    assert desk.start().exit_code == 0
    assert all(schema.names[:3] == ["late", "id", "score"] for schema in schemas(desk))
    assert [str(schema.field("id").type) for schema in schemas(desk)] == ["int64"] * 5
    assert desk.verify("out").problems == []


@pytest.mark.usefixtures("nothing_is_asked")
def test_a_wanted_column_that_no_file_has_is_refused(desk: Desk) -> None:
    desk.set("data.output_columns", ["id", "lat"])
    with pytest.raises(ConfigError, match="no input file has the column 'lat'") as raised:
        desk.start()
    assert "late?" in (raised.value.hint or "")


def test_a_debug_limit_does_not_narrow_the_schema(desk: Desk) -> None:
    desk.set("debug", {"enabled": True, "max_files": 1, "max_items_per_file": 1})
    desk.start()
    desk.set("debug.enabled", False)
    desk.start()
    found = schemas(desk)
    assert len(found) == 5
    assert all(schema.equals(found[0], check_metadata=True) for schema in found)
    assert desk.verify("out").problems == []


def test_a_repaired_file_must_fit(desk: Desk) -> None:
    path = desk.folder / "in/f.parquet"
    words = pa.table({"text": ["words, words and words"] * 9})
    pq.write_table(words, path, compression="none", write_page_checksum=True)
    path.write_bytes(path.read_bytes().replace(b"words and", b"w0rds and"))  # its checksum tells
    assert desk.start().exit_code == 3
    assert list(desk.seen.failed) == ["f.parquet"]
    parquet(desk, "f", text=pa.array(["words"]), more=pa.array([1]))
    with pytest.raises(ConfigError) as raised:
        desk.start()
    assert [mistake.message for mistake in raised.value.mistakes] == [
        "more: int64, where the schema of all files has no such column"
    ]
    parquet(desk, "f", text=pa.array(["words"]), late=pa.array([None], pa.null()))
    assert desk.start().exit_code == 0
    assert desk.verify("out").problems == []


def test_verify_finds_an_output_with_another_schema(desk: Desk) -> None:
    desk.start()
    path = desk.folder / "out/c.parquet"
    table = pq.read_table(path)
    index = table.schema.get_field_index("id")
    pq.write_table(table.set_column(index, "id", table["id"].cast(pa.int16())), path)
    to = output_at(LocalFileSystem(), str(desk.folder / "out"))
    entry = to.manifest.get("c.parquet")
    assert entry is not None
    found: dict[str, Any] = {"sha256": checksum(to.fs, str(path)), "size": path.stat().st_size}
    to.manifest.put(replace(entry, **found))
    assert desk.verify("out").problems == ["c.parquet: lacks the input column(s) id, or has them in another type"]
    to.manifest.put(replace(entry, **found, types={**entry.types, "id": "int16"}))
    (problem,) = desk.verify("out").problems
    assert problem == "the outputs are to have one schema: id: int64 in a.parquet and 3 more, int16 in c.parquet"


def test_without_it_what_differs_is_listed(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "modelcall")
    desk.set("data.unify_schema", False)
    assert desk.start().exit_code == 0
    said = [record.getMessage() for record in caplog.records]
    assert any("The schemas of input files differ in 4 columns" in line for line in said)
    assert any("The schemas of output files differ in 6 columns" in line for line in said)
    note = json.loads((desk.folder / "out/.modelcall/drift.r1-job000.json").read_text())
    assert note["id"]["int32"] == {"files": 1, "first": "a.parquet"}
    assert any(line.startswith("id: int32 in a.parquet, ") for line in desk.verify("out").drift.lines())


def test_where_nothing_differs_nothing_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "modelcall")
    desk = Desk(tmp_path)
    assert desk.start().exit_code == 0
    assert not [record for record in caplog.records if "differ" in record.getMessage()]
    assert not list((desk.folder / "out/.modelcall").glob("drift*"))
