"""An owner that is put to sleep at each dangerous step, taken over, and woken: it publishes nothing any more."""

import signal
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from modelcall.errors import FatalError
from modelcall.state import lock
from tests.crash.fates import STEPS, Fate
from tests.crash.lives import live
from tests.crash.nursery import Nursery
from tests.crash.run import Run

SHAPE = {"a.jsonl": 12, "b.parquet": 9}
REFUSED = 4


def sleep_through(folder: str, seed: int, fate: Fate) -> int:
    """A life in a container of its own, as far as others can tell."""
    lock._namespace = lambda: "pid:[of another container]"
    try:
        return live(folder, "parquet", seed, fate)
    except FatalError as error:
        return REFUSED if "taken over" in error.message else 1


def take_over(folder: str, seed: int) -> int:
    """A life whose clock makes the wait for the other's heartbeat short."""
    clock = count()
    patient = partial(lock.acquire, clock=lambda: float(next(clock)), sleep=lambda _: None)
    setattr(*STEPS["lock taken"], patient)
    return live(folder, "parquet", seed, Fate())


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery("tests.crash.test_sleepers") as warm:
        yield warm


@pytest.mark.parametrize("nth", [0, *(pytest.param(nth, marks=pytest.mark.long) for nth in (1, 2, 3))])
@pytest.mark.parametrize("step", [step for step in STEPS if step not in {"lock taken", "leftovers swept"}])
def test_an_owner_that_slept_and_was_replaced_publishes_nothing(
    nursery: Nursery, tmp_path: Path, step: str, nth: int
) -> None:
    for after in (False, True):
        for tried in (False, True):
            folder = tmp_path / f"{after}-{tried}"
            run = Run(folder, nursery, SHAPE, output_format="parquet")
            assert not tried or run.life(0, Fate(), tried=True)
            sleep_and_wake(nursery, run, folder, Fate(step=step, nth=nth, after=after, blow=signal.SIGSTOP))


def sleep_and_wake(nursery: Nursery, run: Run, folder: Path, fate: Fate) -> None:
    sleeper = nursery.fork(sleep_through, str(folder), 1, fate)
    sleeper.wait()
    if sleeper.stopped:
        heir = nursery.fork(take_over, str(folder), 2)
        heir.wait()
        assert heir.code == 0
        before = run.tree(), run.side_files()
        sleeper.send(signal.SIGCONT)
        sleeper.wait()
        assert (run.tree(), run.side_files()) == before
    assert sleeper.code in {0, REFUSED}, f"{fate}: exit {sleeper.code}"
    assert run.bench.verify().problems == []
