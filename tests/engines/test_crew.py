"""Who looks after workers: what is said to and fro, and what still comes when the run ends."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from modelcall.engines import pool
from modelcall.engines.pool import TRIES
from modelcall.engines.processes import ProcessEngine
from modelcall.errors import FatalError
from tests.engines import works
from tests.engines.test_processes import until
from tests.engines.works import Job, Result

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Crew:
    """Says a word to some workers, and notes what it hears."""

    def __init__(self, *, word: dict[int, str] | None = None, gets_on: bool = False, fails_at: int = 0) -> None:
        self.words = word or {}
        self.gets_on = gets_on
        self.fails_at = fails_at
        """When so many wait, :attr:`then` is called."""
        self.then: Callable[[], None] = lambda: self.there[1]("fail")
        self.heard: list[tuple[int, str]] = []
        self.there: dict[int, Callable[[object], None]] = {}
        self.came: list[int] = []

    def joined(self, worker: int, tell: Callable[[object], None]) -> None:
        self.there[worker] = tell
        self.came.append(worker)
        if worker in self.words:
            tell(self.words[worker])

    def told(self, worker: int, message: Any) -> bool:
        self.heard.append((worker, message))
        if [said for _, said in self.heard].count("waiting") == self.fails_at and message == "waiting":
            self.then()
        return self.gets_on

    def left(self, worker: int) -> None:
        del self.there[worker]

    def failing(self) -> float:
        for tell in self.there.values():
            tell("stop")
        return 30.0


async def test_what_is_said_arrives_in_order_and_also_before_the_work_listens() -> None:
    crew = Crew(word={1: "early"})
    async with aclosing(ProcessEngine(1, crew=crew).run(works.converses, [Job("a"), Job("last words")])) as results:
        assert await anext(results) == Result(Job("a"), "1")
        crew.there[1]("late")
        crew.there[1]("stop")
        assert [result.said async for result in results] == ["after the end"]
    assert [said for _, said in crew.heard if said != "waiting"] == ["heard early", "heard late", "heard stop"]
    assert crew.there == {}


async def until_it_fails(engine: ProcessEngine, jobs: list[Job], saying: str) -> list[Result]:
    """Return what came before the run ended with an error that says so."""
    results: list[Result] = []
    try:
        async with aclosing(engine.run(works.converses, jobs)) as coming:
            async for result in coming:
                results += [result]
    except FatalError as error:
        assert saying in error.message  # noqa: PT017  what came before it is asked for, too
        return results
    raise AssertionError("it did not fail")


async def test_after_an_error_the_others_bring_their_results_before_it_is_raised() -> None:
    engine = ProcessEngine(2, crew=Crew(fails_at=2))
    jobs = [Job("last words"), Job("last words"), Job("x")]
    assert await until_it_fails(engine, jobs, "as told") == [Result(Job("last words"), "after the end")]


async def test_an_error_from_outside_ends_the_run_as_one_of_a_worker() -> None:
    crew = Crew(fails_at=1)
    engine = ProcessEngine(1, crew=crew)
    crew.then = lambda: engine.fail(FatalError("the lock is lost"))
    results = await until_it_fails(engine, [Job("a"), Job("last words")], "the lock is lost")
    assert [result.said for result in results] == ["1", "after the end"]
    assert [said for _, said in crew.heard if said != "waiting"] == ["heard stop"]


async def test_jobs_may_be_added_and_left_out_while_others_run() -> None:
    engine = ProcessEngine(1, crew=Crew())
    names: list[str] = []
    async with aclosing(engine.run(works.converses, [Job("a"), Job("b")])) as results:
        async for result in results:
            names.append(result.job.name)
            if result.job.name == "a":
                engine.add([Job("c"), Job("d")])
            if result.job.name == "d":
                engine.close()
                engine.add([Job("e")])
    assert sorted(names) in (["a", "b", "c", "d"], ["a", "c", "d"]), "b may have been given out by then"


async def test_a_job_that_gets_on_is_not_given_up(tmp_path: Path) -> None:
    """Its workers die for another reason, one after another."""
    crew = Crew(gets_on=True)
    engine = ProcessEngine(1, crew=crew, give_up=Result)
    results = [result async for result in engine.run(works.dies_talking, [Job("x", str(tmp_path))])]
    assert results == [Result(Job("x", str(tmp_path)), f"try {TRIES + 2}")]
    assert crew.came == list(range(1, TRIES + 3))
    assert engine.deaths == TRIES + 1


async def test_a_job_that_gets_on_and_dies_all_the_same_is_given_up_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "MOST_TRIES", 4)
    engine = ProcessEngine(1, crew=Crew(gets_on=True), give_up=Result)
    (result,) = [result async for result in engine.run(works.dies_talking, [Job("x", str(tmp_path))])]
    assert "4 times with this job" in result.said


async def test_when_no_more_jobs_are_to_be_done_nobody_is_replaced() -> None:
    crew = Crew(fails_at=1)
    engine = ProcessEngine(1, crew=crew)

    def close_and_kill() -> None:
        engine.close()
        crew.there[1]("die")

    crew.then = close_and_kill
    assert [result async for result in engine.run(works.converses, [Job("last words"), Job("a")])] == []
    assert (crew.came, engine.deaths) == ([1], 1)


class Helping(Crew):
    """Offers a job for each word that it hears, and says so to the worker if nobody takes it."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = ProcessEngine(2, crew=self)
        self.taken: list[bool] = []

    def all_idle(self) -> bool:
        assert self.engine._pool is not None
        return len(self.engine._pool._idle) == 2

    def told(self, worker: int, message: Any) -> bool:
        super().told(worker, message)
        self.taken.append(self.engine.offer(Job("help")))
        if not self.taken[-1]:
            self.there[worker]("nobody")
        return False


