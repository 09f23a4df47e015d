"""What the workers of a pass and their owner say to each other, beside jobs and results. All of it is picklable."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelcall.observe.relay import Event
    from modelcall.pipeline.job import FileJob
    from modelcall.task_manager.leases import Lease
    from modelcall.types import RowRef


@dataclass(frozen=True, slots=True)
class Pause:
    """Begin no requests, until a :class:`Resume` of the same reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Resume:
    """Lift a pause."""

    reason: str


@dataclass(frozen=True, slots=True)
class StopRows:
    """Issue no more rows; what is in flight may take so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Drain:
    """Issue no more rows; what is in flight may take as long as it needs."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An attempt was answered: when it began, and when it ended."""

    started: float
    ended: float


@dataclass(frozen=True, slots=True)
class Cooled:
    """An endpoint asked a worker to wait."""

    endpoint: str
    seconds: float


@dataclass(frozen=True, slots=True)
class CopyDone:
    """What was to be copied is, or cannot be."""

    ticket: int
    error: Exception | None


@dataclass(frozen=True, slots=True)
class NoReader:
    """The others have better to do than to read a file."""

    job: FileJob


Order: TypeAlias = "Lease | Pause | Resume | StopRows | Drain | Answered | Cooled | CopyDone | NoReader"
"""What an owner says."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a worker stands."""

    lease: int = 0
    """Number of the lease that it holds itself to."""
    bound: int = 0
    """It has no more requests in flight under that lease."""
    in_use: int = 0
    limit: int = 0
    need: int | None = None
    """Rows that it has begun, if it can begin no others now; None: it can."""
    answered: Answered | None = None
    """The last attempt of its own."""


@dataclass(frozen=True, slots=True)
class Details:
    """What is asked for about once a second."""

    oldest: Sequence[tuple[RowRef, float]] = ()
    """Rows in flight, with their seconds."""
    expected: Mapping[str, int] = field(default_factory=dict)
    """Rows that begun files seem to have, by name."""


@dataclass(frozen=True, slots=True)
class News:
    """What happened in a worker since it last said so."""

    standing: Standing
    events: Sequence[Event] = ()
    details: Details | None = None


@dataclass(frozen=True, slots=True)
class CopyBytes:
    """This was written to a journal file, and is to be copied."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class CopySend:
    """All of it is to be copied now; :class:`CopyDone` says when."""

    ticket: int


@dataclass(frozen=True, slots=True)
class CopyRetire:
    """Files of these keys are published."""

    keys: frozenset[str]


@dataclass(frozen=True, slots=True)
class ReaderWanted:
    """A file is to be read for the worker that says so, by another that has nothing to do."""

    job: FileJob
