"""A run with one schema for all outputs, killed and started again."""

import json
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import yaml

from modelcall.mock.process import EmbeddedServer
from tests.resume.killed import answers, modelcall, task

ROWS = 20
KILLS = 3
TEXT = "The river carries silt from the hills to the sea, row {} of file {}."


def fill(folder: Path, server: EmbeddedServer) -> None:
    (folder / "in").mkdir(parents=True)
    for number in range(4):
        texts = [TEXT.format(row, number) for row in range(ROWS)]
        ids = pa.array(range(ROWS), pa.int64() if number % 2 else pa.int32())
        pq.write_table(pa.table({"text": texts, "id": ids, f"own{number}": ids}), folder / f"in/{number}.parquet")
    lines = (json.dumps({"id": row, "text": TEXT.format(row, 4), "own0": None}) + "\n" for row in range(ROWS))
    (folder / "in/4.jsonl").write_text("".join(lines))
    made = task(server.base_url)
    made["data"] |= {"output_format": "parquet", "unify_schema": True}
    (folder / "task.yaml").write_text(yaml.safe_dump(made))


def outputs(folder: Path) -> dict[str, pa.Table]:
    return {path.name: pq.read_table(path) for path in sorted((folder / "out").glob("*.parquet"))}


def test_a_killed_run_ends_as_one_that_was_not(tmp_path: Path, server: EmbeddedServer) -> None:
    fill(tmp_path / "killed", server)
    fill(tmp_path / "whole", server)
    for _ in range(KILLS):
        with modelcall(tmp_path / "killed", "run-task", "task.yaml") as child:
            before, deadline = answers(tmp_path / "killed"), time.monotonic() + 60
            while child.poll() is None and answers(tmp_path / "killed") <= before and time.monotonic() < deadline:
                time.sleep(0.005)
            child.kill()
    for name in ("killed", "whole"):
        assert modelcall(tmp_path / name, "run-task", "task.yaml").wait(60) == 0
    killed, whole = outputs(tmp_path / "killed"), outputs(tmp_path / "whole")
    assert killed.keys() == whole.keys()
    assert len(killed) == 5
    for name, table in whole.items():
        wanted = [column for column in table.column_names if column != "api_attempts"]
        assert killed[name].select(wanted).equals(table.select(wanted))
        assert killed[name].schema.equals(whole["0.parquet"].schema, check_metadata=True)
    assert ds.dataset(tmp_path / "killed/out", format="parquet").count_rows() == 5 * ROWS
    assert modelcall(tmp_path / "killed", "verify", "out").wait(60) == 0