async def test_a_job_is_offered_to_another_worker_that_has_nothing_to_do() -> None:
    crew = Helping()
    said: dict[str, str] = {}
    async with aclosing(crew.engine.run(works.asks, [Job("a"), Job("b")])) as results:
        async for result in results:
            said[result.job.name] = result.said
            if len(said) == 2:
                await until(crew.all_idle)
                crew.engine.add([Job("ask")])
            if result.job.name == "help":
                (asker,) = {1, 2} - {int(result.said)}
                crew.there[asker]("done")
    assert crew.taken == [True]
    assert {said["ask"], said["help"]} == {"1", "2"}


async def test_a_job_is_not_offered_to_the_one_who_asks_nor_after_the_close() -> None:
    crew = Helping()
    crew.engine = ProcessEngine(1, crew=crew)
    async with aclosing(crew.engine.run(works.asks, [Job("b"), Job("ask")])) as results:
        names: list[str] = []
        async for result in results:
            names.append(result.job.name)
            if names[-1] == "help":
                crew.there[1]("done")
    assert names == ["b", "ask"]
    assert crew.taken == [False]
    assert not crew.engine.offer(Job("late"))
    assert not ProcessEngine(1).offer(Job("early"))


async def test_workers_start_while_jobs_are_found_out() -> None:
    crew = Crew()

    async def found() -> list[Job]:
        assert crew.came == [1, 2]
        return [Job("3")]

    async with aclosing(ProcessEngine(2, crew=crew).run(works.square, found())) as results:
        assert [result async for result in results] == [Result(Job("3"), "9")]


async def test_if_jobs_cannot_be_found_out_the_workers_end() -> None:
    crew = Crew()

    async def found() -> list[Job]:
        raise FatalError("the folder is gone")

    with pytest.raises(FatalError, match="the folder is gone"):
        async with aclosing(ProcessEngine(2, crew=crew).run(works.square, found())) as results:
            await anext(results)
    assert (crew.came, crew.there) == ([1, 2], {})


async def test_a_stop_does_not_wait_for_jobs_that_are_being_found_out() -> None:
    engine = ProcessEngine(2)

    async def found() -> list[Job]:
        asyncio.get_running_loop().call_soon(engine.close)
        await asyncio.Event().wait()
        raise AssertionError

    async with aclosing(engine.run(works.square, found())) as results:
        assert [result async for result in results] == []


async def test_workers_that_die_while_jobs_are_found_out_are_replaced() -> None:
    crew = Crew(word={1: "die"})

    async def found() -> list[Job]:
        await until(lambda: crew.came == [1, 2])
        return [Job("3")]

    async with aclosing(ProcessEngine(1, crew=crew).run(works.converses, found())) as results:
        assert [result async for result in results] == [Result(Job("3"), "2")]


async def test_an_offer_dies_with_who_took_it(tmp_path: Path) -> None:
    engine = ProcessEngine(2)

    async def until_idle() -> None:
        await until(lambda: engine._pool is not None and len(engine._pool._idle) == 2)

    said: dict[str, str] = {}
    async with aclosing(engine.run(works.dies, [Job(name, str(tmp_path)) for name in "ab"])) as results:
        async for result in results:
            said[result.job.name] = result.said
            if result.job.name == "b":
                await until_idle()
                assert engine.offer(Job("always", str(tmp_path)))
    assert (said, engine.deaths) == ({"a": "try 1", "b": "try 1"}, 1)
    assert (tmp_path / "always").read_text() == "1"
