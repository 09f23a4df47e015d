"""Values and protocols that every layer shares. No third-party import, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from modelcall.values import row_value

Row: TypeAlias = dict[str, Any]
"""One input row, by column name: only the columns the scorer reads."""


class Secret:
    """A credential. Printed, formatted or logged it shows ``***``; only :meth:`reveal` gives the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the credential itself, for the one place that sends it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


@dataclass(frozen=True, slots=True)
class TosAccess:
    """Where TOS is, and who asks."""

    endpoint: str
    """``https://tos-cn-beijing.ivolces.com``; of the TOS protocol, not of its imitation of S3."""
    region: str
    access_key: Secret
    secret_key: Secret
    security_token: Secret | None = None


class ErrorType(StrEnum):
    """Why a row has no score: the values of the column ``api_error_type``."""

    TOO_LONG = "too_long"
    """The endpoint refused the request for its length."""
    REFUSED = "refused"
    """The model declined to answer."""
    FILTERED = "filtered"
    """A content filter of the provider stepped in."""
    INVALID_OUTPUT = "invalid_output"
    """Answers came, none of the requested form."""
    CUT = "cut"
    """The answer was cut by its length limit."""
    RETRIES_EXHAUSTED = "retries_exhausted"
    """Network or rate-limit failures used up the row's attempts."""
    REJECTED = "rejected"
    """The endpoint refused this request for good (another 4xx)."""
    BAD_ROW = "bad_row"
    """The input row cannot be scored: not JSON, no text, a wrong type."""
    SCORER_ERROR = "scorer_error"
    """A custom scorer raised."""


@dataclass(frozen=True, slots=True)
class ColumnType:
    """The type of a result column.

    ``json`` is a string that holds JSON text. ``list`` has ``items``; ``struct`` has ``fields``.
    """

    kind: Literal["int", "float", "bool", "string", "json", "list", "struct"]
    items: ColumnType | None = None
    fields: tuple[tuple[str, ColumnType], ...] = ()

    def __str__(self) -> str:
        """Write the type as users do: ``list<string>``, ``struct<a: int>``."""
        if self.kind == "list":
            return f"list<{self.items}>"
        if self.kind == "struct":
            return f"struct<{', '.join(f'{name}: {kind}' for name, kind in self.fields)}>"
        return self.kind


INT = ColumnType("int")
FLOAT = ColumnType("float")
BOOL = ColumnType("bool")
STRING = ColumnType("string")
JSON = ColumnType("json")
STRING_LIST = ColumnType("list", items=STRING)

Columns: TypeAlias = Mapping[str, ColumnType]
"""Result columns in output order."""


@row_value
class Usage:
    """Tokens of one request, summed over its attempts. None: the endpoint never said."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


@row_value
class Outcome:
    """What became of one row; what the journal keeps and publishing writes.

    A row is scored if ``error_type`` is None; then ``values`` has the scorer's columns. Else ``values`` is None.
    """

    values: Mapping[str, Any] | None = None
    error_type: ErrorType | None = None
    fail_reason: str | None = None
    raw: str | None = None
    """The text of the last completion, as it came."""
    attempts: int = 1
    model: str | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    seconds: float = field(default=0.0, compare=False)
    """Time in flight, waits between attempts left out. Not journaled."""


@row_value
class RowRef:
    """Which row this is. Identity is (input fingerprint, row_index), never the row's text or a user's id."""

    file: str
    """Name of the input file relative to the input folder."""
    row_index: int
    """From 0, in the input file."""
    request_id: str
    """Opaque, the same on every resume: the first four groups of a UUID. ``x-request-id`` is made from it."""


OutputFormat: TypeAlias = Literal["parquet", "jsonl", "same"]
"""``same``: the format of each input file."""


class Permit(Protocol):
    """One row's right to have a request in flight. Held when the scorer is called; given back by the caller."""

    def release(self) -> None:
        """Give the slot back, to wait without holding it. Without effect if not held."""

    async def acquire(self) -> None:
        """Take a slot again, before rows that have not begun."""


