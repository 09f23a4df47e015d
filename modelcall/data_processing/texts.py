"""Which column holds the text, and its values as texts."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

import orjson
import pyarrow.types as pt

from modelcall.errors import FileFailure
from modelcall.formats.values import is_text, json_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

TEXT: Final = "text"
CANDIDATES: Final = (TEXT, "content", "code", "body", "description")
"""Columns that a text is looked for in, in this order."""


def choose_text(columns: Sequence[str], asked: str | None, *, file: str) -> str | None:
    """Return the column that holds the text; None of a file without columns, which has no row to read.

    Raises:
        FileFailure: None of its columns is one.
    """
    wanted = CANDIDATES if asked is None else (asked,)
    found = next((name for name in wanted if name in columns), None)
    if found is None and columns:
        near = get_close_matches(asked or TEXT, columns, n=1)
        meant = f"; did you mean {near[0]!r}?" if asked and near else ""
        looked = f"no column {asked!r}" if asked else f"none of the columns {', '.join(CANDIDATES)}"
        raise FileFailure(
            f"{file}: {looked}{meant}",
            hint=f"Name the column that holds the text as text_key; there are {', '.join(columns[:20])}.",
        )
    return found


def as_texts(array: pa.Array, *, name: str, is_json: bool) -> list[str | None]:
    """Return the values of a column that should be text; bytes that are not UTF-8 become U+FFFD.

    A column ``is_json`` holds JSON text: strings in it are read, anything else stays as it is written there.

    Raises:
        FileFailure: The column is of another type.
    """
    if pt.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pt.is_null(array.type):
        return [None] * len(array)
    if pt.is_binary(array.type) or pt.is_large_binary(array.type) or pt.is_binary_view(array.type):
        return [None if value is None else value.decode(errors="replace") for value in array.to_pylist()]
    if not is_text(array.type):
        raise FileFailure(f"column {name!r} holds {array.type}, not text", hint="Name another column as text_key.")
    texts: list[str | None] = json_values(array)
    return [_read(text) for text in texts] if is_json else texts


def as_words(array: pa.Array, *, is_json: bool) -> list[str | None]:
    """Return the values of any column as texts to be joined: what is no text as JSON."""
    values: list[Any] = json_values(array)
    if is_json:
        values = [_read(value) for value in values]
    return [value if value is None or isinstance(value, str) else orjson.dumps(value).decode() for value in values]


def _read(text: str | None) -> str | None:
    if text is None or not text.startswith('"'):
        return text
    value: str = orjson.loads(text)
    return value
