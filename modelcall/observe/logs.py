"""The lines of the log that tell of rows, files and the endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from modelcall.log import Message, say

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from modelcall.observe.batches import Batch
    from modelcall.types import FileCounts, Outcome, RowRef

_SHORTEST: Final = 1.0
"""Seconds between two lines of a kind, at least."""
_LONGEST: Final = 60.0
"""Seconds without a line, at most."""
_PREFIX: Final = "JSON validation failed: "
_RAW_CHARS: Final = 200


class LogLines:
    """Says what happens; a listener of the run and of its batches.

    A batch that ends within a second of the last batch line is added to the next one, so the lines still add up.

    Args:
        progress_every: Batches between two progress lines (``logging.progress_report_interval``).
        clock: Seconds, monotonic.
    """

    def __init__(self, *, progress_every: int, clock: Callable[[], float]) -> None:
        self._progress_every = progress_every
        self._clock = clock
        self._rows = self._scored = 0
        self._batch_at = self._progress_at = -_SHORTEST
        self._progress_batch = 0
        self._line_at = clock()
        self._batch = 0
        self._all_rows = self._all_scored = 0

    def file_started(self, file: str, *, recorded: int) -> None:
        """Say so, and how much of it is done."""
        say(Message.FILE_STARTED, file=file)
        if recorded:
            say(Message.FILE_RESUMED, recorded=recorded)

    def row_done(self, ref: RowRef, outcome: Outcome) -> None:  # noqa: ARG002  the protocol's signature
        """Rows are told of in batches; progress counts them all."""
        self._all_rows += 1
        if outcome.error_type is None:
            self._all_scored += 1

    def file_done(self, file: str, counts: FileCounts) -> None:
        """Say so, with the file's success rate over all starts."""
        rate = counts.scored / counts.total if counts.total else 1.0
        say(Message.FILE_DONE, file=file)
        say(Message.FILE_RATE, scored=counts.scored, total=counts.total, rate=rate)

    def file_failed(self, file: str, reason: str) -> None:
        """Say so."""
        say(Message.FILE_FAILED, file=file, reason=reason)

    def batch_done(self, batch: Batch) -> None:
        """Say it, unless a line of this kind was written within the second; then progress, if it is due."""
        self._batch = batch.number
        self._rows += batch.rows
        self._scored += batch.scored
        now = self._clock()
        if now - self._batch_at >= _SHORTEST:
            self._say_batch(now)
        if batch.number - self._progress_batch >= self._progress_every and now - self._progress_at >= _SHORTEST:
            self._say_progress(now)

    def tick(self) -> None:
        """A line a minute, also when no batch ends."""
        now = self._clock()
        if now - self._line_at >= _LONGEST:
            self._say_progress(now)

    def flush(self) -> None:
        """Say the batches that were held back."""
        if self._rows:
            self._say_batch(self._clock())

    def client_event(self, name: str, facts: Mapping[str, Any]) -> None:
        """Say what the client tells."""
        if name == "valid_answer":
            say(Message.FORMAT_VALID, keys=facts.get("keys", "?"))
        elif name == "format":
            _say_format(facts)
        else:
            _say_event(name, facts)

    def _say_batch(self, now: float) -> None:
        rows, scored = self._rows, self._scored
        say(Message.BATCH_DONE, rows=rows, scored=scored, failed=rows - scored, rate=scored / rows)
        self._rows = self._scored = 0
        self._batch_at = self._line_at = now

    def _say_progress(self, now: float) -> None:
        if self._all_rows:
            say(Message.PROGRESS, batch=self._batch, rate=self._all_scored / self._all_rows)
        else:
            say(Message.NO_PROGRESS)
        self._progress_batch = self._batch
        self._progress_at = self._line_at = now


def _say_format(facts: Mapping[str, Any]) -> None:
    cause = str(facts.get("cause", ""))
    message = str(facts.get("message", "")).removeprefix(_PREFIX)
    say(Message.FORMAT_FAULT, cause=cause, message=message)
    if str(facts.get("raw", "")).strip():
        say(Message.FORMAT_RAW, cause=cause, raw=str(facts["raw"])[:_RAW_CHARS])
    if not facts.get("retrying"):
        return
    if cause == "missing_keys":
        say(Message.FORMAT_RETRY_KEYS, cause=cause)
    say(Message.FORMAT_RETRY, cause=cause, message=message)


_EVENTS: Final[dict[str, Message]] = {
    "retry": Message.RETRY,
    "cooldown": Message.COOLDOWN,
    "limit": Message.LIMIT,
    "outage": Message.OUTAGE,
    "recovered": Message.RECOVERED,
    "ejected": Message.EJECTED,
    "rejoined": Message.REJOINED,
    "hosts": Message.HOSTS,
}


def _say_event(name: str, facts: Mapping[str, Any]) -> None:
    message = _EVENTS.get(name)
    if message is None or not message.value.facts <= facts.keys():
        say(Message.CLIENT_EVENT, name=name, facts=dict(facts))
    else:
        shown = {
            key: ", ".join(map(str, fact)) if isinstance(fact, list | tuple) else fact for key, fact in facts.items()
        }
        say(message, **shown)
