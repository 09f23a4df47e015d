"""Retries that are really killed: at every step on disk, and at any time; with a reader that looks all the while."""

import asyncio
import multiprocessing
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelcall.fs.append import AppendFile
from modelcall.fs.local_sink import LocalSink
from modelcall.pipeline.runner import RunnerSettings
from modelcall.state import journal
from modelcall.state.file_journal import FileJournal
from modelcall.types import ErrorType, Outcome, Permit, RowRef, Usage
from tests.pipeline.harness import Bench, FakeJudge

IN_FLIGHT = 6
FLUSH_ROWS = 60
"""Answers of one flush window, with room."""
ROWS = {"a.jsonl": 40, "b.parquet": 25}
STEPS: dict[str, tuple[type, str]] = {
    "file committed": (LocalSink, "commit"),
    "journal written": (AppendFile, "append"),
    "journal retired": (FileJournal, "retire"),
}


@dataclass(frozen=True)
class Death:
    """At the n-th time of a step, right before or right after it; or after so many seconds."""

    step: str | None = None
    nth: int = 0
    after: bool = False
    seconds: float | None = None


def fails(row: int) -> bool:
    return row % 4 == 0


def stays_failed(row: int) -> bool:
    return row % 12 == 0


def life(folder: str, output_format: str, *, retry: bool, first: bool, death: Death, seed: int) -> None:
    """One start, in a process of its own; in the first one more rows fail than in those that ask again."""
    journal.SYNC_SECONDS = 0.2
    if death.step is not None:
        _arrange(death)
    rng = random.Random(seed)
    asked = os.open(f"{folder}/asked", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def act(ref: RowRef, permit: Permit) -> Outcome | None:
        del permit
        os.write(asked, f"{ref.file} {ref.row_index}\n".encode())
        await asyncio.sleep(rng.random() * 0.02)
        if not fails(ref.row_index) or not (first or stays_failed(ref.row_index)):
            return None
        usage = Usage(30, 10, None, 2)
        return Outcome(error_type=ErrorType.REFUSED, fail_reason="refused", raw="no", attempts=3, usage=usage)

    bench = Bench(Path(folder), output_format=output_format)
    settings = RunnerSettings(max_concurrent_files=rng.randrange(1, 3), chunk_rows=rng.randrange(1, 30))
    asyncio.run(bench.start(FakeJudge(ceiling=IN_FLIGHT, act=act), settings=settings, retry=retry))


def _arrange(death: Death) -> None:
    owner, name = STEPS[death.step or ""]
    original: Callable[..., Any] = getattr(owner, name)
    calls = iter(range(10**9))

    def dying(*args: Any, **kwargs: Any) -> Any:
        mine = next(calls) == death.nth
        if mine and not death.after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **kwargs)
        if mine:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, dying)


