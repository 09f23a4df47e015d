"""The main job as a user starts it: real commands, real processes, the embedded server, real files."""

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from modelcall.mock.faults.rules import parse_faults
from modelcall.mock.options import MockOptions
from modelcall.mock.process import EmbeddedServer

ROWS = 200
"""Rows of each of the eight files."""

PROMPT = {
    "prompt_template": {"system_text": "You rate source code.", "prompt_text": "Rate {id}:\n{text}"},
    "output_config": {
        "json_keys": ["score", "quality_tags"],
        "json_default_values": {"score": 0, "quality_tags": []},
    },
}


def texts() -> Iterator[str]:
    """Pieces of the standard library's source."""
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        source = path.read_text(encoding="utf-8", errors="replace")
        yield from (source[start : start + 1500] for start in range(0, len(source), 1500))


class Job:
    """A user's folder and the task in it."""

    def __init__(self, folder: Path, server: EmbeddedServer) -> None:
        self.folder = folder
        self.task: dict[str, Any] = {
            "task_name": "main",
            "data": {"input_folder": "./in", "output_folder": "./out"},
            "model": {"provider": "test", "model_name": "judge", "base_url": server.base_url},
            "prompt": PROMPT,
            "concurrency": {"max_concurrent_files": 2, "max_concurrent_requests": 32},
            "retry": {"max_retries": 8},
            "environment": {"timeout": 10},
        }

    def fill(self) -> None:
        """Eight files of real text, Parquet and JSON Lines in turn, with columns of many types."""
        (self.folder / "in").mkdir()
        source = texts()
        for number in range(8):
            rows = [next(source) for _ in range(ROWS)]
            (self._jsonl if number % 2 else self._parquet)(number, rows)

    def _jsonl(self, number: int, rows: list[str]) -> None:
        values = [
            {"id": f"{number}-{row}", "text": text, "big": 2**60 + row, "meta": {"third": row / 3, "é": None}}
            for row, text in enumerate(rows)
        ]
        lines = (json.dumps(value, ensure_ascii=row % 2 == 0) + "\n" for row, value in enumerate(values))
        (self.folder / f"in/part{number}.jsonl").write_text("".join(lines), encoding="utf-8")

    def _parquet(self, number: int, rows: list[str]) -> None:
        start = datetime(2020, 1, 1, tzinfo=UTC)
        table = pa.table(
            {
                "when": pa.array([start + timedelta(seconds=row) for row in range(ROWS)], pa.timestamp("ns", tz="UTC")),
                "text": pa.array(rows, pa.large_string()),
                "id": pa.array([f"{number}-{row}" for row in range(ROWS)]).dictionary_encode(),
                "money": pa.array([Decimal(row) / 100 for row in range(ROWS)], pa.decimal128(12, 2)),
                "tags": pa.array([["a", None][: row % 3] for row in range(ROWS)]),
            }
        )
        pq.write_table(table, self.folder / f"in/part{number}.parquet", row_group_size=77)

    def start(self, *options: str) -> "subprocess.Popen[str]":
        """Begin `modelcall run-task`."""
        (self.folder / "task.yaml").write_text(yaml.safe_dump(self.task), encoding="utf-8")
        return modelcall(self.folder, "run-task", "task.yaml", *options)

    def run(self, *options: str) -> tuple[int, str, str]:
        """Run it to its end: exit code, stdout, stderr."""
        return ended(self.start(*options))

    def tree(self, folder: Path) -> dict[str, bytes]:
        """Published files by name."""
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}

    def same_as_input(self, folder: Path) -> None:
        """Assert that every row is there once, in order, its columns unchanged in value and type."""
        for source in sorted((self.folder / "in").iterdir()):
            scored = pq.read_table(folder / f"{source.stem}.parquet")
            if source.suffix == ".parquet":
                original = pq.read_table(source)
                kept = scored.select(original.column_names)
                assert kept.equals(original)
                assert kept.schema.types == original.schema.types
            else:
                rows = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
                assert scored.select(list(rows[0])).to_pylist() == rows


