"""What happens in a worker process, for the listeners of its owner: collected there, told again here.

Rows come by the thousand a second, so they travel as plain tuples, many at a time, and without what no listener looks
at: the answer of a row that was scored, its model, why it finished.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from modelcall.types import Outcome, RowRef, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from modelcall.types import FileCounts, RunListener

Event: TypeAlias = tuple[Any, ...]
_ROW: Final = ""
"""First in the tuple of a row; of any other event it is the method's name."""


class Relay:
    """Collects what a listener is told."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    def taken(self) -> list[Event]:
        """Return what was told since the last time."""
        events, self._events = self._events, []
        return events

    def file_started(self, file: str, *, recorded: int) -> None:
        """Collect it."""
        self._events.append(("file_started", file, recorded))

    def row_done(self, ref: RowRef, outcome: Outcome) -> None:
        """Collect it; an answer only if it was no good."""
        usage, error = outcome.usage, outcome.error_type
        tokens = None
        if usage is not None:
            tokens = (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens, usage.reasoning_tokens)
        raw = None if error is None else outcome.raw
        told = (error, outcome.fail_reason, raw, outcome.attempts, tokens, outcome.seconds)
        self._events.append((_ROW, ref.file, ref.row_index, ref.request_id, outcome.values, *told))

    def file_done(self, file: str, counts: FileCounts) -> None:
        """Collect it."""
        self._events.append(("file_done", file, counts))

    def file_failed(self, file: str, reason: str) -> None:
        """Collect it."""
        self._events.append(("file_failed", file, reason))

    def client_event(self, name: str, facts: Mapping[str, Any]) -> None:
        """Collect it."""
        self._events.append(("client_event", name, dict(facts)))


def retell(events: Iterable[Event], listener: RunListener) -> int:
    """Tell a listener what was collected, in order; return how many rows that were."""
    rows = 0
    for name, *told in events:
        if name == _ROW:
            rows += 1
            file, row_index, request_id, values, error, reason, raw, attempts, tokens, seconds = told
            usage = None if tokens is None else Usage(*tokens)
            outcome = Outcome(values, error, reason, raw, attempts, usage=usage, seconds=seconds)
            listener.row_done(RowRef(file, row_index, request_id), outcome)
        elif name == "file_started":
            listener.file_started(told[0], recorded=told[1])
        else:
            getattr(listener, name)(*told)
    return rows
