"""``data.output_columns``: which input columns the output keeps."""

import io
import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelcall.errors import ConfigError
from modelcall.fs.local import LocalFileSystem
from modelcall.scorers.quality.scorer import QualityScorer
from tests.task_manager.test_task_run import Desk

LINES = b'{"text": "one", "n": 1.50, "b": [ 1 ]}\n{"b": null, "id" : "x", "text": "two"}\nno object\n'


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    for path in (tmp_path / "in").iterdir():
        path.unlink()
    return made


@pytest.fixture
def nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def score(*_: object) -> None:
        raise AssertionError("a row was asked")

    monkeypatch.setattr(QualityScorer, "score", score)


def table(**columns: object) -> pa.Table:
    return pa.table({"text": ["a", "b"], **columns})


def test_types_and_order_are_kept_and_no_other_column_is_read(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(1)
    small = pa.array([b"x", b"y"] * 50).dictionary_encode()
    images = [rng.randbytes(40_000) for _ in range(100)]
    columns = {"text": ["t"] * 100, "image": images, "id": pa.array(range(100), pa.uint8()), "kind": small}
    pq.write_table(pa.table(columns), desk.folder / "in/a.parquet")
    taken: list[int] = []

    class Counting(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            taken.append(len(data := super().read(size) or b""))
            return data

    opened = LocalFileSystem.open

    def counted(fs: LocalFileSystem, path: str) -> object:
        return Counting(path) if path.endswith("in/a.parquet") else opened(fs, path)

    monkeypatch.setattr(LocalFileSystem, "open", counted)
    monkeypatch.setattr("modelcall.pipeline.input.content_of", lambda *_: "")  # it reads the file for its digest
    desk.set("data.output_columns", ["kind", "id"])
    assert desk.start().exit_code == 0
    assert 1000 < sum(taken) < 400_000
    schema = pq.read_schema(desk.folder / "out/a.parquet")
    assert schema.names[:3] == ["kind", "id", "score"]
    assert schema.types[:2] == [small.type, pa.uint8()]


@pytest.mark.parametrize("output_format", ["jsonl", "parquet"])
def test_json_lines_keep_what_they_have_of_them(desk: Desk, output_format: str) -> None:
    (desk.folder / "in/a.jsonl").write_bytes(LINES)
    (desk.folder / "in/b.jsonl").write_bytes(b'{"text": "three"}\n')
    desk.set("data.output_columns", ["b", "id", "n"])
    desk.set("data.output_format", output_format)
    assert desk.start().exit_code == 3  # the line that is no object
    if output_format == "jsonl":
        lines = (desk.folder / "out/a.jsonl").read_bytes().splitlines()
        assert lines[0].startswith(b'{"b":[ 1 ],"n":1.50,"score":')
        assert lines[1].startswith(b'{"b":null,"id":"x","score":')
        assert json.loads(lines[2])["api_error_type"] == "bad_row"
        assert (desk.folder / "out/b.jsonl").read_bytes().startswith(b'{"score":')
    else:
        first, second = (pq.read_table(desk.folder / f"out/{name}.parquet") for name in "ab")
        assert first.select(["b", "id", "n"]).to_pydict() == {
            "b": [[1], None, None],
            "id": [None, "x", None],
            "n": [1.5, None, None],
        }
        assert second.schema.names[:3] == ["b", "id", "n"]
        assert second.select(["b", "id", "n"]).to_pylist() == [{"b": None, "id": None, "n": None}]
    findings = desk.verify("out")
    assert (findings.problems, findings.compared) == ([], 2)


def test_no_column_may_be_wanted(desk: Desk) -> None:
    pq.write_table(table(id=[1, 2]), desk.folder / "in/a.parquet")
    (desk.folder / "in/b.jsonl").write_bytes(LINES)
    desk.set("data.output_columns", [])
    desk.start()
    names = [pq.read_schema(desk.folder / f"out/{name}.parquet").names for name in "ab"]
    assert names[0] == names[1]
    assert names[0][0] == "score"
    assert desk.verify("out").problems == []


@pytest.mark.usefixtures("nothing_is_asked")
def test_every_parquet_file_without_a_wanted_column_is_told_before_the_start(desk: Desk) -> None:
    pq.write_table(table(id=[1, 2], url=["x", "y"]), desk.folder / "in/a.parquet")
    pq.write_table(table(id=[1, 2]), desk.folder / "in/b.parquet")
    pq.write_table(table(url=["x", "y"]), desk.folder / "in/c.parquet")
    desk.set("data.output_columns", ["id", "url"])
    with pytest.raises(ConfigError) as raised:
        desk.start()
    told = [(Path(mistake.where).name, mistake.message.partition(";")[0]) for mistake in raised.value.mistakes]
    assert told == [
        ("b.parquet", "data.output_columns names url"),
        ("c.parquet", "data.output_columns names id"),
    ]
    assert not (desk.folder / "out").exists()


@pytest.mark.usefixtures("nothing_is_asked")
def test_a_name_that_no_file_has_is_told_with_the_nearest(desk: Desk) -> None:
    (desk.folder / "in/a.jsonl").write_bytes(LINES)
    desk.set("data.output_columns", ["txt"])
    with pytest.raises(ConfigError, match="no input file has the column 'txt'; there are text, n, b, id") as raised:
        desk.start()
    assert raised.value.hint == "Set data.output_columns to the column that is to be kept: text?"


def test_a_file_that_was_not_looked_at_fails_before_its_rows_are_asked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelcall.pipeline.preflight.LOOKED_AT", 1)
    pq.write_table(table(id=[1, 2]), desk.folder / "in/a.parquet")
    pq.write_table(table(), desk.folder / "in/b.parquet")
    desk.set("data.output_columns", ["id"])
    assert desk.start().exit_code == 3
    assert {file for file, _ in desk.seen.rows} == {"a.parquet"}
    assert desk.seen.failed == {"b.parquet": "b.parquet: data.output_columns names id; the file has text"}


def test_a_resume_does_not_want_of_the_last_file_what_others_had(desk: Desk) -> None:
    (desk.folder / "in/a.jsonl").write_bytes(b'{"text": "one", "rare": 1}\n')
    for number in range(30):
        (desk.folder / f"in/b{number:02}.jsonl").write_bytes(b'{"text": "two"}\n')
    desk.set("concurrency.max_concurrent_files", 1)
    desk.set("data.output_columns", ["rare"])
    assert desk.start(stop_early=True).exit_code == 143
    assert (desk.folder / "out/a.parquet").exists()
    assert not (desk.folder / "out/b29.parquet").exists()
    assert desk.start().exit_code == 0
