import hashlib
import json
import os
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

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


def republish(bench: Bench, name: str, table: pa.Table, **facts: Any) -> None:
    """Replace an output and make its manifest entry fit, as a bug in publishing would."""
    path = bench.output / name
    pq.write_table(table, path)
    refit(bench, name, **facts)


def refit(bench: Bench, name: str, **facts: Any) -> None:
    path = bench.output / name
    entry = bench.run_of().to.manifest.get(name)
    assert entry is not None
    data = path.read_bytes()
    fitted = replace(entry, size=len(data), sha256=hashlib.sha256(data).hexdigest(), **facts)
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


@pytest.mark.parametrize("name", ["a.parquet", "b.parquet"])
def test_rows_that_were_lost_or_doubled_are_found_though_all_counts_fit(bench: Bench, name: str) -> None:
    table = pq.read_table(bench.output / name)
    source = bench.input / name.replace("a.parquet", "a.jsonl")
    republish(bench, name, table.slice(0, 29), rows=29, scored=29)
    assert bench.verify().problems == [f"{name}: row 29: missing, it is in {source}"]
    republish(bench, name, pa.concat_tables([table, table.slice(29)]), rows=31, scored=31)
    assert bench.verify().problems == [f"{name}: row 30: not in {source}"]


def test_an_input_column_that_was_lost_or_bent_is_found(bench: Bench) -> None:
    table = pq.read_table(bench.output / "b.parquet")
    republish(bench, "b.parquet", table.drop_columns(["id"]))
    told = ["b.parquet: lacks the input column(s) id, or has them in another type"]
    assert bench.verify().problems == told
    republish(bench, "b.parquet", table.set_column(1, "id", table["id"].cast(pa.float64())))
    assert bench.verify().problems == told


async def test_columns_that_were_not_wanted_are_not_missed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, identity={"data.output_columns": '["id"]'})
    bench.jsonl("a.jsonl", TEXTS)
    await bench.start(FakeJudge(), output_columns=("id",))
    assert (bench.verify().problems, bench.verify().compared) == ([], 1)


def test_wrong_counts_are_found(bench: Bench) -> None:
    refit(bench, "a.parquet", scored=31)
    assert bench.verify().problems == ["a.parquet: has 30 scored rows, 31 expected"]
    refit(bench, "a.parquet", scored=29, failed=1)
    assert bench.verify().problems == ["a.parquet: has 30 scored rows, 29 expected"]


def test_a_failed_row_with_a_result_is_found(bench: Bench) -> None:
    table = pq.read_table(bench.output / "b.parquet")
    status = pa.array(["success", "error"] + ["success"] * 28)
    table = table.set_column(table.column_names.index("api_status"), "api_status", status)
    republish(bench, "b.parquet", table, scored=29, failed=1)
    assert bench.verify().problems == ["b.parquet: row 1: failed, but has a result"]


def test_data_files_that_no_run_wrote_are_mentioned(bench: Bench) -> None:
    for name in ("c.parquet", "sub/d.jsonl", "notes.txt", "_x.parquet"):
        (bench.output / name).parent.mkdir(exist_ok=True)
        (bench.output / name).write_text("theirs")
    findings = bench.verify()
    assert (findings.problems, findings.strangers) == ([], ["c.parquet", "sub/d.jsonl"])


async def test_a_column_of_json_texts_is_compared(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    (bench.input / "a.jsonl").write_text('{"text": "a", "odd": 1}\n{"text": "a", "odd": [1, {"k":  2}]}\n')
    await bench.start(FakeJudge())
    assert bench.verify().problems == []
    republish(bench, "a.parquet", pq.read_table(bench.output / "a.parquet").take([1, 0]))
    assert bench.verify().problems == [f"a.parquet: row 0: input columns differ from {bench.input}/a.jsonl"]


ODD = pa.table(
    {
        "text": ["a", "b", None],
        "when": pa.array([datetime(2024, 1, 2, 3, 4, 5, 6, UTC), None, datetime(1, 1, 1, tzinfo=UTC)]),
        "nanos": pa.array([1, 2, None], pa.timestamp("ns")),
        "day": [date(2024, 1, 2), None, None],
        "price": [Decimal("1.50"), Decimal("-2.25"), None],
        "nan": [float("nan"), float("inf"), -0.0],
        "raw": [b"\x00\xff", b"", None],
        "kind": pa.array(["x", "y", "x"]).dictionary_encode(),
        "pairs": pa.array([[("k", 1)], [], None], pa.map_(pa.string(), pa.int8())),
        "deep": [{"a": [1, None], "b": None}, None, {"a": [], "b": "ü"}],
        "none": pa.nulls(3),
        "large": pa.array(["l", "m", "n"], pa.large_string()),
    }
)


@pytest.mark.parametrize("output_format", ["parquet", "jsonl"])
async def test_values_of_every_type_are_equal_to_themselves(tmp_path: Path, output_format: str) -> None:
    bench = Bench(tmp_path, output_format=output_format)
    pq.write_table(ODD, bench.input / "a.parquet")
    lines = [b'{"text": "a", "n": 1.0, "big": 123456789012345678901, "s": {"x": 1}}', b"[]", b'{ "s": {}, "n": 2 }']
    (bench.input / "b.jsonl").write_bytes(b"\n".join(lines))
    await bench.start(FakeJudge())
    assert (bench.verify().problems, bench.verify().compared) == ([], 2)
