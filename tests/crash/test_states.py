"""Every disk that a crash may leave is started again, and comes to the end of the run that never crashed."""

import random
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.states_disk import Change, Disk, Recorder, State, states
from tests.crash.states_starts import Desk, End, memory_folder

BATCHES = [pytest.param("parquet", 0, 2000, id="parquet-0"), pytest.param("jsonl", 0, 3000, id="jsonl-0")] + [
    pytest.param(output_format, seed, 5000, id=f"{output_format}-{seed}", marks=pytest.mark.long)
    for output_format in ("parquet", "jsonl")
    for seed in range(1, 7)
]
"""Format, seed and number of states: per commit, and in the long suite."""
GENERATIONS = 4
"""Starts after a crash of which the crashes are tried in turn."""


@pytest.fixture
def folder() -> Iterator[Path]:
    with memory_folder() as folder:
        yield folder


class Crashes:
    """A task that is started again after every crash of its recorded lives."""

    def __init__(self, desk: Desk, rng: random.Random) -> None:
        self._desk = desk
        self._rng = rng
        self._seen: set[bytes] = set()
        self._first = self._recorded(Disk())
        self._end = desk.end()
        assert self._end.problems == []

    def _recorded(self, disk: Disk) -> Recorder:
        recorder = Recorder(self._desk.disk, disk)
        ended = self._desk.record(recorder)
        assert ended.summary is not None, ended.error
        assert (ended.summary.error, ended.summary.exit_code) == (None, 3)
        return recorder

    def _new(self, recorder: Recorder) -> list[State]:
        """States of what was recorded that nobody has started yet."""
        found = {state.key: state for state in states(recorder, self._rng)}
        new = [state for key, state in found.items() if key not in self._seen]
        self._seen |= found.keys()
        return new

    def names(self) -> dict[int, str]:
        """The steps that give something its final name, with that name."""
        changes = ((at, step) for at, step in enumerate(self._first.steps) if isinstance(step, Change))
        return {at: name for at, step in changes for name, _ in step.set if not name.endswith(".tmp")}

    def resumed(self, at: int) -> list[State]:
        """The states of crashes of a run that was killed after a step and started again."""
        return self._new(self._recorded(self._killed(at)))

    def _killed(self, at: int) -> Disk:
        """The disk of a run that was killed after a step, before the machine has synced anything of itself."""
        disk = Disk()
        for step in self._first.steps[: at + 1]:
            disk.apply(step)
        self._desk.put(disk.killed("a resume is recorded"))
        return disk

    def lives(self) -> Iterator[list[State]]:
        """The states of crashes of a whole run, of one that was killed before, and of starts after such a crash."""
        yield (first := self._new(self._first))
        yield (resumed := self.resumed(self._rng.randrange(len(self._first.steps))))
        for _ in range(GENERATIONS):
            crash = self._rng.choice([*first, *resumed])
            self._desk.put(crash)
            yield self._new(self._recorded(Disk.after(crash)))

    def failures(self, some: list[State]) -> Iterator[str]:
        for state in some:
            self._desk.put(state)
            if wrong := _wrong(self._desk, state, self._end):
                yield f"{state.story}: {wrong}"


def _wrong(desk: Desk, state: State, end: End) -> str | None:
    """What is wrong with a start after a crash."""
    ended = desk.start()
    if ended.summary is None or ended.summary.error is not None:
        return f"stopped: {ended.error!r} {ended.summary and ended.summary.error}"
    if again := set(ended.asked) & state.recorded:
        return f"asked again: {sorted(again)}"
    if repeated := [row for row, times in ended.asked.items() if times > 1]:
        return f"asked twice: {repeated}"
    ledger = desk.ledger()
    if untold := [file for file in ended.done if ledger.get(file) != "done"]:
        return f"the ledger does not tell of {untold}"
    now = desk.end()
    if now != end or ended.summary.exit_code != 3:
        return f"ended otherwise: {now.unlike(end)}, exit {ended.summary.exit_code}"
    return None


@pytest.mark.parametrize(("output_format", "seed", "count"), BATCHES)
def test_whatever_a_crash_leaves_the_next_start_comes_to_the_same_end(
    output_format: str, seed: int, count: int, folder: Path, record_property: Callable[[str, Any], None]
) -> None:
    rng = random.Random(f"{seed} {output_format}")
    began = time.process_time()
    crashes = Crashes(Desk(folder, output_format=output_format, seed=seed), rng)
    lives = sorted(crashes.lives(), key=len)
    started, failures = 0, []
    for number, found in enumerate(lives):
        some = rng.sample(found, min(len(found), (count - started) // (len(lives) - number)))
        failures += list(crashes.failures(some))
        started += len(some)
    record_property("states", started)
    print(f"{started} crash states of seed {seed}, {output_format}, in {time.process_time() - began:.0f} s")
    assert not failures, f"{len(failures)} of {started} states:\n" + "\n".join(failures[:20])
    assert started == count


@pytest.mark.parametrize(
    ("output_format", "wanted"),
    [
        pytest.param("jsonl", r"out/[^.]*\.jsonl|.*/manifest/.*json", id="jsonl"),
        pytest.param("jsonl", ".*", id="jsonl-all", marks=pytest.mark.long),
        pytest.param("parquet", ".*", id="parquet-all", marks=pytest.mark.long),
    ],
)
def test_what_a_killed_run_has_named_and_not_synced_is_durable_before_the_next_start_relies_on_it(
    output_format: str, wanted: str, folder: Path, record_property: Callable[[str, Any], None]
) -> None:
    rng = random.Random(output_format)
    crashes = Crashes(Desk(folder, output_format=output_format, seed=0), rng)
    started, failures = 0, []
    for at in [at for at, name in crashes.names().items() if re.fullmatch(wanted, name)]:
        powerless = [state for state in crashes.resumed(at) if state.recorded and state.story.startswith("power")]
        some = rng.sample(powerless, min(len(powerless), 40))
        failures += [f"killed after step {at}, then {text}" for text in crashes.failures(some)]
        started += len(some)
    record_property("states", started)
    print(f"{started} crash states of runs killed after a name was given")
    assert not failures, f"{len(failures)} of {started} states:\n" + "\n".join(failures[:20])
    assert started >= 200
