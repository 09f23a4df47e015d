"""A run of the pipeline over real files, with a scorer of the test's own."""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from modelcall.engines.inline import InlineEngine
from modelcall.formats.detect import is_data_file
from modelcall.fs.local import LocalFileSystem
from modelcall.observe.fanout import Fanout
from modelcall.permits import Permits
from modelcall.pipeline.columns import ResultPlan
from modelcall.pipeline.runner import Runner, RunnerSettings
from modelcall.pipeline.shard_place import Limits, ShardPlace
from modelcall.pipeline.shard_run import ShardRun
from modelcall.pipeline.tally import Tally
from modelcall.pipeline.verify import Findings, verify
from modelcall.state.ledger import Ledger
from modelcall.state.listing import list_input
from modelcall.state.place import StatFolder
from modelcall.state.run import RunRecord, RunStore, ShardKey, noted_runs
from modelcall.state.shard import output_at, output_folder
from modelcall.types import (
    INT,
    STRING,
    Columns,
    ErrorType,
    FileCounts,
    Outcome,
    Permit,
    PermitSource,
    Row,
    RowRef,
    Usage,
)

COLUMNS: Columns = {"score": INT, "note": STRING}


NO_LIMITS = Limits()
SETTINGS = RunnerSettings(max_concurrent_files=2, chunk_rows=10)


def expected_score(text: str) -> int:
    """A score that is a function of the text alone."""
    return hashlib.sha256(text.encode()).digest()[0] % 6


class FakeJudge:
    """Scores by hash; ``act`` may wait, fail or change what becomes of a row."""

    is_judge = True
    reads: frozenset[str] | None = frozenset({"text"})
    identity: Mapping[str, str] = {"scorer": "fake"}

    def __init__(
        self,
        *,
        ceiling: int = 8,
        act: Callable[[RowRef, Permit], Any] | None = None,
        columns: Columns | None = COLUMNS,
    ) -> None:
        self.slots = Permits(ceiling)
        self.permits: PermitSource = self.slots
        self.columns: Columns | None = columns
        self.asked: Counter[tuple[str, int]] = Counter()
        self.most_in_flight = 0
        self._act = act

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def settle(self, known: Mapping[str, str] | None) -> Mapping[str, str]:
        return known or {}

    async def score(self, row: Row, ref: RowRef, permit: Permit) -> Outcome:
        self.asked[ref.file, ref.row_index] += 1
        self.most_in_flight = max(self.most_in_flight, self.slots.in_use)
        await asyncio.sleep(0)
        if self._act is not None:
            verdict = self._act(ref, permit)
            if asyncio.iscoroutine(verdict):
                verdict = await verdict
            if isinstance(verdict, Outcome):
                return verdict
        text = row.get("text")
        if not isinstance(text, str):
            return Outcome(error_type=ErrorType.BAD_ROW, fail_reason="no text", attempts=0)
        values = {"score": expected_score(text), "note": text[:3]}
        return Outcome(values=values, raw="{}", model="fake", finish_reason="stop", usage=Usage(3, 1))


@dataclass
class Seen:
    """A listener that remembers."""

    rows: list[tuple[str, int]] = field(default_factory=list)
    started: dict[str, int] = field(default_factory=dict)
    done: dict[str, FileCounts] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def file_started(self, file: str, *, recorded: int) -> None:
        self.started[file] = recorded

    def row_done(self, ref: RowRef, outcome: Outcome) -> None:
        del outcome
        self.rows.append((ref.file, ref.row_index))

    def file_done(self, file: str, counts: FileCounts) -> None:
        self.done[file] = counts

    def file_failed(self, file: str, reason: str) -> None:
        self.failed[file] = reason

    def client_event(self, name: str, facts: Mapping[str, Any]) -> None: ...


class Bench:
    """An input folder, an output folder, and starts of one run over them."""

    def __init__(
        self, folder: Path, *, output_format: Any = "parquet", identity: Mapping[str, str] | None = None
    ) -> None:
        self.input = folder / "in"
        self.output = folder / "out"
        self.input.mkdir(exist_ok=True)
        self.seen = Seen()
        self.runner: Runner | None = None
        self._format = output_format
        self._identity = identity or {}
        self._fs = LocalFileSystem()

    def jsonl(self, name: str, texts: list[Any]) -> None:
        rows = [{"id": number, "text": text} for number, text in enumerate(texts)]
        (self.input / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    def parquet(self, name: str, texts: list[Any]) -> None:
        pq.write_table(pa.table({"text": texts, "id": list(range(len(texts)))}), self.input / name, row_group_size=7)

    def run_of(self, limits: Limits = NO_LIMITS) -> ShardRun:
        store = RunStore(self._fs, str(self.output / ".modelcall/runs/x"))
        record = store.newest()
        if record is None:
            record = store.create(self._record()) or store.newest()  # another start may be first
        assert record is not None
        to = output_folder(self._fs, str(self.output), single=False)
        stat = StatFolder(self._fs, to.state, self._fs, to.state)
        place = ShardPlace(self._fs, to, stat, lambda path: StatFolder(self._fs, path, self._fs, path))
        return ShardRun(store, [record], ShardKey(1, 0), place, limits=limits)

    def _record(self) -> RunRecord:
        listing = list_input(self._fs, str(self.input), is_data=is_data_file)
        return RunRecord(
            run="run1",
            number=1,
            timestamp="20260101_000000",
            created="2026-01-01 00:00:00",
            fresh=False,
            world_size=1,
            num_runs=1,
            identity=self._identity,
            input=str(self.input),
            files=listing.files,
            output_format=self._format,
        )

    async def start(
        self,
        judge: FakeJudge,
        *,
        settings: RunnerSettings = SETTINGS,
        limits: Limits = NO_LIMITS,
        output_columns: tuple[str, ...] | None = None,
        keep_raw: bool = True,
        prefix: str = "",
        retry: bool = False,
        ledger_interval: int = -1,
    ) -> Tally:
        run = self.run_of(limits)
        plan = ResultPlan(judge.columns, is_judge=True, keep_raw=keep_raw, prefix=prefix)
        self.seen = Seen()
        async with run.owned(delete_existing=False):
            left = run.progress(retry=retry)
            run.tally.unfinished = len(left.todo)
            ledger = Ledger(f"{run.work_folder.local}/ledger.log", interval=ledger_interval)
            listener = Fanout(self.seen, ledger)
            self.runner = runner = run.runner(
                judge, plan, output_columns=output_columns, listener=listener, settings=settings
            )
            try:
                await run.work(InlineEngine().run(lambda jobs, _: runner.run(jobs), run.jobs(left)))
            finally:
                ledger.close()
        return run.tally

    def verify(self) -> Findings:
        to = output_at(self._fs, str(self.output))
        return verify(to, noted_runs(self._fs, to.state))

    def rows(self, name: str) -> list[dict[str, Any]]:
        path = self.output / name
        if name.endswith(".parquet"):
            rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
            return rows
        return [json.loads(line) for line in path.read_text().splitlines()]

    def leftovers(self) -> list[str]:
        """Files that a finished run should not leave: journals and temporaries."""
        names = [path for path in self.output.rglob("*") if path.is_file()]
        return [
            str(path) for path in names if (path.suffix == ".log" and "journal" in path.parts) or ".tmp" in path.name
        ]
