"""Several listeners of one run as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelcall.types import FileCounts, Outcome, RowRef, RunListener


class Fanout:
    """Tells every listener everything."""

    def __init__(self, *listeners: RunListener) -> None:
        self._listeners = listeners
        self._row_done = tuple(listener.row_done for listener in listeners)
        self._client_event = tuple(listener.client_event for listener in listeners)

    def file_started(self, file: str, *, recorded: int) -> None:
        """Pass on."""
        for listener in self._listeners:
            listener.file_started(file, recorded=recorded)

    def row_done(self, ref: RowRef, outcome: Outcome) -> None:
        """Pass on. On the path of every row."""
        for row_done in self._row_done:
            row_done(ref, outcome)

    def file_done(self, file: str, counts: FileCounts) -> None:
        """Pass on."""
        for listener in self._listeners:
            listener.file_done(file, counts)

    def file_failed(self, file: str, reason: str) -> None:
        """Pass on."""
        for listener in self._listeners:
            listener.file_failed(file, reason)

    def client_event(self, name: str, facts: Mapping[str, Any]) -> None:
        """Pass on, as quickly: it comes with every answer."""
        for client_event in self._client_event:
            client_event(name, facts)
