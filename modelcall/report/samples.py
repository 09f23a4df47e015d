"""The text of a few rows: read again, once it is known which."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson

from modelcall.formats.base import BadRow
from modelcall.report.reading import opened

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from modelcall.report.reading import Published
    from modelcall.report.subject import Expected
    from modelcall.state.manifest import Entry
    from modelcall.types import Row

TEXT_CHARS: Final = 1200
_VALUE_CHARS: Final = 400
_LIKELY: Final = ("text", "content", "raw_content", "document", "body")
"""Columns that hold the document if nothing says which does."""
_NAMES: Final = ("id", "uuid", "doc_id", "url", "path", "title")
"""Columns that tell a reader which document it is."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The beginning of a text."""

    text: str
    more: int
    """Characters that are left out."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A row as it is shown."""

    file: str
    row: int
    text: Cut | None
    """None: the output has no such column, or no text there."""
    values: Mapping[str, str] = field(default_factory=dict)
    """What the scorer found, and what names the row."""
    raw: Cut | None = None


class Samples:
    """Reads rows by their place."""

    def __init__(self, *, text_column: str | None, by: Sequence[str]) -> None:
        self._text_column = text_column
        self._by = by
        self._found: dict[tuple[int, int], Sample] = {}

    def read(self, file: Expected, entry: Entry, number: int, rows: Collection[int]) -> None:
        """Read some rows of a published file.

        Raises:
            FileFailure: It is not what it was.
            OSError: It cannot be read.
        """
        with opened(file, entry) as published:
            names = [name for name in published.schema.names if name in self._wanted(published)]
            for row, values in published.rows(rows, names):
                if not isinstance(values, BadRow):
                    self._found[number, row] = self._sample(published, row, values)

    def get(self, output: int, row: int) -> Sample | None:
        """Return a row that was read."""
        return self._found.get((output, row))

    def text_column(self, names: Sequence[str]) -> str | None:
        """Say which of a file's columns holds the document."""
        wanted = [self._text_column] if self._text_column else _LIKELY
        return next((name for name in wanted if name in names), None)

    def _wanted(self, published: Published) -> set[str]:
        entry, text = published.entry, self.text_column(published.schema.names)
        return {*entry.scores, *self._by, *_NAMES, f"{entry.prefix}api_return", *([text] if text else [])}

    def _sample(self, published: Published, row: int, values: Row) -> Sample:
        entry, text = published.entry, self.text_column(published.schema.names)
        raw = values.pop(f"{entry.prefix}api_return", None)
        document = values.pop(text, None) if text else None
        return Sample(
            file=entry.output,
            row=row,
            text=_cut(document, TEXT_CHARS),
            values={name: _shown(value) for name, value in values.items() if value is not None},
            raw=_cut(raw, TEXT_CHARS),
        )


def cut(text: str, chars: int = TEXT_CHARS) -> Cut:
    """Return the beginning of a text."""
    return Cut(text[:chars], max(0, len(text) - chars))


def _cut(value: Any, chars: int) -> Cut | None:  # noqa: ANN401  any value of a column
    return None if value is None else cut(value if isinstance(value, str) else _shown(value), chars)


def _shown(value: Any) -> str:  # noqa: ANN401  any value of a column
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        text = ", ".join(value)
    elif isinstance(value, str):
        text = value
    else:
        text = orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    return text if len(text) <= _VALUE_CHARS else f"{text[:_VALUE_CHARS]}…"
