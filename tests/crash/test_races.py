"""Starters of one output that begin at the same moment."""

import contextlib
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from modelcall.cli.main import run
from tests.crash.nursery import COMMAND_LINE, Child, Nursery

SCORER = """
import pathlib, time

class Waiting:
    columns = {"score": "int"}
    def score(self, item):
        while not pathlib.Path("go").exists():
            time.sleep(0.001)
        return {**item, "score": len(item["text"])}
"""
TASK = """
task_name: race
data: {input_folder: ./in, output_folder: ./out, output_format: parquet}
scorer: {name: "waiting:Waiting"}
"""
SHARDS = 5


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery("tests.crash.test_races", "tests.crash.lives", *COMMAND_LINE) as warm:
        yield warm


def start(folder: str, name: str, when: float, *arguments: str) -> int:
    """`modelcall …` at a moment that others wait for, too."""
    os.chdir(folder)
    with Path(f"{name}.err").open("w") as err, contextlib.redirect_stderr(err), contextlib.redirect_stdout(err):
        while time.monotonic() < when:
            pass
        return run([*arguments, "-q"])


def prepare(folder: Path, files: int) -> None:
    (folder / "in").mkdir(parents=True)
    (folder / "waiting.py").write_text(SCORER)
    (folder / "task.yaml").write_text(TASK)
    for number in range(files):
        rows = [json.dumps({"text": f"{number} {row}"}) for row in range(number % 4 + 1)]
        (folder / f"in/{number}.jsonl").write_text("\n".join(rows) + "\n")


def race(nursery: Nursery, folder: Path, rng: random.Random) -> None:
    """Two starters at once: one works until the other has been refused."""
    prepare(folder, 2)
    compete(nursery, folder, rng)
    assert [pq.read_table(folder / f"out/{number}.parquet").num_rows for number in range(2)] == [1, 2]


def compete(nursery: Nursery, folder: Path, rng: random.Random) -> None:
    moment = time.monotonic() + 0.05
    names = ["one", "two"]
    moments = [moment, moment + rng.choice([0, 0, rng.random() * 0.02])]
    both = [
        nursery.fork(start, str(folder), *each, "run-task", "task.yaml") for each in zip(names, moments, strict=True)
    ]
    while all(child.code is None for child in both):
        nursery.listen(0.01)
    loser = next(number for number, child in enumerate(both) if child.code is not None)
    told = (folder / f"{names[loser]}.err").read_text()
    assert both[loser].code == 2, told
    assert f"process {both[1 - loser].pid} on" in told
    (folder / "go").touch()
    both[1 - loser].wait()
    assert both[1 - loser].code == 0


@pytest.mark.parametrize(
    ("seed", "races"), [(0, 20), *(pytest.param(seed, 100, marks=pytest.mark.long) for seed in range(1, 6))]
)
def test_of_two_starters_one_works_and_the_other_is_told_who(
    nursery: Nursery, tmp_path: Path, record_property: Callable[[str, object], None], seed: int, races: int
) -> None:
    rng = random.Random(seed)
    for number in range(races):
        race(nursery, tmp_path / str(number), rng)
    record_property("races", races)


def scored(folder: Path) -> dict[str, object]:
    return {path.name: pq.read_table(path).to_pylist() for path in sorted((folder / "out").glob("*.parquet"))}


@pytest.mark.parametrize("times", [1, pytest.param(20, marks=pytest.mark.long)])
def test_five_shards_of_one_output_do_not_quarrel(nursery: Nursery, tmp_path: Path, times: int) -> None:
    for number in range(times):
        whole, parts = tmp_path / f"whole{number}", tmp_path / f"parts{number}"
        for folder in (whole, parts):
            prepare(folder, 9)
            (folder / "go").touch()
        nursery.fork(start, str(whole), "whole", 0.0, "run-task", "task.yaml").wait()
        moment = time.monotonic() + 0.1
        options = ("run-task", "task.yaml", "--world_size", str(SHARDS), "--job_index")
        shards: list[Child] = [
            nursery.fork(start, str(parts), str(index), moment, *options, str(index)) for index in range(SHARDS)
        ]
        for shard in shards:
            shard.wait()
        assert [shard.code for shard in shards] == [0] * SHARDS
        assert scored(parts) == scored(whole)
        assert run(["verify", str(parts / "out")]) == 0
