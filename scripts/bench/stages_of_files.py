"""The stages of files: read, answers recorded, the run looked at, published."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Final

from modelcall.cli.observing import Watch
from modelcall.config.shard import Shard
from modelcall.formats.base import NO_ROWS
from modelcall.fs.local import LocalFileSystem
from modelcall.log import LogSettings, setup
from modelcall.observe.fanout import Fanout
from modelcall.pipeline.input import InputFiles
from modelcall.pipeline.job import FileJob
from modelcall.pipeline.publish import Destination, Publisher
from modelcall.state.journal import ShardJournal
from modelcall.state.ledger import Ledger
from modelcall.state.lock import acquire
from modelcall.state.run import ShardKey
from modelcall.state.shard import output_folder
from modelcall.task_manager.summary import Summary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stage_work import Meter, Work

    from modelcall.state.file_journal import FileJournal

_FLUSH_ROWS: Final = 400
"""What a run at 4,000 rows a second has to write every 0.1 s."""


async def read_jsonl(work: Work, meter: Meter) -> None:
    """Rows out of JSON Lines."""
    work.input("jsonl")
    with meter.on():
        deque(work.chunks("jsonl"), maxlen=0)


async def read_parquet(work: Work, meter: Meter) -> None:
    """Rows out of Parquet."""
    work.input("parquet")
    with meter.on():
        deque(work.chunks("parquet"), maxlen=0)


@contextmanager
def _journal(work: Work, content: str = "") -> Iterator[tuple[ShardJournal, FileJournal]]:
    journals = work.folder / "journals"
    shard = ShardJournal(str(journals), epoch=1, identity="bench")
    shard.prepare()
    yield shard, shard.open("rows.jsonl", fingerprint="bench", content=content)


async def _record(work: Work, shard: ShardJournal, journal: FileJournal) -> None:
    outcome = work.outcome()
    for row in range(work.count):
        journal.record(row, outcome)
        if row % _FLUSH_ROWS == 0:
            await shard.flush()
    await shard.secure()


async def journal(work: Work, meter: Meter) -> None:
    """Outcomes encoded, framed, written every 400 rows, and synced at the end."""
    with _journal(work) as (shard, file):
        with meter.on():
            await _record(work, shard, file)
        await shard.close()


async def observe(work: Work, meter: Meter) -> None:
    """Everybody who looks at a run: counters, batches with their details, log lines, ledger."""
    loaded, started = work.task(), datetime.now().astimezone()
    outcome, refs = work.outcome(), [ref for ref, _ in work.rows()]
    watch = Watch(loaded, folder=work.folder / "logs", started=started)
    summary = Summary("new", "bench", "", Shard(), 0.0)
    ledger = Ledger(str(work.folder / "ledger.log"), interval=loaded.task.concurrency.parquet_save_interval)
    listener = Fanout(watch.observers, ledger)
    with ExitStack() as stack:
        stack.enter_context(setup(LogSettings(work.folder / "run.log", terminal=False)))
        stack.callback(ledger.close)
        watch.run_begins(summary)
        listener.file_started("rows.jsonl", recorded=0)
        with meter.on():
            for ref in refs:
                listener.row_done(ref, outcome)
            watch.observers.flush()


async def publish_jsonl(work: Work, meter: Meter) -> None:
    """JSON Lines once more, with the recorded outcomes, into Parquet."""
    await _publish(work, meter, "jsonl")


async def publish_parquet(work: Work, meter: Meter) -> None:
    """Parquet once more, with the recorded outcomes, into Parquet."""
    await _publish(work, meter, "parquet")


async def _publish(work: Work, meter: Meter, suffix: str) -> None:
    fs = LocalFileSystem()
    to = output_folder(fs, str(work.folder / "out"), single=False)
    inputs = InputFiles(fs)
    job = FileJob(f"rows.{suffix}", fs.stat(str(work.input(suffix))), "rows.parquet")
    with _journal(work, inputs.content(job)) as (shard, file):
        await _record(work, shard, file)
        lock = acquire(*to.lock(ShardKey(1, 0)), facts={})
        facts = {"run": "bench", "run_number": 1, "job_index": 0, "world_size": 1}
        source = inputs.open(job)
        for _ in source.rows_left(["text"], recorded=NO_ROWS, chunk_rows=100):
            pass  # as they were read to be scored
        publisher = Publisher(inputs, Destination(to, lock, facts, str(work.folder)), work.plan())
        with meter.on():
            publisher.publish(job, source, file, rows=work.count)
        await asyncio.to_thread(lock.release)
        await shard.close()
