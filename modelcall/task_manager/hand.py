"""A worker of a pass: scores and publishes the files it is given, within what its owner lends it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

from modelcall.garbage import leave_pandas_out
from modelcall.observe.relay import Relay
from modelcall.pipeline.read_ahead import decline
from modelcall.pipeline.site import Site
from modelcall.pipeline.unify import unified_in
from modelcall.scorers.planning import settled
from modelcall.state.journal import Worker
from modelcall.task_manager.copying import CopiedByOwner
from modelcall.task_manager.crew_messages import (
    Answered,
    Cooled,
    CopyDone,
    Details,
    Drain,
    News,
    NoReader,
    Pause,
    ReaderWanted,
    Resume,
    Standing,
    StopRows,
)
from modelcall.task_manager.leases import Lease
from modelcall.task_manager.places import Places
from modelcall.task_manager.plans import plan_scorer
from modelcall.types import Corroborated

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from modelcall.config.loading import LoadedTask
    from modelcall.engines.base import Channel
    from modelcall.permits import Permits
    from modelcall.pipeline.columns import ResultPlan
    from modelcall.pipeline.job import FileJob, JobResult
    from modelcall.pipeline.runner import Runner, RunnerSettings
    from modelcall.pipeline.site import Owned
    from modelcall.task_manager.crew_messages import Order
    from modelcall.types import RowScorer

NEWS_SECONDS = 0.05
"""Between two reports of a worker: leases move, and counters, as fast."""
_DETAILS_EVERY = 20
"""Reports."""
_OLDEST = 3
_LENT_NOTHING = 1
"""Of the ceiling, which a worker is lent before its owner says how much."""


@dataclass(frozen=True, slots=True)
class HandSpec:
    """All that a worker is made from. Picklable."""

    loaded: LoadedTask
    owned: Owned
    plan: ResultPlan
    settings: RunnerSettings
    columns: frozenset[str]
    """Of the input files, that the prompt may name."""
    urls: tuple[str, ...]
    """Of the embedded server, if the run has one."""
    known: Mapping[str, str]
    """What was settled before row one; the schema of all outputs, if they have one, is among it."""


async def score_files(
    jobs: AsyncIterator[FileJob], channel: Channel, *, spec: HandSpec
) -> AsyncGenerator[JobResult, None]:
    """Score and publish files: the work of an engine of many processes."""
    if not spec.loaded.runs_users_code:
        leave_pandas_out()
    relay = Relay()
    make = plan_scorer(spec.loaded, relay.client_event).make
    # Whether the first rows are hopeless is for the owner to say: it sees those of all workers.
    scorer, _ = await settled(make(spec.columns, spec.urls, retry=True), spec.known)
    hand = _Hand(channel, relay, scorer)
    copies = CopiedByOwner(channel) if spec.owned.copied else None
    runner = _site(spec, channel, copies).runner(
        scorer,
        spec.plan,
        output_columns=spec.loaded.task.data.output_columns,
        unified=unified_in(spec.known) if spec.loaded.task.data.unify_schema else None,
        listener=relay,
        settings=spec.settings,
    )
    reporting = asyncio.get_running_loop().create_task(hand.keep_reporting(runner, copies))
    try:
        async with aclosing(runner.run(jobs)) as results:
            async for result in results:
                hand.report(runner)  # what led to it comes first
                yield result
    finally:
        reporting.cancel()
        await asyncio.gather(reporting, return_exceptions=True)
        hand.report(runner)
        await scorer.close()


def _site(spec: HandSpec, channel: Channel, copies: CopiedByOwner | None) -> Site:
    places = Places(spec.loaded)
    to = places.output(spec.owned.record, spec.owned.shard.run_index)
    journals = Worker(channel.worker, spec.owned.earlier)
    ask = partial(_ask_to_read, channel)
    return Site(spec.owned, places.input_fs, to, places.stat_folder(to), copies, journals, ask)


def _ask_to_read(channel: Channel, job: FileJob) -> None:
    channel.tell(ReaderWanted(job))


class _Hand:
    """Reports to the owner, and does what it says."""

    def __init__(self, channel: Channel, relay: Relay, scorer: RowScorer) -> None:
        self._channel = channel
        self._relay = relay
        self._scorer = scorer
        self._permits: Permits = scorer.permits  # type: ignore[assignment]  # every scorer of ours has these
        self._lease = Lease(0, 0, _LENT_NOTHING)
        self._permits.lend(0, of=_LENT_NOTHING)
        self._told: Standing | None = None
        self._answered: tuple[float, float] | None = None
        self._numbers = count(1)

    async def keep_reporting(self, runner: Runner, copies: CopiedByOwner | None) -> None:
        """Listen and report until cancelled."""
        self._channel.heed(lambda order: self._do(order, runner, copies))
        while True:
            await asyncio.sleep(NEWS_SECONDS)
            self.report(runner)

    def report(self, runner: Runner) -> None:
        """Say what has happened, if anything has."""
        events, standing = self._relay.taken(), self._standing(runner)
        details = None
        if next(self._numbers) % _DETAILS_EVERY == 0:
            details = Details(runner.oldest(_OLDEST), runner.expected_rows())
        if events or details is not None or standing != self._told:
            self._told = standing
            self._channel.tell(News(standing, events, details))

    def _standing(self, runner: Runner) -> Standing:
        permits, lease = self._permits, self._lease
        return Standing(
            lease=lease.number,
            bound=max(lease.requests, permits.in_use),
            in_use=permits.in_use,
            limit=min(permits.limit, lease.requests),
            need=runner.rows_begun,
            answered=self._answered_lately(),
        )

    def _answered_lately(self) -> Answered | None:
        last = self._scorer.last_success if isinstance(self._scorer, Corroborated) else None
        if last is None or last == self._answered:
            return None
        self._answered = last
        return Answered(*last)

    def _do(self, order: Order, runner: Runner, copies: CopiedByOwner | None) -> None:
        match order:
            case Lease(requests=requests, ceiling=ceiling):
                self._lease = order
                self._permits.lend(requests, of=ceiling)
                self.report(runner)
            case Pause(reason):
                self._permits.pause(reason)
            case Resume(reason):
                self._permits.resume(reason)
            case Answered() | Cooled() if isinstance(self._scorer, Corroborated):
                _pass_on(order, self._scorer)
            case StopRows(seconds):
                runner.stop(seconds)
            case Drain():
                runner.drain()
            case NoReader(job) if job.read_into is not None:
                decline(job.read_into)
            case CopyDone() if copies is not None:
                copies.done(order)


def _pass_on(met: Answered | Cooled, scorer: Corroborated) -> None:
    if isinstance(met, Answered):
        scorer.succeeded_elsewhere(met.started, met.ended)
    else:
        scorer.cooled_elsewhere(met.endpoint, met.seconds)
