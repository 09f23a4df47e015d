"""Everything that looks at one start: counters, log lines, batch details, first reasons, final statistics."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from modelcall.config.record import secrets_of
from modelcall.log import Message, say
from modelcall.observe import (
    BatchDetails,
    Batches,
    LogLines,
    Observers,
    Phases,
    Progress,
    RunFacts,
    RunState,
    SlowRow,
    batch_details_path,
    cost,
    final_stats,
    final_stats_path,
    write_final_stats,
)
from modelcall.redact import redact_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from modelcall.config.loading import LoadedTask
    from modelcall.observe import Batch, Snapshot
    from modelcall.observe.batches import BatchListener
    from modelcall.state.listing import ListedFile
    from modelcall.task_manager.summary import InFlight, Summary
    from modelcall.types import FileCounts, Outcome, PermitSource, RowRef


_SLOWEST: Final = 3
"""Rows in flight that are named."""


@dataclass(slots=True)
class _Gauge:
    """The permits of the pass that runs; none before the first."""

    permits: PermitSource | None = None

    @property
    def in_use(self) -> int:
        return int(getattr(self.permits, "in_use", 0))

    @property
    def limit(self) -> int:
        return self.permits.limit if self.permits else 0

    @property
    def ceiling(self) -> int:
        return self.permits.ceiling if self.permits else 0


class _BatchListeners:
    """Batch details join as soon as the run's id is known."""

    def __init__(self, first: BatchListener) -> None:
        self.listeners = [first]

    def batch_done(self, batch: Batch) -> None:
        """Pass it on."""
        for listener in self.listeners:
            listener.batch_done(batch)


class FirstReasons:
    """The first failed row of each kind, with its reason; a listener of the run."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def row_done(self, ref: RowRef, outcome: Outcome) -> None:
        """Keep the first of its kind."""
        if outcome.error_type is not None and outcome.error_type not in self.found:
            self.found[str(outcome.error_type)] = f"{ref.file} row {ref.row_index}: {outcome.fail_reason or ''}"

    def file_started(self, file: str, *, recorded: int) -> None:
        """Of no interest here."""

    def file_done(self, file: str, counts: FileCounts) -> None:
        """Of no interest here."""

    def file_failed(self, file: str, reason: str) -> None:
        """Of no interest here."""

    def client_event(self, name: str, facts: Mapping[str, Any]) -> None:
        """Of no interest here."""


class Watch:
    """Looks at one start; told what begins by the task manager."""

    def __init__(self, loaded: LoadedTask, *, folder: Path, started: datetime) -> None:
        logging = loaded.task.logging
        self.task = loaded.task.task_name
        self.phases = Phases()
        self._rows: InFlight | None = None
        self._folder = folder
        self._started = started
        self._prices = loaded.model.prices if loaded.model else None
        self._secrets = secrets_of(loaded)
        self._sizes: dict[str, int] = {}
        self._gauge = _Gauge()
        self._summary: Summary | None = None
        lines = LogLines(progress_every=logging.progress_report_interval, clock=time.monotonic)
        self._batch_listeners = _BatchListeners(lines)
        batches = Batches(size=logging.batch_size, listener=self._batch_listeners, clock=time.monotonic)
        self.progress = Progress(sizes=self._sizes, gauge=self._gauge)
        self.reasons = FirstReasons()
        self.observers = Observers((self.progress, batches, lines, self.reasons, self.phases))

    def run_begins(self, summary: Summary) -> None:
        """Say which run it is, and note its batches from now on."""
        self._summary = summary
        details = BatchDetails(
            path=batch_details_path(self._folder, task=self.task, job_index=self._job_index(summary)),
            run_id=summary.run,
            job_index=summary.shard.job_index,
            now=lambda: datetime.now().astimezone(),
            gauge=self._gauge,
        )
        self._batch_listeners.listeners.append(details)
        if summary.waiting:
            say(Message.FILES_LATER, count=len(summary.waiting))

    def pass_begins(self, files: Sequence[ListedFile], permits: PermitSource, rows: InFlight) -> None:
        """Say what is left to do."""
        self._gauge.permits = permits
        self._rows = rows
        self.progress.expected = rows.expected_rows
        for file in files:  # a later pass over the same files counts them again
            name = file.name if file.name not in self._sizes else f"{file.name} (pass {len(self._sizes)})"
            self._sizes[name] = file.size
        say(Message.FILES_FOUND, count=len(files))
        if self._summary is not None and (tally := self._summary.passes[-1]).files:
            say(Message.TASK_RESUMED, files=tally.files, rows=tally.rows)

    def state(self) -> RunState:
        """Return how the run is now."""
        snapshot = self.progress.snapshot()
        oldest = self._rows.oldest(_SLOWEST) if self._rows is not None and not self.phases.ended else []
        return RunState(
            task=self.task,
            snapshot=snapshot,
            phase=self.phases.phase,
            note=self.phases.note,
            cost=cost(snapshot, self._prices),
            slowest=tuple(SlowRow(ref.file, ref.row_index, round(seconds, 1)) for ref, seconds in oldest),
        )

    def end(self, summary: Summary) -> Snapshot:
        """Write the final statistics; return the last counts."""
        self.observers.flush()
        snapshot = self.progress.snapshot()
        facts = RunFacts(
            task=self.task,
            run_id=summary.run,
            job_index=summary.shard.job_index,
            world_size=summary.shard.world_size,
            started=self._started,
            ended=datetime.now().astimezone(),
            exit_code=summary.exit_code,
            prices=self._prices,
            reason=summary.error.message if summary.error else None,
        )
        path = final_stats_path(self._folder, task=self.task, job_index=self._job_index(summary))
        try:
            write_final_stats(path, redact_values(final_stats(facts, snapshot), self._secrets))
        except OSError as error:
            say(Message.WARNING, text=f"{path}: the final statistics cannot be written: {error.strerror}")
        return snapshot

    @staticmethod
    def _job_index(summary: Summary) -> int | None:
        """As file names carry it: only if there are several shards."""
        return summary.shard.job_index if summary.shard.world_size > 1 else None