class Retried:
    """A finished run with failed rows, and retries of it."""

    def __init__(self, folder: Path, output_format: str) -> None:
        self.folder = folder
        self.suffix = "parquet" if output_format == "parquet" else "jsonl"
        self.kills = 0
        self._format = output_format
        self.bench = Bench(folder, output_format=output_format)
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.crash.test_retry_kills"])
        for name, rows in ROWS.items():
            texts = [f"{name} {row}" for row in range(rows)]
            (self.bench.jsonl if name.endswith("jsonl") else self.bench.parquet)(name, texts)
        life(str(folder), output_format, retry=False, first=True, death=Death(), seed=0)
        self.first = self.asked()

    def start(self, death: Death | None = None, *, retry: bool = False, seed: int = 0) -> bool:
        """Start a process; return whether it lived to the end."""
        death = death or Death()
        child = self._context.Process(
            target=life,
            args=(str(self.folder), self._format),
            kwargs={"retry": retry, "first": False, "death": death, "seed": seed},
        )
        child.start()
        child.join(death.seconds)
        if child.is_alive() and death.seconds is not None:
            child.kill()
        child.join(60)
        assert child.exitcode in {0, -signal.SIGKILL}, child.exitcode
        self.kills += child.exitcode != 0
        return child.exitcode == 0

    def asked(self) -> Counter[tuple[str, int]]:
        lines = (self.folder / "asked").read_text().splitlines()
        return Counter((name, int(row)) for name, row in map(str.split, lines))

    def rows(self, name: str) -> list[dict[str, Any]]:
        return self.bench.rows(f"{name.partition('.')[0]}.{self.suffix}")

    def loaded(self, name: str) -> int:
        """Open an output once, as a reader that is not to see two files in one does, and count its rows."""
        data = (self.bench.output / f"{name.partition('.')[0]}.{self.suffix}").read_bytes()
        if self.suffix == "jsonl":
            return len([orjson.loads(line) for line in data.splitlines()])
        return int(pq.read_table(pa.BufferReader(data)).num_rows)

    def lines(self, what: str, name: str) -> list[dict[str, Any]]:
        path = self.bench.output / f".modelcall/{what}/{name.partition('.')[0]}.{self.suffix}.jsonl"
        return [orjson.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []

    def check_finished(self) -> None:
        """The retry is over: every row that failed at first was asked again, and the lists say so."""
        assert self.bench.verify().problems == []
        assert self.bench.leftovers() == []
        for name, rows in ROWS.items():
            statuses = [row["api_status"] for row in self.rows(name)]
            assert statuses == ["error" if stays_failed(row) else "success" for row in range(rows)]
            assert [line["row_index"] for line in self.lines("failed", name)] == list(range(0, rows, 12))
            assert [row["api_attempts"] for row in self.rows(name)] == [
                1 if not fails(row) else 6 if stays_failed(row) else 4 for row in range(rows)
            ]
            history = [(line["row_index"], line["attempts"]) for line in self.lines("history", name)]
            assert history == [(row, 3) for row in range(0, rows, 4)]

    @contextmanager
    def reader(self) -> Iterator[list[str]]:
        """Somebody who loads the output again and again, and never finds a file missing or torn."""
        wrong: list[str] = []
        over = threading.Event()

        def look() -> None:
            while not over.wait(0.002):
                try:
                    if any(self.loaded(name) != rows for name, rows in ROWS.items()):
                        wrong.append("a row too few or too many")
                except Exception as error:  # noqa: BLE001  whatever it is, the reader saw something wrong
                    wrong.append(repr(error))

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield wrong
        finally:
            over.set()
            thread.join()


def killed_at(folder: Path, death: Death) -> tuple[Retried, bool]:
    """A retry that is killed at a step and finished by a plain start; and whether it lived to its end."""
    folder.mkdir()
    run = Retried(folder, "parquet")
    with run.reader() as wrong:
        lived = run.start(death, retry=True)
        assert run.bench.verify().problems == []
        begun = list(folder.glob("out/.modelcall/*/retry.json"))
        assert run.start(retry=not begun)
    assert wrong == []
    run.check_finished()
    repeats = (run.asked() - run.first).total() - sum(fails(row) for rows in ROWS.values() for row in range(rows))
    assert repeats <= run.kills * (IN_FLIGHT + FLUSH_ROWS)
    return run, lived


@pytest.mark.parametrize("nth", range(1, 12))
def test_a_retry_killed_when_it_commits_a_file_is_finished_by_a_plain_start(tmp_path: Path, nth: int) -> None:
    killed_at(tmp_path / "run", Death("file committed", nth=nth, after=nth % 2 == 0))


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", ["journal written", "journal retired"])
def test_a_retry_killed_at_its_journal_is_finished_by_a_plain_start(tmp_path: Path, step: str, after: bool) -> None:
    run, _ = killed_at(tmp_path / "run", Death(step, after=after))
    assert run.kills == 1


@pytest.mark.long
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", list(STEPS))
def test_a_retry_killed_at_every_time_of_each_step(
    tmp_path: Path, step: str, after: bool, record_property: Callable[[str, object], None]
) -> None:
    kills = 0
    for nth in range(100):
        run, lived = killed_at(tmp_path / str(nth), Death(step, nth=nth, after=after))
        kills += run.kills
        if lived:
            break
    assert kills == nth > 0
    record_property("kills", kills)


def killed_at_random(folder: Path, output_format: str, seed: int) -> Retried:
    rng = random.Random(seed)
    run = Retried(folder, output_format)
    with run.reader() as wrong:
        while not list(folder.glob("out/.modelcall/*/retry.json")):
            run.start(Death(seconds=rng.random() * 0.6), retry=True, seed=rng.randrange(10**6))
        for _ in range(5):
            assert run.bench.verify().problems == []
            known = recorded(folder)
            before = run.asked()
            run.start(Death(seconds=rng.random() * 0.6), seed=rng.randrange(10**6))
            again = set(run.asked() - before) & known
            assert not again, f"seed {seed}: recorded rows were asked again: {sorted(again)}"
        assert run.start()
    assert wrong == []
    run.check_finished()
    return run


@pytest.mark.parametrize(("seed", "output_format"), [(0, "parquet"), (1, "jsonl")])
def test_a_retry_killed_at_any_time_loses_no_answer(tmp_path: Path, output_format: str, seed: int) -> None:
    killed_at_random(tmp_path, output_format, seed)


@pytest.mark.long
@pytest.mark.parametrize("batch", range(10))
def test_retries_killed_at_any_time_lose_no_answer(
    tmp_path: Path, batch: int, record_property: Callable[[str, object], None]
) -> None:
    kills = 0
    for seed in range(100 + 10 * batch, 110 + 10 * batch):
        (tmp_path / str(seed)).mkdir()
        kills += killed_at_random(tmp_path / str(seed), "jsonl" if seed % 2 else "parquet", seed).kills
    record_property("kills", kills)


def recorded(folder: Path) -> set[tuple[str, int]]:
    """Rows with an answer of the retry in a journal: beside what was read back."""
    found: set[tuple[str, int]] = set()
    for path in folder.glob("out/.modelcall/*/journal/*.log"):
        if not path.name.endswith(".published.log"):
            records = [
                line.split(b" ", 2) for line in path.read_bytes().splitlines(keepends=True) if line[-1:] == b"\n"
            ]
            name = orjson.loads(records[0][2])["file"] if records else ""
            found |= {(name, int(row)) for _, row, _ in records[1:]}
    return found
