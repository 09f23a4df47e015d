"""Tasks over TOS that fails now and then, killed in every way, machines lost: outputs as if nothing had happened."""

import json
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from http.client import HTTPException
from pathlib import Path

import pytest

from modelcall.cli.main import run
from modelcall.fs.tos.filesystem import TosFileSystem
from modelcall.mock.faults.rules import parse_faults
from modelcall.mock.options import MockOptions
from modelcall.mock.process import EmbeddedServer
from modelcall.mock.tos.process import TosProcess
from modelcall.state.copies import COPY_SECONDS
from tests.chaos.job import LATENCY, PATIENCE, Job, Process, any_way, stem_of
from tests.chaos.test_cli_kills import any_blow, kill, later, wait_for
from tests.chaos.tos_job import ASLEEP, CALL, TOS_STEPS, Reader, Sending, TosJob, any_fate, is_remote
from tests.crash.fates import Fate
from tests.crash.nursery import COMMAND_LINE, Child, Nursery
from tests.crash.run import Place
from tests.fs_tos.kit import store
from tests.mock_tos.sdk import small

USUAL, UNUSUAL = {"mix": 0.05}, {"mix": 0.15}
"""Faults of the endpoint: rows that are asked anew need other numbers of attempts, and their output has other bytes."""
FAULTS = ("mix=0.05", "trickle=0.01")
Begin = Callable[..., TosJob]
LIVES = 12
"""Of a job at most, before it is let live in peace."""


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    options = MockOptions(faults=parse_faults(USUAL), latency=LATENCY, time_scale=0.5)
    with EmbeddedServer(options) as running:
        yield running


@pytest.fixture(scope="module")
def shared_tos() -> Iterator[TosProcess]:
    with TosProcess(small()) as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment.items():
            patch.setenv(name, value)
        yield running


@pytest.fixture
def tos(shared_tos: TosProcess) -> Iterator[TosProcess]:
    """A TOS without faults, until a test sets some."""
    shared_tos.control("POST", "/reset")
    yield shared_tos
    shared_tos.set_faults()


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery("tests.chaos.tos_job", *COMMAND_LINE, "modelcall.scorers.judge_plan") as warm:
        yield warm


@pytest.fixture(scope="module")
def own(shared_tos: TosProcess) -> Iterator[TosFileSystem]:
    made = store(shared_tos)
    yield made
    made.close()


