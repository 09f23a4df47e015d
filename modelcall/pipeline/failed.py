"""The list of failed rows beside each output: what failed, why, and what the model said."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import orjson

from modelcall.formats.lines import CHUNK_BYTES, split_lines
from modelcall.types import ErrorType, Outcome, Usage

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from modelcall.fs.base import FileSystem, Sink


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
        line = {"file": self._file, **outcome_fields(row, outcome)}
        self._sink.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def commit(self) -> None:
        """Publish the list; remove an older one if no row failed now."""
        if self._sink is not None:
            self._sink.commit()
        elif self._fs.is_file(self._path):
            self._fs.remove(self._path)


def outcome_fields(row: int, outcome: Outcome) -> dict[str, Any]:
    """Return what is written of a row, but for its values, which failed ones have not."""
    return {
        "row_index": row,
        "error_type": outcome.error_type,
        "reason": outcome.fail_reason,
        "attempts": outcome.attempts,
        "raw": outcome.raw,
        "model": outcome.model,
        "finish_reason": outcome.finish_reason,
        "usage": outcome.usage,
    }


def read_failures(fs: FileSystem, path: str) -> Iterator[tuple[int, Outcome]]:
    """Yield the rows of such a list with their outcomes, in its order; none if there is no list.

    Raises:
        ValueError: It holds something else.
    """
    yield from map(_outcome, json_lines(fs, path))


def json_lines(fs: FileSystem, path: str) -> Generator[Any]:
    """Yield what each line of a file holds; nothing if there is no file. Read in blocks: a store is asked for each."""
    if not fs.is_file(path):
        return
    with fs.open(path) as stream:
        for line in split_lines(iter(partial(stream.read, CHUNK_BYTES), b""), max_bytes=sys.maxsize):
            assert isinstance(line, bytes)  # noqa: S101  none is too long, none passed over
            yield orjson.loads(line)


def _outcome(line: dict[str, Any]) -> tuple[int, Outcome]:
    try:
        usage = line.get("usage")
        return line["row_index"], Outcome(
            error_type=ErrorType(line["error_type"]),
            fail_reason=line["reason"],
            raw=line["raw"],
            attempts=line["attempts"],
            model=line.get("model"),
            finish_reason=line.get("finish_reason"),
            usage=usage and Usage(**usage),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"no failed row: {error!r}") from error
