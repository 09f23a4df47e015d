"""Rows that are left out, each with the reason that it is counted by."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pyarrow.types as pt

from modelcall.data_processing.texts import TEXT
from modelcall.formats.values import json_values

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import pyarrow as pa

    from modelcall.config.preprocess import FilterConfig
    from modelcall.data_processing.rows import Rows

_EMPTY_JSON = frozenset({'""', "[]", "{}"})


class Filters:
    """The filters of a configuration; a row goes by the first that it does not pass, in the order written here."""

    def __init__(self, config: FilterConfig) -> None:
        self._required = config.required_fields
        self._least = config.min_text_length or 0
        self._most = config.max_text_length
        self._patterns = [(f"blacklist_patterns: {text}", re.compile(text)) for text in config.blacklist_patterns]

    def reasons(self, rows: Rows, *, json_columns: Collection[str]) -> list[str | None]:
        """Return for each row why it goes; None: it stays. No text is one of no characters."""
        reasons: list[str | None] = list(map(self._text_reason, rows.texts))
        for name in reversed(self._required):
            for index in self._empty(rows, name, json_columns):
                reasons[index] = f"required_fields: {name}"
        return reasons

    def _text_reason(self, text: str | None) -> str | None:
        text = text or ""
        if len(text) < self._least:
            return "min_text_length"
        if self._most is not None and len(text) > self._most:
            return "max_text_length"
        return next((reason for reason, pattern in self._patterns if pattern.search(text)), None)

    def _empty(self, rows: Rows, name: str, json_columns: Collection[str]) -> Iterable[int]:
        """Yield the rows in which a column is null, blank, or without members."""
        if name == TEXT:
            return (index for index, text in enumerate(rows.texts) if not (text or "").strip())
        if name not in rows.batch.schema.names:
            return range(rows.batch.num_rows)
        values = _lengths(rows.batch.column(name), is_json=name in json_columns)
        return (index for index, value in enumerate(values) if not value)


def _lengths(array: pa.Array, *, is_json: bool) -> list[object]:
    """Return something true for each value that is not empty."""
    if pt.is_boolean(array.type) or pt.is_floating(array.type) or pt.is_integer(array.type):
        valid: list[object] = array.is_valid().to_pylist()
        return valid
    values = json_values(array)
    return [_filled(value, is_json=is_json) for value in values]


def _filled(value: object, *, is_json: bool) -> bool:
    if isinstance(value, str):
        return bool(value.strip()) and not (is_json and value in _EMPTY_JSON)
    return value is not None and value not in ([], {})
