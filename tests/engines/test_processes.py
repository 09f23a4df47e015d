from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from modelcall.engines.inline import InlineEngine
from modelcall.engines.pool import TRIES
from modelcall.engines.processes import ProcessEngine
from modelcall.engines.worker import WorkerError
from modelcall.errors import FatalError
from modelcall.log import LogSettings
from modelcall.state.lock import start_time
from tests.engines import works
from tests.engines.works import Job, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from modelcall.engines.base import Engine


async def all_of(engine: Engine, work: Any, jobs: Sequence[Job]) -> list[Result]:
    async with aclosing(engine.run(work, jobs)) as results:
        return [result async for result in results]


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not met():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("engine", [InlineEngine(), ProcessEngine(2)], ids=["inline", "processes"])
async def test_every_job_has_its_result(engine: Engine) -> None:
    jobs = [Job(str(number)) for number in range(50)]

    results = await all_of(engine, works.square, jobs)

    assert sorted(results, key=lambda result: int(result.job.name)) == [
        Result(job, str(number**2)) for number, job in enumerate(jobs)
    ]


async def test_jobs_are_shared_among_processes_that_are_not_ours(tmp_path: Path) -> None:
    results = await all_of(ProcessEngine(3), works.pid, [Job("3", str(tmp_path))] * 3)

    pids = {int(result.said) for result in results}
    assert len(pids) == 3
    assert os.getpid() not in pids
    assert [pid for pid in pids if start_time(pid)] == []


async def test_no_more_processes_than_jobs(tmp_path: Path) -> None:
    assert await all_of(ProcessEngine(8), works.square, []) == []
    results = await all_of(ProcessEngine(8), works.pid, [Job("1", str(tmp_path))])
    assert len(results) == len(list(tmp_path.iterdir())) == 1


async def test_a_work_may_hold_several_jobs_and_end_them_in_any_order() -> None:
    jobs = [Job(str(number)) for number in range(8)]

    results = await all_of(ProcessEngine(1), works.two_at_once, jobs)

    assert [result.job.name for result in results] == ["1", "0", "3", "2", "5", "4", "7", "6"]


async def test_our_own_errors_arrive_as_they_are() -> None:
    with pytest.raises(FatalError, match="disk full") as caught:
        await all_of(ProcessEngine(2), works.raises, [Job("x"), Job("ours")])
    assert caught.value.hint == "free space"


@pytest.mark.parametrize(("name", "said"), [("other", "ZeroDivisionError: by nothing"), ("unpicklable", "pickle")])
async def test_other_errors_arrive_with_their_traceback(name: str, said: str) -> None:
    with pytest.raises(WorkerError, match=said) as caught:
        await all_of(ProcessEngine(2), works.raises, [Job("x"), Job(name)])
    assert "Traceback" in str(caught.value)


async def test_a_dead_worker_is_replaced_and_its_job_done_again(tmp_path: Path) -> None:
    jobs = [Job(name, str(tmp_path)) for name in ("a", "once-1", "b", "once-2", "c", "d")]

    results = await all_of(ProcessEngine(2), works.dies, jobs)

    assert {result.job.name: result.said for result in results} == {
        **dict.fromkeys("abcd", "try 1"),
        "once-1": "try 2",
        "once-2": "try 2",
    }


@pytest.mark.parametrize(
    ("name", "how"),
    [("always", "was killed by SIGKILL (this machine may be out of memory)"), ("leaves", "ended with code 3")],
)
async def test_a_job_that_kills_its_workers_is_given_up_and_the_others_go_on(
    tmp_path: Path, name: str, how: str
) -> None:
    jobs = [Job(each, str(tmp_path)) for each in ("a", name, "b")]

    results = await all_of(ProcessEngine(1, give_up=Result), works.dies, jobs)

    assert {result.job.name: result.said for result in results} == {
        "a": "try 1",
        "b": "try 1",
        name: f"the worker process {how}, 3 times with this job",
    }
    assert (tmp_path / name).read_text() == str(TRIES)


