"""Workers as one: what each meets the others learn, and listeners hear of a file as if one process had it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelcall.fs.base import FileStat
from modelcall.observe.relay import Relay
from modelcall.pipeline.job import FileJob
from modelcall.task_manager.crew import Crew
from modelcall.task_manager.crew_messages import (
    Answered,
    Cooled,
    Details,
    News,
    NoReader,
    Pause,
    ReaderWanted,
    Standing,
)
from modelcall.types import FileCounts, Outcome, RowRef
from tests.observe.test_relay import Heard

if TYPE_CHECKING:
    from modelcall.types import RunListener


def crew_of(*workers: int, listener: RunListener | None = None) -> tuple[Crew, dict[int, list[Any]]]:
    """Return a crew, and what each of its workers is told, leases aside."""
    crew = Crew(ceiling=8, most=None, listener=listener or Heard(), watch=None, grace_seconds=1.0)
    told: dict[int, list[Any]] = {}
    for worker in workers:
        crew.joined(worker, told.setdefault(worker, []).append)
        told[worker].clear()
    return crew, told


def cooldown() -> list[Any]:
    relay = Relay()
    relay.client_event("cooldown", {"endpoint": "vllm:8000", "seconds": 7.0, "cause": "rate_limit"})
    return relay.taken()


def test_what_one_meets_the_others_are_told_when_they_are_heard_of_next() -> None:
    crew, told = crew_of(1, 2, 3)
    answered = Answered(1.0, 2.0)
    crew.told(1, News(Standing(lease=99, answered=answered), cooldown()))
    assert told == {1: [], 2: [], 3: []}, "none is told more than is heard of it"
    for worker in (1, 2, 2):
        crew.told(worker, News(Standing(lease=99)))
    assert told == {1: [], 2: [answered, Cooled("vllm:8000", 7.0)], 3: []}


def test_a_later_worker_learns_what_holds_for_all() -> None:
    crew, _ = crew_of(1)
    crew.pause("user")
    said: list[Any] = []
    crew.joined(2, said.append)
    assert said[0] == Pause("user")


def test_a_file_that_several_work_on_is_heard_of_once() -> None:
    heard = Heard()
    crew, _ = crew_of(1, 2, listener=heard)
    for worker in (1, 2):
        relay = Relay()
        relay.file_started("a", recorded=worker)
        relay.row_done(RowRef("a", worker, f"id{worker}"), Outcome({"score": worker}))
        got_on = crew.told(worker, News(Standing(), relay.taken(), Details(expected={"a": 90 + worker})))
        assert got_on
    assert [event for event in heard.events if event[0] == "started"] == [("started", "a", 1)]
    assert crew.expected_rows() == {"a": 92}
    crew.file_done("a", FileCounts(2, 2, 0))
    assert crew.expected_rows() == {}


class Engine:
    """Has somebody for so many jobs."""

    def __init__(self, free: int) -> None:
        self.free = free
        self.offered: list[FileJob] = []

    def offer(self, job: FileJob) -> bool:
        self.offered.append(job)
        return len(self.offered) <= self.free


def test_a_reader_is_looked_for_among_the_others_and_declined_if_all_are_busy() -> None:
    crew, told = crew_of(1, 2)
    job = FileJob("a.jsonl", FileStat("/in/a.jsonl", 9, "x"), "a.parquet", rows=9, read_into="/tmp/rows")  # noqa: S108
    crew.told(1, ReaderWanted(job))
    assert told == {1: [NoReader(job)], 2: []}, "there is no engine yet"
    engine = Engine(1)
    crew.engine = engine  # type: ignore[assignment]  # what it needs of one
    assert not crew.told(2, ReaderWanted(job))
    crew.told(1, ReaderWanted(job))
    assert engine.offered == [job, job]
    assert told == {1: [NoReader(job), NoReader(job)], 2: []}
