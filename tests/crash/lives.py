"""One life of a run, in a process that is to be killed: it keeps a record of what it asks and what is answered."""

import asyncio
import os
import random
import time
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from modelcall.pipeline.runner import RunnerSettings
from modelcall.pipeline.shard_place import Limits
from modelcall.state import journal
from modelcall.types import ErrorType, Outcome, Permit, RowRef
from tests.crash.fates import Fate, await_fate
from tests.pipeline.harness import Bench, FakeJudge

pa.array([])  # makes pyarrow look for pandas once, and not in every child

STOPPED = 7
"""Exit code of a life that was asked to stop, and did."""
_write = os.write


@dataclass(frozen=True)
class Ways:
    """What may change from life to life and must not change what comes out."""

    files: int
    chunk_rows: int
    ceiling: int
    flush_seconds: float
    grace_seconds: float
    ledger_interval: int

    @staticmethod
    def drawn(seed: int) -> "Ways":
        rng = random.Random(seed)
        return Ways(
            files=rng.randrange(1, 5),
            chunk_rows=rng.choice([1, 2, 7, 100]),
            ceiling=rng.randrange(1, 9),
            flush_seconds=rng.choice([0.005, 0.02, 0.1]),
            grace_seconds=rng.choice([0, 0.01, 5]),
            ledger_interval=rng.choice([-1, 1, 5]),
        )


def live(folder: str, output_format: str, seed: int, fate: Fate, row_limit: int | None = None) -> int:
    """Live until the end, or until fate strikes."""
    ways, rng = Ways.drawn(seed), random.Random(seed)
    journal.FLUSH_SECONDS, journal.SYNC_SECONDS = ways.flush_seconds, 4 * ways.flush_seconds
    record = os.open(f"{folder}/record", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(what: str, ref: RowRef | None = None) -> None:
        where = f"{ref.file} {ref.row_index}" if ref else "- 0"
        _write(record, f"{what} {where} {time.monotonic()}\n".encode())

    async def ask(ref: RowRef, permit: Permit) -> Outcome | None:
        del permit
        note("asked", ref)
        await asyncio.sleep(rng.random() * 0.004)
        note("answered", ref)
        if ref.row_index % 7 == 5:
            return Outcome(error_type=ErrorType.REFUSED, fail_reason="refused", raw="no", attempts=1)
        return None

    await_fate(fate, lambda: note("struck"))
    bench = Bench(Path(folder), output_format=output_format)
    return asyncio.run(_live(bench, FakeJudge(ceiling=ways.ceiling, act=ask), ways, fate, Limits(rows=row_limit)))


async def _live(bench: Bench, judge: FakeJudge, ways: Ways, fate: Fate, limits: Limits) -> int:
    def stop() -> None:
        if bench.runner is not None:
            bench.runner.stop()

    if fate.stopped_after is not None:
        asyncio.get_running_loop().call_later(fate.stopped_after, stop)
    settings = RunnerSettings(
        max_concurrent_files=ways.files, chunk_rows=ways.chunk_rows, grace_seconds=ways.grace_seconds
    )
    tally = await bench.start(judge, settings=settings, limits=limits, ledger_interval=ways.ledger_interval)
    return STOPPED if tally.unfinished else 0
