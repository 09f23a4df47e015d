"""A bit that flips in what a run remembers: the same result or a clear refusal, never a wrong row or a traceback."""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelcall.errors import ModelCallError
from tests.crash.states_disk import Disk, Recorder, State
from tests.crash.states_starts import Desk, End, memory_folder, published

BATCHES = [pytest.param((0, 5, 50), id="0"), pytest.param((1, 2, 10**6), id="1", marks=pytest.mark.long)]
"""Seed, how many disks of unfinished runs, and flips of each: per commit some, in the long suite one of every byte."""
REMEMBERED = re.compile(r"(stat|.*/\.modelcall)/.*(\.log|\.json|\.jsonl|\.yaml)")


@pytest.fixture
def folder() -> Iterator[Path]:
    with memory_folder() as folder:
        yield folder


def unfinished(recorder: Recorder, rng: random.Random) -> State:
    """The disk of a run that is killed in the middle, with a journal to lose."""
    while True:
        disk = Disk()
        for step in recorder.steps[: rng.randrange(len(recorder.steps) // 3, len(recorder.steps))]:
            disk.apply(step)
        if any("/journal/" in name and file for name, file in disk.now.items()):
            return disk.killed("killed in the middle")


def flips(state: State, rng: random.Random, count: int) -> Iterator[tuple[str, State]]:
    """A random bit of every byte of what is remembered, or of some if fewer are asked for."""
    places = [
        (index, at)
        for index, (path, data, _) in enumerate(state.names)
        if data is not None and REMEMBERED.fullmatch(path)
        for at in range(len(data))
    ]
    for index, at in rng.sample(places, min(count, len(places))):
        path, data, file = state.names[index]
        assert data is not None
        bit = rng.randrange(8)
        flipped = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
        names = (*state.names[:index], (path, flipped, file), *state.names[index + 1 :])
        yield f"bit {bit} of byte {at} of {path}", replace(state, names=names)


def outcome(desk: Desk, state: State, end: End) -> str:
    """What becomes of a start, and of what ``verify`` says then: ``same``, ``refused``, or what is wrong."""
    desk.put(state)
    ended = desk.start()
    if wrong := sorted(name for name, data in published(desk.tree()).items() if end.published.get(name) != data):
        return f"wrong rows in {wrong}"
    error: Exception | None = ended.summary.error if ended.summary else ended.error
    try:
        problems = [] if error else desk.problems()
    except ModelCallError as refusal:
        error = refusal
    if error is not None:
        return "refused" if _clear(error) else f"not a clear refusal: {error!r}"
    return "same" if published(desk.tree()) == end.published and not problems else f"incomplete: {problems}"


def _clear(error: Exception) -> bool:
    """Whether it says which file is damaged, and what to do."""
    return (
        isinstance(error, ModelCallError)
        and bool(error.hint)
        and bool(re.search(r"/(stat|\.modelcall)/", error.message))
    )


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("finished", [False, True], ids=["unfinished", "finished"])
@pytest.mark.parametrize("output_format", ["parquet", "jsonl"])
def test_a_flipped_bit_gives_the_same_result_or_a_clear_refusal(
    output_format: str,
    finished: bool,
    batch: tuple[int, int, int],
    folder: Path,
    record_property: Callable[[str, Any], None],
) -> None:
    seed, lives, count = batch
    rng = random.Random(f"{seed} {output_format} {finished}")
    desk = Desk(folder, output_format=output_format, seed=seed)
    recorder = Recorder(desk.disk, Disk())
    assert desk.record(recorder).error is None
    end = desk.end()
    found: Counter[str] = Counter()
    failures = []
    whole = recorder.disk.killed("finished")
    for disk in [whole] if finished else [unfinished(recorder, rng) for _ in range(lives)]:
        for where, flipped in flips(disk, rng, count * lives if finished else count):
            found[what := outcome(desk, flipped, end)] += 1
            if what not in {"same", "refused"}:
                failures.append(f"{where}: {what}")
    record_property("flips", found.total())
    print(f"{found.total()} flips of seed {seed}, {output_format}: {found['same']} same, {found['refused']} refused")
    assert not failures, f"{len(failures)} of {found.total()} flips:\n" + "\n".join(failures[:20])
    assert found["same"]
    assert found["refused"]
