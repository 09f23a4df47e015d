"""The history beside an output: failures of rows that were asked again since, and what the model said."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any, Self

import orjson

from modelcall.pipeline.failed import json_lines, outcome_fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelcall.fs.base import FileSystem, Sink
    from modelcall.types import Outcome


class History:
    """Adds to ``history/<output>.jsonl``, which exists only if failed rows were asked again.

    Rows come in order, and each failure of a row after more attempts than the last; so stand the lines of the file, and
    one that is there already is not added again: whoever is killed may repeat this.

    Of an output that does not stand yet (not ``replaces``) there is no history: what is there is of another run.
    """

    def __init__(self, fs: FileSystem, path: str, *, replaces: bool) -> None:
        self._fs = fs
        self._path = path
        self._replaces = replaces
        self._sink: Sink | None = None
        self._stack = ExitStack()
        self._old: Iterator[dict[str, Any]] = iter(())
        self._next: dict[str, Any] | None = None

    def __enter__(self) -> Self:
        """Begin; nothing is read or written before the first failure."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Drop what was not committed."""
        self._stack.close()

    def add(self, row: int, outcome: Outcome) -> None:
        """Add a failure that another outcome supersedes."""
        if self._sink is None:
            self._sink = self._stack.enter_context(self._fs.sink(self._path, overwrite=True))
            self._open_old()
        line = outcome_fields(row, outcome)
        while self._next is not None and _place(self._next) < _place(line):
            self._copy(self._sink)
        if self._next is None or _place(self._next) != _place(line):
            self._sink.write(_text(line))

    def commit(self) -> None:
        """Publish the history, old and new, if anything was added."""
        if self._sink is None:
            if not self._replaces and self._fs.is_file(self._path):
                self._fs.remove(self._path)
            return
        while self._next is not None:
            self._copy(self._sink)
        self._sink.commit()

    def _open_old(self) -> None:
        if self._replaces:
            self._old = self._stack.enter_context(closing(json_lines(self._fs, self._path)))
        self._next = next(self._old, None)

    def _copy(self, sink: Sink) -> None:
        sink.write(_text(self._next))
        self._next = next(self._old, None)


def _place(line: dict[str, Any]) -> tuple[int, int]:
    return line["row_index"], line["attempts"]


def _text(line: object) -> bytes:
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
