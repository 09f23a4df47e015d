import asyncio

import pytest

from modelcall.config.shard import Shard
from modelcall.pipeline.tally import Tally
from modelcall.task_manager.summary import Stop, Summary


@pytest.mark.parametrize(
    ("ratio", "rows", "failed", "code"),
    [
        (0.0, 0, 0, 0),
        (0.0, 10, 0, 0),
        (0.0, 10, 1, 3),
        (0.29, 100, 29, 0),  # 0.29 * 100 is 28.999999999999996
        (0.29, 100, 30, 3),
        (1.0, 5, 5, 0),
    ],
)
def test_as_many_failed_rows_as_are_allowed_are_exit_0(ratio: float, rows: int, failed: int, code: int) -> None:
    summary = Summary("new", "r", "t", Shard(0, 1, "default"), max_failed_ratio=ratio)
    summary.passes.append(Tally(files=1, rows=rows, scored=rows - failed, failed=failed))
    assert summary.exit_code == code


def test_a_drain_reaches_those_who_can_take_their_time_and_stops_the_others() -> None:
    stop, told = Stop(), list[str]()
    stop.when_asked(lambda: told.append("stop"), drain=lambda: told.append("drain"))
    stop.when_asked(lambda: told.append("other stop"))
    stop.drain("alice")
    assert told == ["drain", "other stop"]
    stop.drain("bob")
    assert (stop.drained_by, stop.asked, stop.signal) == ("alice", True, None)
    stop.when_asked(lambda: told.append("late stop"), drain=lambda: told.append("late drain"))
    assert told[2:] == ["late drain"]
    stop.request(15)
    assert told[3:] == ["stop", "other stop", "late stop"], "a signal does not wait for a drain"
    stop.drain("carol")
    assert stop.drained_by == "alice"


def test_a_signal_leaves_nothing_to_drain() -> None:
    stop, told = Stop(), list[str]()
    stop.request(15)
    stop.drain("alice")
    assert stop.drained_by is None
    stop.when_asked(lambda: told.append("stop"), drain=lambda: told.append("drain"))
    assert told == ["stop"]


async def test_work_that_must_not_be_begun_is_cancelled_by_a_drain_too() -> None:
    stop = Stop()

    async def forever() -> int:
        stop.drain("alice")
        await asyncio.get_running_loop().create_future()
        return 1

    assert await stop.unless_asked(forever()) is None


def test_what_is_left_to_do_is_known() -> None:
    summary = Summary("new", "r", "t", Shard(0, 1, "default"), max_failed_ratio=0.0)
    assert not summary.unfinished
    summary.passes.append(Tally(unfinished=-1))
    assert not summary.unfinished
    summary.passes.append(Tally(unfinished=1))
    assert summary.unfinished
    assert Summary("new", "r", "t", Shard(0, 1, "default"), max_failed_ratio=0.0, cut=True).unfinished
