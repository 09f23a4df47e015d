"""Whole starts of a task in this process, cheap enough for tens of thousands: nothing waits, every thread is at hand.

Time is virtual: whoever sleeps is woken as soon as nobody else has anything to do. What belongs into a thread is done
on the spot, so that the same seed makes the same calls in the same order. The judge of a row answers by its text.
"""

import asyncio
import json
import os
import random
import re
import selectors
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from modelcall.config.environment import Environment
from modelcall.config.loading import load_task
from modelcall.fs.local import LocalFileSystem
from modelcall.pipeline import runner
from modelcall.pipeline.verify import verify
from modelcall.scorers.planning import ScorerPlan
from modelcall.state import journal, ledger
from modelcall.state.ledger import read_ledger
from modelcall.state.lock import Process
from modelcall.state.manifest import Entry, Manifest
from modelcall.state.run import noted_runs
from modelcall.state.shard import OutputFolder, output_at
from modelcall.task_manager import plans, scoring, task_run
from modelcall.task_manager.summary import Invocation, Stop, Summary
from modelcall.types import ErrorType, Outcome, Permit, RowRef
from tests.crash.states_disk import Recorder, Row, State, rows_in
from tests.crash.states_seam import watched
from tests.pipeline.harness import COLUMNS, FakeJudge, Seen

FILES = {"a.jsonl": 6, "b.parquet": 4, "deep/c.jsonl": 1, "d.jsonl": 0}
FIXED = {"output_folder": "./disk/out"}
DATED = {"output_folder": "./disk/out/{timestamp}", "stat_folder": "./disk/stat"}
"""Where odd seeds write."""
LONGEST = 3600.0
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_RUN = re.compile(r"[0-9a-f]{16}-r1")
_VERIFIED = re.compile(r".*/\.modelcall/(manifest/|run\.json)")


class _AtOnce(ThreadPoolExecutor):
    """Does what it is given before it returns."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001  as a thread keeps it for whoever asks
            future.set_exception(error)
        return future


class _Impatient(selectors.EpollSelector):
    """Never waits; time goes on by what would have been waited."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if events := super().select(0):
            return events
        assert timeout is not None, "everybody waits, and nothing will ever happen"
        self.now += timeout
        assert self.now < LONGEST, "somebody waits, and only the clock goes on"
        return []


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _Impatient()
        super().__init__(self._clock)
        self.set_default_executor(_AtOnce(1))

    def time(self) -> float:
        return self._clock.now

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  as it is called
        """It has no threads to wait for."""


@dataclass(frozen=True)
class Ended:
    """How a start ended: with a summary, or with what it raised instead; what it asked, and which files it ended."""

    summary: Summary | None
    error: Exception | None
    asked: Counter[Row]
    done: frozenset[str]


