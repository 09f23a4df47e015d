"""Runs in processes that are really killed, again and again, end as if they had not been."""

import random
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.crash.fates import STEPS, Fate, any_fate, short_fate
from tests.crash.nursery import Nursery
from tests.crash.run import Run

SHAPES = {
    "few": {"a.jsonl": 12, "b.parquet": 9, "c.jsonl": 1, "d.jsonl": 0},
    "more": {"a.jsonl": 60, "b.parquet": 40},
    "files": {f"{name}.jsonl": 4 for name in "abcdefghij"},
    "long": {"a.jsonl": 800, "b.parquet": 300},
}
FORMATS = ("parquet", "jsonl")
LIVES = 25
"""Of a run at most, before it is let live in peace."""
Begin = Callable[[Path, str, str], Run]
Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def begin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Begin]:
    """Begins runs of a shape, in a format, that know what comes out if they are not killed, tried out or whole."""
    with Nursery("tests.crash.lives") as nursery:

        @cache
        def unkilled(shape: str, output_format: str, tried: bool) -> dict[str, bytes]:
            folder = tmp_path_factory.mktemp("unkilled")
            run = Run(folder, nursery, SHAPES[shape], output_format=output_format)
            assert run.life(0, Fate(), tried=tried)
            return run.tree()

        def begun(folder: Path, shape: str, output_format: str) -> Run:
            run = Run(folder, nursery, SHAPES[shape], output_format=output_format)
            tried, run.unkilled = (unkilled(shape, output_format, of) for of in (True, False))
            run.allowed = {name: {tried[name], whole} for name, whole in run.unkilled.items()}
            return run

        yield begun


def batches(seeds: range, kills: int) -> list[tuple[int, int]]:
    return [(seed, kills) for seed in seeds]


def long(values: list[tuple[int, int]]) -> list[object]:
    return [pytest.param(*each, marks=pytest.mark.long) for each in values]


@pytest.mark.parametrize(("seed", "kills"), [*batches(range(4), 100), *long(batches(range(100, 112), 800))])
def test_runs_killed_again_and_again_end_as_if_they_had_not_been(
    begin: Begin, tmp_path: Path, record_property: Record, seed: int, kills: int
) -> None:
    rng, killed, runs = random.Random(seed), 0, 0
    while killed < kills:
        folder = tmp_path / str(runs)
        run = begin(folder, rng.choice(["few", "more", "files"]), rng.choice(FORMATS))
        tries = rng.choice([0, 0, 3])
        for life in range(LIVES):
            if run.life(rng.randrange(10**6), any_fate(rng), tried=life < tries) and life >= tries:
                break
        run.end(rng)
        killed, runs = killed + run.kills, runs + 1
        shutil.rmtree(folder)
    record_property("kills", killed)
    record_property("runs", runs)


@pytest.mark.parametrize(("seed", "kills"), [(0, 40), *long(batches(range(1, 5), 200))])
def test_one_run_killed_so_often_ends_as_if_it_had_not_been(
    begin: Begin, tmp_path: Path, record_property: Record, seed: int, kills: int
) -> None:
    rng = random.Random(seed)
    run = begin(tmp_path, "long", "parquet")
    while run.kills < kills:
        assert not run.life(rng.randrange(10**6), short_fate(rng)), "it ended too soon for this test"
    run.end(rng)
    record_property("kills", run.kills)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", list(STEPS))
def test_a_run_killed_in_the_middle_of_each_step_ends_as_if_it_had_not_been(
    begin: Begin, tmp_path: Path, record_property: Record, step: str, after: bool
) -> None:
    run = begin(tmp_path, "few", "parquet")
    for nth in range(3):
        run.life(nth, Fate(step=step, nth=nth, after=after), tried=nth == 0)
    assert run.kills
    run.end(random.Random(9))
    record_property("kills", run.kills)
