"""The list of failed rows beside each output: what failed, why, and what the model said."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

import orjson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelcall.fs.base import FileSystem, Sink
    from modelcall.types import Outcome


def failed_path(state: str, output: str) -> str:
    """Return where the list of an output file stands in the folder of side files."""
    return f"{state}/failed/{output}.jsonl"


class FailedRows:
    """Writes ``failed/<output>.jsonl``, which exists only if rows failed."""

    def __init__(self, fs: FileSystem, path: str, *, file: str) -> None:
        self._fs = fs
        self._path = path
        self._file = file
        self._sink: Sink | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Begin; nothing is written before the first failed row."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Drop what was not committed."""
        self._stack.close()

    def add(self, first_row: int, outcomes: Sequence[Outcome]) -> None:
        """Add the failed ones among consecutive rows."""
        for row, outcome in enumerate(outcomes, first_row):
            if outcome.error_type is not None:
                self._write(row, outcome)

    def _write(self, row: int, outcome: Outcome) -> None:
        if self._sink is None:
            self._sink = self._stack.enter_context(self._fs.sink(self._path, overwrite=True))
        line = {
            "file": self._file,
            "row_index": row,
            "error_type": outcome.error_type,
            "reason": outcome.fail_reason,
            "attempts": outcome.attempts,
            "raw": outcome.raw,
        }
        self._sink.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def commit(self) -> None:
        """Publish the list; remove an older one if no row failed now."""
        if self._sink is not None:
            self._sink.commit()
        elif self._fs.exists(self._path):
            self._fs.remove(self._path)