def modelcall(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Begin a command in a folder."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_KEY")}  # noqa: TID251
    return subprocess.Popen(
        [sys.executable, "-m", "modelcall", *arguments],
        cwd=folder,
        env=environment,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Wait for a command: exit code, stdout, stderr."""
    out, err = process.communicate(timeout=180)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer(MockOptions(faults=parse_faults({"mix": 0.1}), time_scale=0.05, latency=0.02)) as running:
        yield running


@pytest.fixture
def job(tmp_path: Path, server: EmbeddedServer) -> Job:
    made = Job(tmp_path, server)
    made.fill()
    return made


def test_ten_percent_of_faults_cost_no_row_and_change_no_column(job: Job, server: EmbeddedServer) -> None:
    code, out, err = job.run()
    assert code == 0, out + err
    assert server.referee().faults
    job.same_as_input(job.folder / "out")
    assert ended(modelcall(job.folder, "verify", "out"))[0] == 0
    query = "select count(*), list(distinct api_status) from read_parquet($1, union_by_name=true)"
    ((count, statuses),) = duckdb.execute(query, [f"{job.folder}/out/*.parquet"]).fetchall()
    assert (count, statuses) == (8 * ROWS, ["success"])


def test_a_row_without_text_is_exit_3_with_a_reason(job: Job) -> None:
    with (job.folder / "in/part1.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"id": "bad", "text": null, "big": 1, "meta": null}\n')
    code, _, err = job.run("--set", "data.input_folder=./in/part1.jsonl")
    assert code == 3
    row = pq.read_table(job.folder / "out/part1.parquet").to_pylist()[-1]
    assert (row["id"], row["score"], row["api_status"], row["api_error_type"]) == ("bad", None, "error", "bad_row")
    assert "holds no text but null" in row["api_fail_reason"]
    assert "failed" in err.splitlines()[-1]


def folders_of(job: Job) -> list[Path]:
    return [path for path in (job.folder / "out").iterdir() if path.name != ".modelcall"]


def test_killed_and_resumed_or_in_five_shards_the_output_is_that_of_one_run(job: Job) -> None:
    job.task["data"]["output_folder"] = "./out/{timestamp}"
    # a fixed fault rate by (request, attempt) gives other attempt counts after a kill: leave them and their sums out
    job.task["data"]["output_format"] = "parquet"
    killed = job.start()
    journal = job.folder / "out"
    until = time.monotonic() + 60
    while time.monotonic() < until and not any(path.stat().st_size > 20_000 for path in journal.rglob("journal/*.log")):
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    assert ended(killed)[0] == -signal.SIGKILL
    assert job.run()[0] == 0
    (resumed,) = folders_of(job)
    job.same_as_input(resumed)
    whole = scores(resumed)
    resumed.rename(job.folder / "kept")
    for index in (4, 1, 3, 0, 2):
        fresh = ("--fresh",) if index == 4 else ()
        code, out, err = job.run("--job_index", str(index), "--world-size", "5", *fresh)
        assert code == 0, out + err
    (sharded,) = folders_of(job)
    assert scores(sharded) == whole
    assert ended(modelcall(job.folder, "verify", str(sharded)))[0] == 0


def scores(folder: Path) -> dict[str, list[Any]]:
    """What a run brought, but for what depends on how often it had to ask."""
    columns = ["id", "text", "score", "quality_tags", "api_status", "api_model"]
    return {path.name: pq.read_table(path, columns=columns).to_pylist() for path in sorted(folder.glob("*.parquet"))}


def test_a_pipeline_needs_no_key_and_no_network(job: Job) -> None:
    for source, target in (("in/part1.jsonl", "one.parquet"), ("in/part0.parquet", "two.jsonl"), ("in", "three")):
        code, out, err = ended(modelcall(job.folder, "pipeline", source, target))
        assert code == 0, out + err
    assert pq.read_table(job.folder / "one.parquet").num_rows == ROWS
    lines = (job.folder / "two.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == [f"0-{row}" for row in range(ROWS)]
    assert all(json.loads(line)["score"] in range(6) for line in lines)
    assert len(list((job.folder / "three").glob("*.parquet"))) == 8