@pytest.mark.parametrize("processes", [1, 2])
async def test_jobs_beside_one_that_kills_its_workers_are_not_blamed_for_it(processes: int) -> None:
    jobs = [Job(name) for name in ("a", "b", "poison", "c", "d", "e")]

    results = await all_of(ProcessEngine(processes, give_up=Result), works.dies_beside, jobs)

    said = {result.job.name: result.said for result in results}
    assert {name for name, how in said.items() if how == "fine"} == set("abcde")
    assert "3 times with this job" in said["poison"]


async def test_a_dead_worker_is_replaced_though_others_are_at_work_who_may_not_take_its_job(tmp_path: Path) -> None:
    jobs = [Job(name, str(tmp_path)) for name in ("waits", "dies")]

    results = await all_of(ProcessEngine(2), works.dies_apart, jobs)

    assert {result.job.name: result.said for result in results} == {"waits": "fine", "dies": "fine"}


async def test_without_a_way_to_give_up_the_run_ends(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match=r"always.*was killed by SIGKILL"):
        await all_of(ProcessEngine(2), works.dies, [Job("always", str(tmp_path))])


async def test_workers_that_never_begin_end_the_run() -> None:
    with pytest.raises(FatalError, match="worker processes end before they are ready: the last one ended with code 1"):
        await all_of(ProcessEngine(2), works.Unloadable(), [Job("1"), Job("2"), Job("3")])


async def test_closing_ends_the_work_in_every_process(tmp_path: Path) -> None:
    jobs = [Job(name, str(tmp_path)) for name in ("quick", "a", "b")]

    async with aclosing(ProcessEngine(2).run(works.waits, jobs)) as results:
        assert (await anext(results)).said == "done"
        await until(lambda: len(list(tmp_path.glob("waits-*"))) == 2)

    assert {path.name.partition("-")[2] for path in tmp_path.glob("began-*")} == {
        path.name.partition("-")[2] for path in tmp_path.glob("ended-*")
    }
    ended = {int(path.name.partition("-")[2]) for path in tmp_path.glob("ended-*")}
    assert ended
    assert [pid for pid in ended if start_time(pid)] == []


async def test_work_that_does_not_end_is_killed(tmp_path: Path) -> None:
    engine = ProcessEngine(1, grace_seconds=0.2)
    jobs = [Job("quick", str(tmp_path)), Job("stubborn", str(tmp_path))]

    async with aclosing(engine.run(works.waits, jobs)) as results:
        await anext(results)
        await until((tmp_path / "waits-stubborn").exists)

    (pid,) = {int(path.name.partition("-")[2]) for path in tmp_path.glob("began-*")}
    assert start_time(pid) == ""


async def test_signals_do_not_end_workers(tmp_path: Path) -> None:
    async with aclosing(ProcessEngine(2).run(works.pid, [Job("3", str(tmp_path))] * 2)) as results:
        first = asyncio.ensure_future(anext(results))
        await until(lambda: len(list(tmp_path.iterdir())) == 2)
        pids = [int(path.name) for path in tmp_path.iterdir()]
        for pid in pids:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                os.kill(pid, number)
        (tmp_path / "third").touch()
        said = [await first, *[result async for result in results]]
        assert {int(result.said) for result in said} == set(pids)


def test_workers_end_with_their_owner(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}  # noqa: TID251  a child's environment
    command = [sys.executable, str(Path(works.__file__)), str(tmp_path)]
    with subprocess.Popen(command, env=environment, cwd=root) as owner:
        deadline = time.monotonic() + 60
        while len(list(tmp_path.glob("began-*"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        pids = [int(path.name.partition("-")[2]) for path in tmp_path.glob("began-*")]
        owner.kill()
    while any(map(start_time, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)

    orphans = [pid for pid in pids if start_time(pid)]
    for pid in orphans:
        os.kill(pid, signal.SIGKILL)
    assert len(pids) == 2
    assert orphans == []
    assert list(tmp_path.glob("ended-*")) == []


async def test_workers_log_where_they_are_told(tmp_path: Path) -> None:
    log = LogSettings(file=tmp_path / "run.log", language="en", terminal=False)

    await all_of(ProcessEngine(1, log=log), works.square, [Job("2")])

    assert (tmp_path / "run.log").exists()
