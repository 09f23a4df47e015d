import random
from pathlib import Path

import pytest

from tests.crash.lives import IN_FLIGHT, WINDOWS, Fate, Run, any_fate

SHAPES = {"a.jsonl": 120, "b.parquet": 60, "c.jsonl": 1, "d.jsonl": 0, "e.parquet": 33}
FLUSH_ROWS = 60
"""Answers that may come in one flush window of 100 ms, at 6 in flight of 15 ms on average: 40, with room."""


def fill(run: Run) -> None:
    for name, rows in SHAPES.items():
        texts = [f"{name} {row}" for row in range(rows)]
        (run.bench.jsonl if name.endswith("jsonl") else run.bench.parquet)(name, texts)


@pytest.fixture(scope="module", params=["parquet", "jsonl"])
def unkilled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(tmp_path_factory.mktemp("unkilled"), output_format=request.param)
    fill(run)
    assert run.life(0, Fate())
    return run


def check_end(run: Run, unkilled: Run) -> None:
    assert run.tree() == unkilled.tree()
    assert run.bench.verify().problems == []
    repeats = run.asked().total() - sum(SHAPES.values())
    assert repeats <= run.kills * (IN_FLIGHT + FLUSH_ROWS)
    assert run.bench.leftovers() == []


@pytest.mark.parametrize("seed", range(3))
def test_a_run_killed_again_and_again_ends_as_if_it_had_not_been(unkilled: Run, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    run = Run(tmp_path, output_format="parquet" if "a.parquet" in unkilled.tree() else "jsonl")
    fill(run)
    for life in range(8):
        if run.life(seed * 1000 + life, any_fate(rng)):
            break
    while not run.life(rng.randrange(10**6), Fate()):
        pass
    check_end(run, unkilled)


@pytest.mark.parametrize("unkilled", ["parquet"], indirect=True)
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("window", list(WINDOWS))
def test_a_run_killed_in_the_middle_of_each_step_ends_as_if_it_had_not_been(
    unkilled: Run, tmp_path: Path, window: str, after: bool
) -> None:
    run = Run(tmp_path, output_format="parquet" if "a.parquet" in unkilled.tree() else "jsonl")
    fill(run)
    died = sum(not run.life(nth, Fate(window=window, nth=nth, after=after)) for nth in range(2))
    assert died
    assert run.life(9, Fate())
    check_end(run, unkilled)