class Desk:
    """A task over a small corpus; its output stands on a disk of which every call is seen."""

    def __init__(self, folder: Path, *, output_format: str, seed: int) -> None:
        self.folder = folder
        self.disk = folder / "disk"
        self.output = self.disk / "out" / ("20260102_030405" if seed % 2 else "")
        self.seed = seed
        self._verified: dict[int, list[str]] = {}
        self.disk.mkdir()
        _write_inputs(folder / "in")
        task = {
            "task_name": "states",
            "data": {"input_folder": "./in", "output_format": output_format, **(DATED if seed % 2 else FIXED)},
            "scorer": {"name": "quality"},
            "concurrency": {
                "max_concurrent_files": 2,
                "max_concurrent_requests": 3,
                "chunk_size": 2,
                "parquet_save_interval": 2,
            },
        }
        (folder / "task.yaml").write_text(yaml.safe_dump(task))
        self._loaded = load_task(folder / "task.yaml", environment=Environment.read(process={}, cwd=folder))

    def start(self) -> Ended:
        """Start the task; owners of earlier starts are dead."""
        judge = FakeJudge(ceiling=3, act=self._act)
        plan = ScorerPlan(COLUMNS, is_judge=True, identity={}, needed="text", make=lambda *_, **__: judge)
        with ExitStack() as stack:
            for module in (runner, journal, ledger):
                stack.enter_context(patch.object(module, "ThreadPoolExecutor", _AtOnce))
            stack.enter_context(patch.object(Process, "is_alive", new=False))
            stack.enter_context(patch.object(scoring, "resolved_config", lambda _: {}))  # slow, and read by nobody
            stack.enter_context(patch.object(plans, "_scorer", lambda *_: plan))
            run = task_run.TaskRun(self._loaded, Invocation(), listener=(seen := Seen()), stop=Stop(), now=NOW)
            try:
                with asyncio.Runner(loop_factory=_Loop) as loop:
                    summary, raised = loop.run(run.run()), None
            except Exception as error:  # noqa: BLE001  whoever started judges it
                summary, raised = None, error
        return Ended(summary, raised, judge.asked, frozenset(seen.done))

    async def _act(self, ref: RowRef, permit: Permit) -> Outcome | None:
        del permit
        await asyncio.sleep(random.Random(f"{self.seed} {ref.file} {ref.row_index}").random() * 0.8)
        if ref.row_index == 2:
            return Outcome(error_type=ErrorType.REFUSED, fail_reason="refused", raw="no", attempts=1)
        return None

    def record(self, recorder: Recorder) -> Ended:
        """Start the task and write down what it does to the disk, and when it says that rows are safe."""
        with watched(self.disk, recorder), _promises(recorder):
            return self.start()

    def clear(self) -> None:
        """Empty the disk."""
        shutil.rmtree(self.disk)
        self.disk.mkdir()

    def put(self, state: State) -> None:
        """Make the disk what a crash left."""
        self.clear()
        state.put(self.disk)

    def tree(self) -> dict[str, bytes]:
        """All files on the disk, by their path in it."""
        found = {}
        for folder, _, names in os.walk(self.disk):
            for name in names:
                path = f"{folder}/{name}"
                with open(path, "rb") as stream:  # noqa: PTH123  read tens of thousands of times
                    found[path[len(str(self.disk)) + 1 :]] = stream.read()
        return found

    def recorded(self) -> frozenset[Row]:
        """Rows whose outcome is on the disk: in a journal, or published."""
        tree = self.tree()
        rows: set[Row] = set()
        rows.update(*(rows_in(data) for name, data in tree.items() if "/journal/" in name))
        for name in published(tree):
            if entry := self._output_folder().manifest.get(os.path.relpath(self.disk / name, self.output)):
                rows |= {(entry.file, row) for row in range(entry.rows)}
        return frozenset(rows)

    def ledger(self) -> dict[str, str]:
        """What the ledger says of the files it knows; it tells of a run's progress, and no start relies on it."""
        found = self.disk.rglob("ledger.log")
        return {file: state.state for path in found for file, state in read_ledger(str(path)).items()}

    def problems(self) -> list[str]:
        """What ``verify`` says."""
        to = self._output_folder()
        findings = verify(to, noted_runs(to.fs, to.state))
        return findings.problems + findings.strangers

    def _output_folder(self) -> OutputFolder:
        return output_at(LocalFileSystem(), str(self.output))

    def end(self) -> "End":
        """All that a start has to bring out. What ``verify`` has to read it reads once."""
        tree = self.tree()
        ours = published(tree)
        key = hash((*ours.items(), *(item for item in sorted(tree.items()) if _VERIFIED.match(item[0]))))
        if key not in self._verified:
            self._verified[key] = self.problems()
        sides = {_RUN.sub("RUN-r1", name) for name in tree.keys() - ours.keys()}
        return End(
            published=ours,
            failed={name: data for name, data in tree.items() if "/failed/" in name},
            side_files={name for name in sides if not _HISTORY.search(name)},
            problems=self._verified[key],
        )


_HISTORY = re.compile(r"/locks/|/ledger\.log$|/runs/.*/file-")
"""Of side files: who owned the shard, how far it was, which files had failed. It may differ from run to run."""


def published(tree: Mapping[str, bytes]) -> dict[str, bytes]:
    """What of an output has a final name."""
    return {name: data for name, data in sorted(tree.items()) if "/." not in name and name.startswith("out/")}


@dataclass(frozen=True)
class End:
    """What is to be equal however often a run was broken off."""

    published: Mapping[str, bytes]
    failed: Mapping[str, bytes]
    side_files: set[str]
    problems: list[str]

    def unlike(self, other: "End") -> str:
        """What is not equal, in few words."""
        sides = self.side_files ^ other.side_files
        return "; ".join(
            [f"{name} differs" for name in _differing(self.published, other.published)]
            + [f"failed rows of {name} differ" for name in _differing(self.failed, other.failed)]
            + [f"{'left over' if name in self.side_files else 'missing'}: {name}" for name in sorted(sides)]
            + self.problems
        )


def _differing(one: Mapping[str, bytes], other: Mapping[str, bytes]) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def _write_inputs(folder: Path) -> None:
    for name, rows in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        texts = [f"{name} {row}" for row in range(rows)]
        if name.endswith(".parquet"):
            pq.write_table(pa.table({"text": texts, "id": list(range(rows))}), path)
        else:
            path.write_text("".join(json.dumps({"id": row, "text": text}) + "\n" for row, text in enumerate(texts)))


@contextmanager
def _promises(recorder: Recorder) -> Iterator[None]:
    """Note what the run takes for safe: all that was written before a sync, and what a manifest entry tells of."""
    sync, put = journal._sync_all, Manifest.put

    def synced(*args: Any) -> None:
        sync(*args)
        recorder.promise(recorder.disk.recorded)

    def committed(self: Manifest, entry: Entry, **options: Any) -> None:
        put(self, entry, **options)
        recorder.promise(frozenset((entry.file, row) for row in range(entry.rows)))

    with patch.object(journal, "_sync_all", synced), patch.object(Manifest, "put", committed):
        yield


@contextmanager
def memory_folder() -> Iterator[Path]:
    """A folder in memory where the system has one: a sync costs nothing there."""
    memory = "/dev/shm"  # noqa: S108  a private folder is made in it
    with tempfile.TemporaryDirectory(dir=memory if Path(memory).is_dir() else None) as folder:
        yield Path(folder)
