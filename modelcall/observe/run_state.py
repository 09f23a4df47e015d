"""A run at one moment, as it is shown: on a terminal, in the status file, as metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelcall.observe.phase import Phase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelcall.observe.cost import Cost
    from modelcall.observe.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class SlowRow:
    """A row in flight."""

    file: str
    row_index: int
    seconds: float


@dataclass(frozen=True, slots=True)
class RunState:
    """A run at one moment."""

    task: str
    snapshot: Snapshot
    phase: Phase = Phase.RUNNING
    note: str = ""
    """Why it is in this phase, or what slows it down."""
    cost: Cost | None = None
    slowest: tuple[SlowRow, ...] = ()
    """The rows that are in flight longest."""


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """What does not change while a run goes on."""

    task: str
    run_id: str
    how: str
    job_index: int
    world_size: int
    started: str
    """Time of day, ISO 8601."""
    process: Mapping[str, Any]
    """What tells the process apart from a later one with its number."""
    outputs: tuple[str, ...] = ()
    task_file: str = ""
    overrides: tuple[str, ...] = ()
    """``KEY=VALUE`` of each ``--set``."""
    log: str = ""
    grace_seconds: float = 0.0
    metrics: str = ""
    """``HOST:PORT`` where they are served; empty: nowhere."""
    control: str = ""
    """The socket; empty: there is none."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended."""

    exit_code: int
    reason: str | None = None
    """Why before its end; None: it came to its end."""


@dataclass(frozen=True, slots=True)
class Status:
    """All that the status file tells."""

    identity: RunIdentity
    state: RunState
    updated: str
    ending: Ending | None = None
