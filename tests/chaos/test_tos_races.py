"""Starters of one output in TOS that begin at the same moment."""

import random
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from modelcall.mock.tos.process import TosProcess
from tests.crash.nursery import COMMAND_LINE, Nursery
from tests.crash.test_races import compete, prepare
from tests.fs_tos.kit import store
from tests.mock_tos.sdk import BUCKET, small

TASK = """
task_name: race
data: {{input_folder: ./in, output_folder: {output}, output_format: parquet}}
scorer: {{name: "waiting:Waiting"}}
"""


RACES = 10


@pytest.fixture(scope="module", autouse=True)
def tos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TosProcess]:
    """What the starters find in their environment."""
    with TosProcess(small()) as running, pytest.MonkeyPatch.context() as patch:
        work = str(tmp_path_factory.mktemp("work"))
        for name, value in {**running.environment, "MODELCALL_WORK_DIR": work}.items():
            patch.setenv(name, value)
        yield running


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery("tests.crash.test_races", "tests.crash.lives", *COMMAND_LINE, "modelcall.fs.tos.filesystem") as warm:
        yield warm


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 11))])
def test_of_two_starters_in_tos_one_works_and_the_other_is_told_who(
    nursery: Nursery, tos: TosProcess, tmp_path: Path, record_property: Callable[[str, object], None], seed: int
) -> None:
    rng, fs = random.Random(seed), store(tos)
    for number in range(RACES):
        folder, output = tmp_path / str(number), f"tos://{BUCKET}/{seed}-{number}"
        prepare(folder, 2)
        (folder / "task.yaml").write_text(TASK.format(output=output))
        compete(nursery, folder, rng)
        tables = [pq.read_table(BytesIO(fs.read_bytes(f"{output}/{file}.parquet"))) for file in range(2)]
        assert [table.num_rows for table in tables] == [1, 2]
    fs.close()
    record_property("races", RACES)
