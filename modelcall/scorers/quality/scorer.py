"""The quality rules as a scorer of rows."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from modelcall.scorers.quality.report import RULES_VERSION, quality
from modelcall.types import INT, STRING_LIST, ErrorType, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelcall.types import Columns, Permit, PermitSource, Row, RowRef

_LONG_TEXT = 100_000
"""Characters from which a thread judges, so that the event loop never waits for one row."""


class QualityScorer:
    """Scores the text column by rules; asks no model and needs no key."""

    is_judge = False

    def __init__(self, permits: PermitSource, *, input_key: str = "text") -> None:
        self.columns: Columns | None = {
            "score": INT,
            "quality_tags": STRING_LIST,
            "main_languages": STRING_LIST,
        }
        self.permits = permits
        self.reads: frozenset[str] | None = frozenset({input_key})
        self.identity: Mapping[str, str] = {"scorer": f"quality rules {RULES_VERSION}", "input_key": input_key}
        self._input_key = input_key

    async def settle(self, known: Mapping[str, str] | None) -> Mapping[str, str]:
        """There is no endpoint to ask."""
        return known or {}

    async def open(self) -> None:
        """Nothing to make ready."""

    async def close(self) -> None:
        """Nothing to release."""

    async def score(self, row: Row, ref: RowRef, permit: Permit) -> Outcome:  # noqa: ARG002  the protocol's signature
        """Judge the row's text; a row without one is a ``bad_row``."""
        text = row.get(self._input_key)
        if not isinstance(text, str):
            return Outcome(error_type=ErrorType.BAD_ROW, fail_reason=self._no_text(row))
        began = time.perf_counter()
        report = quality(text) if len(text) <= _LONG_TEXT else await asyncio.to_thread(quality, text)
        values = {"score": report.score, "quality_tags": list(report.tags), "main_languages": [report.language]}
        return Outcome(values=values, seconds=time.perf_counter() - began)

    def _no_text(self, row: Row) -> str:
        if self._input_key not in row:
            return f"The row has no column '{self._input_key}'."
        value: Any = row[self._input_key]
        found = "null" if value is None else type(value).__name__
        return f"Column '{self._input_key}' holds no text but {found}."