class PermitSource(Protocol):
    """The second level of concurrency: how many requests may be in flight."""

    @property
    def limit(self) -> int:
        """The current limit, at most the ceiling."""

    @property
    def ceiling(self) -> int:
        """What the user allowed."""

    async def take(self) -> Permit:
        """Wait for a slot and hold it."""


@runtime_checkable
class Scorer(Protocol):
    """What a user writes to score rows; sync methods run in threads.

    Optional attribute ``columns``: types of what it adds, as ``{"score": "float"}``; else settled over the file.
    """

    def score(self, item: Row) -> Row:
        """Return the row with its results added; input columns must come back as they were."""


@runtime_checkable
class Corroborated(Protocol):
    """A scorer that judges its endpoint by what it answers, to other processes of the run too."""

    @property
    def last_success(self) -> tuple[float, float] | None:
        """When the last attempt to be answered began and ended, by the monotonic clock; None: there was none."""

    def succeeded_elsewhere(self, started: float, ended: float) -> None:
        """Another process of the run was answered."""

    def cooled_elsewhere(self, endpoint: str, seconds: float) -> None:
        """An endpoint, by its name, asked another process of the run to wait."""


@runtime_checkable
class Steerable(Protocol):
    """Permits that can be moved while they are in use."""

    ceiling: int
    most: int | None
    """Beyond it the ceiling cannot be moved; None: no such bound."""

    def set_ceiling(self, ceiling: int) -> None:
        """Move the ceiling."""

    def pause(self, reason: str = "") -> None:
        """Hand out nothing until :meth:`resume` with the same reason."""

    def resume(self, reason: str = "") -> None:
        """Lift the pause of this reason."""


class RowScorer(Protocol):
    """The pipeline's view of a scorer: every scorer, built-in or a user's, is behind this."""

    columns: Columns | None
    """Result columns, fixed before row one; None: settled over each file before it is published."""
    reads: frozenset[str] | None
    """Input columns that :meth:`score` needs; None: all."""
    is_judge: bool
    """A judge asks a model: its rows get model and token columns."""
    permits: PermitSource
    identity: Mapping[str, str]
    """What a resume must find unchanged, by name, as text: a prompt's hash, a model's parameters, a module's source."""

    async def settle(self, known: Mapping[str, str] | None) -> Mapping[str, str]:
        """Fix before row one what only the endpoint can tell (which structured mode it accepts).

        ``known`` is what an earlier start of this run settled; it is kept. Called in an opened scorer, once a run.
        """

    async def open(self) -> None:
        """Make ready: connections, models. Called once in the process and event loop that scores."""

    async def score(self, row: Row, ref: RowRef, permit: Permit) -> Outcome:
        """Score one row. A row's failure is an Outcome; only a FatalError may be raised."""

    async def close(self) -> None:
        """Release everything; no task, socket or thread is left."""


@dataclass(frozen=True, slots=True)
class FileCounts:
    """Rows of one file."""

    total: int
    scored: int
    failed: int


class RunListener(Protocol):
    """What the pipeline tells while it runs. Called on the event loop: implementations return at once."""

    def file_started(self, file: str, *, recorded: int) -> None:
        """A file is being read; ``recorded`` of its rows have an outcome from an earlier start."""

    def row_done(self, ref: RowRef, outcome: Outcome) -> None:
        """A row got its outcome now."""

    def file_done(self, file: str, counts: FileCounts) -> None:
        """A file is published."""

    def file_failed(self, file: str, reason: str) -> None:
        """A file cannot be read or published; the others go on."""

    def client_event(self, name: str, facts: Mapping[str, Any]) -> None:
        """The scorer's client did something worth telling: a retry, a cool-down, an outage, a moved limit."""
