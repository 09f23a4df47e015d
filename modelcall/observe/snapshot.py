"""The state of a run at one moment, as plain data: what a live view or a status file reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from modelcall.observe.latency import Latency

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Counts since this start, but for ``rows_recorded``."""

    elapsed: float = 0.0
    """Seconds since the start."""
    files_total: int = 0
    files_open: int = 0
    files_done: int = 0
    files_failed: int = 0
    rows_recorded: int = 0
    """Outcomes of earlier starts, in the files begun so far."""
    rows_scored: int = 0
    rows_failed: int = 0
    rows_total: int | None = None
    """Rows of all files of this start; estimated from the files done, None as long as nothing is known."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    attempts: int = 0
    """Attempts that have ended: of rows that are done, and of those that are tried again."""
    retrying: int = 0
    """Rows that had to be tried again and have no outcome yet."""
    retries: Mapping[str, int] = field(default_factory=dict)
    """By cause."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """Failed rows by error type."""
    events: Mapping[str, int] = field(default_factory=dict)
    """What the client told, by name, retries and valid answers aside."""
    in_flight: int = 0
    limit: int = 0
    ceiling: int = 0
    rate: float = 0.0
    """Rows per second, over the last minute."""
    latency: Latency = field(default_factory=Latency)
    history: tuple[tuple[float, int, int], ...] = ()
    """Concurrency over time: (seconds since the start, limit, in flight)."""

    @property
    def rows_done(self) -> int:
        """Rows that got their outcome since this start."""
        return self.rows_scored + self.rows_failed

    @property
    def success_rate(self) -> float | None:
        """Of the rows done since this start, the share with a score; None before the first."""
        return self.rows_scored / self.rows_done if self.rows_done else None

    @property
    def rows_left(self) -> int | None:
        """Rows without an outcome; None if the total is unknown."""
        return None if self.rows_total is None else max(0, self.rows_total - self.rows_recorded - self.rows_done)

    @property
    def eta(self) -> float | None:
        """Seconds to the end at the present rate, which rows of earlier starts do not enter; None if unknown."""
        if self.rows_left == 0:
            return 0.0
        return self.rows_left / self.rate if self.rows_left is not None and self.rate > 0 else None