@pytest.fixture(scope="module")
def unkilled(server: EmbeddedServer, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What comes out on the local disk if nothing happens."""
    return Job(tmp_path_factory.mktemp("unkilled") / "job", server, nursery).end()


@pytest.fixture
def begin(
    server: EmbeddedServer, nursery: Nursery, tos: TosProcess, own: TosFileSystem, unkilled: dict[str, object]
) -> Iterator[Begin]:
    yield partial(TosJob, server=server, nursery=nursery, tos=tos, store=own, unkilled=unkilled)
    server.set_faults(USUAL)


def nothing(_: Process) -> None:
    """Let it live."""


@pytest.mark.parametrize(
    ("seed", "kills"), [(0, 6), *(pytest.param(seed, 25, marks=pytest.mark.long) for seed in range(1, 9))]
)
def test_tasks_killed_on_machines_that_are_lost_end_as_if_they_had_not_been(
    begin: Begin, tmp_path: Path, record_property: Callable[[str, object], None], seed: int, kills: int
) -> None:
    print(f"seed {seed}")
    rng, killed, starts, losses, early = random.Random(seed), 0, 0, 0, 0
    while killed < kills:
        job = begin(
            tmp_path / f"{seed}-{starts}",
            output=rng.choice(["out", "out/{timestamp}"]),
            stat=rng.choice([None, "stat"]),
        )
        job.tos.set_faults(*FAULTS)
        with Reader(job) as reader:
            for _ in range(LIVES):
                starts += 1
                job.sending = Sending.drawn(rng)
                job.server.set_faults(rng.choice([USUAL, UNUSUAL]))
                if one_life(job, rng):
                    break
                if rng.random() < 0.5:
                    job.lose_machine()
                    losses += 1
            job.end()
        early += reader.early
        killed += job.kills
        shutil.rmtree(job.folder)
    operations = job.tos.report()["operations"]
    assert operations["complete_multipart_upload"] > 0
    for name, count in (("kills", killed), ("starts", starts), ("machines", losses), ("read before the end", early)):
        record_property(name, count)


def one_life(job: TosJob, rng: random.Random) -> bool:
    """Start, and end in some way; return whether it lived to the end of the run."""
    if rng.random() < 0.5:
        job.fate = any_fate(rng)
        return job.life(nothing, *any_way(rng)).code == 0
    job.fate = Fate()
    after, pause = rng.choice([(0, 1.0), (1, 0.3), (rng.randrange(60), 0.3)])
    return job.life(later(any_blow(rng), rng.random() * pause), *any_way(rng), after=after).code == 0


def losses() -> Iterator[object]:
    """Steps of runs over so many files: a single one is alone in its copies."""
    yield "manifest written", False, 1
    for step in TOS_STEPS:
        for after in (False, True):
            yield pytest.param(step, after, 4, marks=pytest.mark.long)


@pytest.mark.parametrize(("step", "after", "files"), list(losses()))
def test_a_machine_that_is_lost_at_any_step_costs_what_was_not_yet_copied(
    begin: Begin, tmp_path: Path, step: str, after: bool, files: int
) -> None:
    """Nothing that is published, above all, though its entry may be missing."""
    job = begin(tmp_path / "job", files=files, sending=Sending(copy_seconds=7.0))
    job.unkilled = dict(sorted((job.unkilled or {}).items())[:files])
    with Reader(job):
        for nth in range(2):
            job.fate = Fate(step=step, nth=nth, after=after)
            if job.life(nothing).code == 0:
                break
            job.lose_machine()
            job.server.set_faults(UNUSUAL)
        job.end()


def test_who_is_asked_to_end_has_copied_everything(begin: Begin, tmp_path: Path) -> None:
    job = begin(tmp_path / "job", options={"grace_seconds": 30}, sending=Sending(copy_seconds=7.0))
    ended = job.life(lambda process: process.send_signal(signal.SIGTERM), after=10)
    assert ended.code == 143, ended.err
    assert 0 < len(job.recorded()) == job.server.referee().answered_rows < 120
    job.lose_machine()
    assert job.lost == 0
    job.end()


@pytest.mark.parametrize(
    "data", [{"output": "./out", "stat": "stat", "input": "./in"}, {"output": "out", "stat": "./stat"}]
)
def test_progress_and_output_may_be_in_different_places(begin: Begin, tmp_path: Path, data: dict[str, str]) -> None:
    rng = random.Random(1)
    job = begin(tmp_path / "job", **data)
    job.tos.set_faults(*FAULTS)
    for _ in range(3):
        job.life(kill, *any_way(rng), after=rng.randrange(1, 30))
        if is_remote(data["stat"]):
            job.lose_machine()
    job.end()


def test_another_machine_sees_what_is_recorded_while_it_goes_on(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    job = begin(tmp_path / "job", sending=Sending(copy_seconds=0.05, copy_bytes=1))
    monkeypatch.chdir(job.folder)
    monkeypatch.setenv("MODELCALL_WORK_DIR", "another")
    process, seen, looks = job.start("--set", "concurrency.max_concurrent_requests=2"), set[Place](), 0
    wait_for(lambda: bool(job.copied()))
    while process.poll() is None:
        copied, lines = job.copied(), results(capfd)
        assert seen | copied <= lines
        looks += seen < lines
        seen = lines
    assert looks > 0
    assert (process.returncode, len(results(capfd))) == (0, 120)
    assert not (job.folder / "another").exists()
    job.end()


def results(capfd: pytest.CaptureFixture[str]) -> set[Place]:
    capfd.readouterr()
    assert run(["results", "task.yaml", "--json"]) == 0
    lines = map(json.loads, capfd.readouterr().out.splitlines())
    return {(line["file"], line["row_index"]) for line in lines}


def test_failed_rows_are_asked_again_by_machines_that_did_not_see_them_fail(begin: Begin, tmp_path: Path) -> None:
    job = begin(tmp_path / "job", sending=Sending(copy_seconds=0.05))
    job.server.set_faults({"score_missing": 0.5})
    assert job.life(nothing, "--set", "retry.max_retries=0").code == 3
    job.server.set_faults(USUAL)
    answered = job.server.referee().answered
    options = ["--retry_failed"]
    for after in (5, 20, 5):
        job.lose_machine()
        before, kept = job.server.rows(), job.copied()
        job.life(kill, *options, after=after, anew=True)
        now = job.server.rows()
        assert [place for place in kept if now[stem_of(place)] != before[stem_of(place)]] == []
        options = []
    job.lose_machine()
    assert job.lost < 120
    ended = job.life(nothing, anew=True)
    assert ended.code == 0, ended.err
    assert job.scored() == job.unkilled
    asked_again = job.server.referee().answered - answered
    assert 0 < asked_again <= 120 + job.excused()
    assert job.copied() == set()


AWAY: dict[str, tuple[Callable[[TosProcess], object], str]] = {
    "failing": (lambda tos: tos.set_faults("unavailable"), "Look at the network"),
    "gone": (lambda tos: tos.control("POST", "/outage", {"seconds": 3}), "Look at the network"),
    "expired": (lambda tos: tos.set_faults("expired_token"), "Set TOS_SECURITY_TOKEN"),
}


@pytest.mark.parametrize("how", ["failing", pytest.param("gone", marks=pytest.mark.long), "expired"])
def test_a_store_that_stays_away_stops_the_run_and_it_goes_on_later(begin: Begin, tmp_path: Path, how: str) -> None:
    job = begin(tmp_path / "job", sending=Sending(budget=1.0))
    act, way_out = AWAY[how]

    def go_away(_: Process) -> None:
        act(job.tos)

    ended = job.life(go_away, after=30)
    assert ended.code == 4, ended.err
    assert way_out in ended.err.rstrip().rpartition("\n")[2], ended.err
    job.tos.set_faults()
    referee = job.server.referee()
    assert referee.in_flight == 0
    wait_for(lambda: is_there(job.tos))
    assert len(job.recorded()) == referee.answered_rows
    job.end()


def is_there(tos: TosProcess) -> bool:
    with suppress(OSError, HTTPException):
        tos.report()
        return True
    return False


@pytest.mark.parametrize("files", [6, pytest.param(150, marks=pytest.mark.long)])
def test_what_was_done_though_nobody_heard_of_it_is_done_once(
    begin: Begin, tmp_path: Path, record_property: Callable[[str, object], None], files: int
) -> None:
    job = begin(tmp_path / "job", files=files, rows=2, unkilled=None, sending=Sending(part_bytes=2 << 10))
    job.tos.set_faults("lost_ack=0.4")
    with Reader(job):
        job.end()
    lost = job.tos.report()["faults"]["lost_ack"]
    assert lost >= files
    record_property("lost acknowledgements", lost)


SLEEPS = {("manifest written", False)}


@pytest.mark.parametrize(
    ("step", "after"),
    [
        pytest.param(step, after, marks=() if (step, after) in SLEEPS else pytest.mark.long)
        for step in TOS_STEPS
        if step not in {"lock taken", CALL}
        for after in (False, True)
    ],
)
def test_an_owner_that_slept_and_was_replaced_harms_nothing(
    begin: Begin, tmp_path: Path, step: str, after: bool
) -> None:
    """Its heir ends the run, or dies in the middle of publishing and is lost: then a third goes on."""
    for fate in (Fate(), Fate(step="manifest written", nth=1)):
        job = begin(tmp_path / f"{fate.step is None}", machine="sleepers")
        sleeper = job.put_to_sleep(Fate(step=step, nth=1, after=after, blow=signal.SIGSTOP))
        with Reader(job):
            job.move_to("heirs")
            job.as_heir, job.fate = True, fate
            job.server.set_faults(UNUSUAL)
            job.life(nothing)
            wake(job, sleeper)
            job.lose_machine()
            job.end()


def wake(job: TosJob, sleeper: Child) -> None:
    """Let an owner go on that was replaced: it ends, and what it asked until it knew is its own."""
    before = job.server.referee().answered
    sleeper.send(signal.SIGCONT)
    sleeper.wait()
    told = (job.folder / ASLEEP).read_text()
    assert sleeper.code == 0 or (sleeper.code == 4 and "another process has taken over" in told), told
    job.lost += job.server.referee().answered - before
    job.kills += 1  # of what was under way when it fell asleep as little is left


@pytest.mark.long
def test_a_lost_machine_costs_ten_seconds(begin: Begin, tmp_path: Path) -> None:
    """With the sizes and times of every day."""
    with EmbeddedServer(MockOptions(latency=0.5)) as slow:
        job = begin(tmp_path / "job", server=slow, rows=200, unkilled=None, sending=Sending(8 << 20, COPY_SECONDS))
        process = job.start("--set", "concurrency.max_concurrent_requests=4")
        wait_for(lambda: len(job.recorded()) > 4)
        begun, seen = time.monotonic(), list[tuple[float, set[Place]]]()
        while time.monotonic() < begun + 25:
            seen.append((time.monotonic(), job.recorded()))
            time.sleep(0.2)
        killed = time.monotonic()
        kill(process)
        process.communicate(timeout=PATIENCE)
        old = set().union(*(recorded for when, recorded in seen if when < killed - 10))
        assert len(old) > 50
        job.lose_machine()
        assert 0 < job.lost < len(seen[-1][1]) - len(old) + 8
        assert old <= job.recorded()
        job.life(kill, after=20)
