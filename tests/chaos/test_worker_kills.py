"""Worker processes killed at any moment, and their owner now and then: outputs as if none had been."""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from modelcall.engines.pool import TRIES
from modelcall.mock.faults.rules import parse_faults
from modelcall.mock.options import MockOptions
from modelcall.mock.process import EmbeddedServer
from tests.chaos.job import LATENCY, Job, Process, any_way
from tests.cli.test_workers import workers_of
from tests.crash.nursery import Nursery

ROWS = 60
COLD = ("env",)
LIVES = 6
FAILED = 3
"""Exit code of a run that has scored not everything."""
RUNS = 10
Begin = Callable[..., Job]


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer(MockOptions(faults=parse_faults({"mix": 0.05}), latency=2 * LATENCY)) as running:
        yield running


@pytest.fixture(scope="module")
def begin(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Begin]:
    """Makes jobs that know what comes out of one process that is not killed."""
    with Nursery("tests.chaos.job") as nursery:
        unkilled = Job(tmp_path_factory.mktemp("unkilled") / "job", server, nursery, rows=ROWS).end()
        yield partial(Job, server=server, nursery=nursery, unkilled=unkilled, rows=ROWS, launcher=COLD)


def killing(job: Job, rng: random.Random) -> Callable[[Process], None]:
    """Kill workers one after another, and sometimes who gives them their work."""

    def blow(process: Process) -> None:
        for _ in range(rng.randrange(1, 4)):
            time.sleep(rng.random() * 0.4)
            workers = workers_of(process.pid)
            if workers and process.poll() is None:
                with suppress(ProcessLookupError):
                    os.kill(rng.choice(workers), signal.SIGKILL)
                    job.kills += 1
        if rng.random() < 0.25 and process.poll() is None:
            process.send_signal(signal.SIGKILL)

    return blow


def has_given_up(job: Job, code: int) -> bool:
    """Whether three blows on end have hit who had the same file, which has failed for it until the next start."""
    last = max((job.folder / "logs").glob("*.log"))
    return code == FAILED and f"{TRIES} times with this job" in last.read_text()


@pytest.mark.parametrize(
    ("seed", "runs"), [(0, 2), *(pytest.param(seed, RUNS, marks=pytest.mark.long) for seed in range(1, 21))]
)
def test_runs_whose_workers_are_killed_end_as_if_they_had_not_been(
    begin: Begin, tmp_path: Path, record_property: Callable[[str, object], None], seed: int, runs: int
) -> None:
    rng, killed = random.Random(seed), 0
    for number in range(runs):
        job = begin(tmp_path / str(number), workers=rng.choice([2, 2, 3]))
        for _ in range(LIVES):
            ended = job.life(killing(job, rng), *any_way(rng), after=rng.randrange(200))
            if ended.code == 0:
                break
            assert ended.code == -signal.SIGKILL or has_given_up(job, ended.code), ended.err
        job.end()
        killed += job.kills
        shutil.rmtree(job.folder)
    record_property("kills", killed)
    record_property("runs", runs)
