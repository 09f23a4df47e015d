import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelcall.errors import ConfigError
from tests.pipeline.harness import Bench, FakeJudge

TEXTS = [f"text {number}" for number in range(30)]


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.jsonl("a.jsonl", TEXTS)
    made.parquet("b.parquet", TEXTS)
    await made.start(FakeJudge())
    return made


def republish(bench: Bench, name: str, table: pa.Table) -> None:
    """Replace an output and make its manifest entry fit, as a bug in publishing would."""
    path = bench.output / name
    pq.write_table(table, path)
    entry = bench.run_of().to.manifest.get(name)
    assert entry is not None
    data = path.read_bytes()
    fitted = replace(entry, size=len(data), sha256=hashlib.sha256(data).hexdigest())
    bench.run_of().to.manifest.put(fitted)


def test_a_sound_output_has_no_problems_and_was_compared_with_its_input(bench: Bench) -> None:
    findings = bench.verify()
    assert (findings.problems, findings.files, findings.rows, findings.scored) == ([], 2, 60, 60)
    assert findings.compared == 2


def test_a_flipped_byte_is_found(bench: Bench) -> None:
    path = bench.output / "a.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    assert len(bench.verify().problems) == 1
    assert bench.verify().problems[0].startswith("a.parquet: changed since it was published")


def test_a_file_that_is_gone_is_found(bench: Bench) -> None:
    (bench.output / "b.parquet").unlink()
    assert bench.verify().problems == ["b.parquet: published, but the file is gone"]


def test_a_file_that_was_never_published_is_found(bench: Bench) -> None:
    (bench.output / ".modelcall/manifest/b.parquet.json").unlink()
    assert bench.verify().problems == ["b.parquet: not published: b.parquet is unfinished"]


def test_rows_in_another_order_are_found(bench: Bench) -> None:
    table = pq.read_table(bench.output / "b.parquet")
    republish(bench, "b.parquet", table.take([1, 0, *range(2, 30)]))
    assert bench.verify().problems == [f"b.parquet: row 0: input columns differ from {bench.input}/b.parquet"]


def test_a_missing_row_is_found(bench: Bench) -> None:
    republish(bench, "a.parquet", pq.read_table(bench.output / "a.parquet").slice(0, 29))
    assert bench.verify().problems == ["a.parquet: has 29 rows, 30 expected"]


def test_a_missing_column_is_found(bench: Bench) -> None:
    republish(bench, "a.parquet", pq.read_table(bench.output / "a.parquet").drop_columns(["score"]))
    assert bench.verify().problems == ["a.parquet: lacks the column(s) score"]


def test_a_damaged_manifest_is_found(bench: Bench) -> None:
    path = bench.output / ".modelcall/manifest/a.parquet.json"
    path.write_bytes(orjson.dumps({**json.loads(path.read_text()), "rows": 31}))
    assert bench.verify().problems == [f"{path}: damaged"]


def test_without_its_input_an_output_is_still_checked(bench: Bench) -> None:
    (bench.input / "a.jsonl").unlink()
    os.utime(bench.input / "b.parquet", ns=(1, 1))
    findings = bench.verify()
    assert (findings.problems, findings.compared) == ([], 0)


async def test_an_output_can_be_verified_where_it_was_moved(bench: Bench, tmp_path: Path) -> None:
    bench.output.rename(tmp_path / "elsewhere")
    bench.output = tmp_path / "elsewhere"
    assert bench.verify().problems == []


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no run wrote here"):
        Bench(tmp_path).verify()
