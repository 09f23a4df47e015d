"""Every bad input gets its verdict, with the file and the line, and its neighbours come out as if it were not there."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelcall.errors import ConfigError
from tests.bad_inputs.cases import CASES, PARQUET, Bad, Case, parquet, zstd
from tests.pipeline.harness import Bench, FakeJudge
from tests.task_manager.test_task_run import Desk

if TYPE_CHECKING:
    from pathlib import Path

NEIGHBOURS = {
    "a.jsonl": b'{"text": "above", "n": 1}\n',
    "z.parquet": PARQUET,
}


def _desk(folder: Path, output_format: str) -> Desk:
    folder.mkdir(exist_ok=True)
    desk = Desk(folder)
    for path in (folder / "in").iterdir():
        path.unlink()
    for name, data in NEIGHBOURS.items():
        (folder / "in" / name).write_bytes(data)
    desk.set("data.output_format", output_format)
    return desk


@pytest.fixture(scope="module", params=["parquet", "jsonl"])
def clean(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, bytes]]:
    """The output format, and what the neighbours are without a bad input beside them."""
    desk = _desk(tmp_path_factory.mktemp("clean"), request.param)
    assert desk.start().exit_code == 0
    return request.param, desk.tree()


@pytest.mark.parametrize("name", CASES)
def test_every_bad_input_gets_its_verdict(tmp_path: Path, clean: tuple[str, dict[str, bytes]], name: str) -> None:
    output_format, neighbours = clean
    case, desk = CASES[name], _desk(tmp_path, output_format)
    (tmp_path / "in" / case.file).write_bytes(case.data)
    if case.refused is not None:
        check_refused(desk, case, case.refused)
        return
    summary = desk.start()
    tree = desk.tree()
    if case.failed is not None:
        assert summary.exit_code == 3
        assert case.failed in desk.seen.failed[case.file]
        assert desk.seen.failed[case.file].startswith(case.file)
        assert tree == neighbours
        return
    assert tree.items() > neighbours.items()
    check_rows(desk, case.rows or (), output_format)
    assert summary.exit_code == (3 if any(isinstance(row, Bad) for row in case.rows or ()) else 0)
    findings = desk.verify("out")
    assert (findings.problems, findings.compared) == ([], 3)


def check_refused(desk: Desk, case: Case, reason: str) -> None:
    """Nothing is begun, and the message says which file and what to do."""
    with pytest.raises(ConfigError) as raised:
        desk.start()
    told = [raised.value.message, *map(str, raised.value.mistakes)]
    assert any(reason in text and case.file in text for text in told), told
    assert raised.value.hint
    assert not (desk.folder / "out").exists()


def check_rows(desk: Desk, rows: tuple[dict[str, Any] | Bad, ...], output_format: str) -> None:
    found = read(desk.folder / "out" / f"x.{output_format}")
    assert len(found) == len(rows)
    for row, expected in zip(found, rows, strict=True):
        if isinstance(expected, Bad):
            assert (row["api_status"], row["api_error_type"], row["score"]) == ("error", "bad_row", None)
            assert expected.reason in row["api_fail_reason"]
        else:
            assert row["api_status"] == "success"
            kept = {key: row.get(key) for key in expected}
            assert kept == expected or (output_format == "jsonl" and as_texts(kept) == as_texts(expected))


def as_texts(row: dict[str, Any]) -> dict[str, str]:
    """What became JSON text in Parquet is the value itself in JSON Lines."""
    return {key: str(value) for key, value in row.items()}


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        columns = {name: _values(table[name]) for name in table.column_names}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line]


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Texts need not be UTF-8: they pass as they are."""
    if column.type != pa.string():
        values: list[Any] = column.to_pylist()
        return values
    return [raw and raw.decode(errors="replace") for raw in column.cast(pa.binary()).to_pylist()]


LINES = b"".join(json.dumps({"id": row, "text": f"row {row * 7919 % 1009}"}).encode() + b"\n" for row in range(400))


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_compressed_input_cut_at_every_fiftieth_is_an_error(tmp_path: Path, suffix: str) -> None:
    packed = gzip.compress(LINES) if suffix == "gz" else zstd(LINES)
    file = tmp_path / f"in/x.jsonl.{suffix}"
    desk = _desk(tmp_path, "parquet")
    ends = []
    for fiftieth in range(1, 50):
        file.write_bytes(packed[: len(packed) * fiftieth // 50])
        try:
            ends.append(desk.start(fresh=True).exit_code)
            assert desk.seen.failed[file.name].startswith(f"{file.name}: cannot be read")
        except ConfigError as error:
            ends.append(2)
            assert file.name in str(error.mistakes[0])  # noqa: PT017  either end is right
        assert not (tmp_path / "out/x.parquet").exists()
        desk.set("options.delete_existing", True)
    assert set(ends) <= {2, 3}
    file.write_bytes(packed)
    assert desk.start(fresh=True).exit_code == 0
    assert pq.read_metadata(tmp_path / "out/x.parquet").num_rows == 400


@pytest.mark.long
@pytest.mark.parametrize(("megabytes", "is_row"), [(50, True), (100, True), (129, False)])
def test_long_lines_are_rows_up_to_a_bound(tmp_path: Path, megabytes: int, *, is_row: bool) -> None:
    bench = Bench(tmp_path)
    line = b'{"text": "%s"}' % (b"word " * (megabytes * 1024 * 1024 // 5))
    (tmp_path / "in/x.jsonl").write_bytes(b'{"text": "a"}\n' + line + b'\n{"text": "b"}\n')
    tally = asyncio.run(bench.start(FakeJudge()))
    assert (tally.rows, tally.failed) == (3, 0 if is_row else 1)
    rows = bench.rows("x.parquet")
    assert [rows[0]["text"], rows[2]["text"]] == ["a", "b"]
    if is_row:
        assert len(rows[1]["text"]) == megabytes * 1024 * 1024 // 5 * 5
    else:
        assert rows[1]["api_fail_reason"] == "x.jsonl: line 2: longer than 134217728 bytes"


@pytest.mark.parametrize("cut", range(0, 100, 4))
def test_parquet_cut_anywhere_is_refused(tmp_path: Path, cut: int) -> None:
    desk = _desk(tmp_path, "parquet")
    data = parquet(pq.read_table(tmp_path / "in/z.parquet"))
    (tmp_path / "in/x.parquet").write_bytes(data[: len(data) * cut // 100])
    with pytest.raises(ConfigError, match=r"1 input file\(s\) cannot be used"):
        desk.start()
