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

    def file_started(self, file: str, *, recorded: int) -> None:
        """Pass on."""
        for listener in self._listeners:
            listener.file_started(file, recorded=recorded)

    def row_done(self, ref: RowRef, outcome: Outcome) -> None:
        """Pass on."""
        for listener in self._listeners:
            listener.row_done(ref, outcome)

    def file_done(self, file: str, counts: FileCounts) -> None:
        """Pass on."""
        for listener in self._listeners:
            listener.file_done(file, counts)

    def file_failed(self, file: str, reason: str) -> None:
        """Pass on."""
        for listener in self._listeners:
            listener.file_failed(file, reason)

    def client_event(self, name: str, facts: Mapping[str, Any]) -> None:
        """Pass on."""
        for listener in self._listeners:
            listener.client_event(name, facts)
