"""The whole command line, killed and signalled in every way there is: outputs as if it had not been."""

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

from modelcall.mock.faults.rules import parse_faults
from modelcall.mock.options import MockOptions
from modelcall.mock.process import EmbeddedServer
from tests.chaos.job import CEILING, LATENCY, PATIENCE, Job, Process, any_way, left_behind
from tests.crash.nursery import COMMAND_LINE, Nursery

COLD = ("env",)
"""A launcher that does nothing: the interpreter starts from nothing."""
Blow = Callable[[Process], None]
Begin = Callable[..., Job]
LIVES = 12
"""Of a job at most, before it is let live in peace."""


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    options = MockOptions(faults=parse_faults({"mix": 0.05}), latency=LATENCY, time_scale=0.5)
    with EmbeddedServer(options) as running:
        yield running


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery("tests.chaos.job", "tests.crash.lives", *COMMAND_LINE, "modelcall.scorers.judge_plan") as warm:
        yield warm


@pytest.fixture(scope="module")
def begin(server: EmbeddedServer, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Begin:
    """Makes jobs that know what comes out if they are not killed."""
    unkilled = Job(tmp_path_factory.mktemp("unkilled") / "job", server, nursery).end()
    return partial(Job, server=server, nursery=nursery, unkilled=unkilled)


def kill(process: Process) -> None:
    process.send_signal(signal.SIGKILL)


def kill_group(process: Process) -> None:
    with suppress(ProcessLookupError):  # it has just ended, or is not the head of a group yet
        os.killpg(process.pid, signal.SIGKILL)


def signalled(*numbers: signal.Signals, pause: float) -> Blow:
    """Signals one after another, as long as it lives."""

    def blow(process: Process) -> None:
        for number in numbers:
            process.send_signal(number)
            time.sleep(pause)

    return blow


twice = signalled(signal.SIGINT, signal.SIGINT, pause=0.05)


def later(blow: Blow, seconds: float) -> Blow:
    def delayed(process: Process) -> None:
        time.sleep(seconds)
        blow(process)

    return delayed


def any_blow(rng: random.Random) -> Blow:
    """A way to end: mostly at once and without a word."""
    later = rng.random() * 0.3
    return rng.choice(
        [
            kill,
            kill,
            kill_group,
            signalled(signal.SIGTERM, signal.SIGKILL, pause=later),
            signalled(signal.SIGINT, signal.SIGINT, signal.SIGKILL, pause=later),
            signalled(signal.SIGHUP, signal.SIGKILL, pause=later),
        ]
    )


@pytest.mark.parametrize(
    ("seed", "kills"), [(0, 20), *(pytest.param(seed, 25, marks=pytest.mark.long) for seed in range(1, 41))]
)
def test_tasks_killed_again_and_again_end_as_if_they_had_not_been(
    begin: Begin, tmp_path: Path, record_property: Callable[[str, object], None], seed: int, kills: int
) -> None:
    rng, killed, starts = random.Random(seed), 0, 0
    while killed < kills:
        job = begin(
            tmp_path / str(starts), output=rng.choice(["./out", "./out/{timestamp}"]), launcher=COLD if seed else ()
        )
        for _ in range(LIVES):
            starts += 1
            after = rng.choice([0, 1, rng.randrange(60)])
            if job.life(later(any_blow(rng), rng.random() * 0.1), *any_way(rng), after=after).code == 0:
                break
        job.end()
        killed += job.kills
        shutil.rmtree(job.folder)
    record_property("kills", killed)
    record_property("starts", starts)


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), pytest.param(signal.SIGHUP, 129, marks=pytest.mark.long)],
)
def test_the_first_signal_drains_saves_and_tells(
    begin: Begin, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    job = begin(tmp_path / "job", options={"grace_seconds": 30}, launcher=COLD)
    ended = job.life(lambda process: process.send_signal(number), after=10)
    assert ended.code == code, ended.err
    assert "progress is kept" in ended.err
    referee = job.server.referee()
    assert referee.in_flight == 0
    assert len(job.recorded()) == referee.answered_rows < 120
    assert list(left_behind(job.mark)) == []
    job.end()


def test_without_grace_no_answer_is_waited_for(begin: Begin, tmp_path: Path) -> None:
    job = begin(tmp_path / "job", options={"grace_seconds": 0})
    ended = job.life(lambda process: process.send_signal(signal.SIGTERM), after=10)
    assert ended.code == 143, ended.err
    assert job.server.referee().answered_rows - len(job.recorded()) <= CEILING
    job.kills += 1  # as good as one, to what was under way
    job.end()


def test_a_run_under_a_launcher_survives_the_end_of_its_terminal(begin: Begin, tmp_path: Path) -> None:
    job = begin(tmp_path / "job", launcher=("nohup",))
    ended = job.life(lambda process: process.send_signal(signal.SIGHUP), after=10)
    assert ended.code == 0, ended.err
    job.end()


@pytest.mark.parametrize("blow", [kill, signalled(signal.SIGTERM, pause=0), twice], ids=["killed", "asked", "twice"])
def test_a_run_takes_the_server_it_started_with_it(begin: Begin, tmp_path: Path, blow: Blow) -> None:
    model = {"provider": "embedded", "model_name": "judge", "embedded": {"latency": "1s"}}
    job = begin(tmp_path / "job", model=model, options={"grace_seconds": 1}, launcher=COLD)
    process = job.start()
    wait_for(lambda: len(list(left_behind(job.mark))) > 1)
    blow(process)
    process.communicate(timeout=PATIENCE)
    wait_for(lambda: not list(left_behind(job.mark)))


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.01)


def test_output_to_be_deleted_costs_no_paid_answer_when_its_run_is_killed(begin: Begin, tmp_path: Path) -> None:
    """A finished run's output is removed once, at the start of the next; its own is not, however often it is killed."""
    rng = random.Random(1)
    job = begin(tmp_path / "job", options={"delete_existing": True, "resume": False})
    job.end()
    job.server.reset()
    for life in range(10):
        ended = job.life(kill, after=rng.randrange(1, 12), anew=life == 0)
        assert ended.code == -signal.SIGKILL, ended.err
    job.end()
