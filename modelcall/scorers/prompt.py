"""A row to the messages of a request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Any

import orjson

from modelcall.errors import RowFailure
from modelcall.types import ErrorType

if TYPE_CHECKING:
    from modelcall.config.template import Renderer
    from modelcall.llm.exchange import Message
    from modelcall.types import Row


@dataclass(frozen=True, slots=True)
class RowPrompt:
    """Fills a prompt template from a row."""

    render: Renderer
    input_key: str
    """Column that holds the document."""
    placeholder: str
    """Placeholder that takes it, whatever column has the same name."""
    others: frozenset[str]
    """Further columns the template takes."""

    def messages(self, row: Row) -> tuple[Message, ...]:
        """Return the system message, if there is one, and the user message.

        Raises:
            RowFailure: ``bad_row``: no text, or a value that is no text.
        """
        texts = {name: _as_text(name, row.get(name)) for name in self.others}
        texts[self.placeholder] = self._document(row)
        system, prompt = self.render(texts)
        user: Message = {"role": "user", "content": prompt}
        return ({"role": "system", "content": system}, user) if system else (user,)

    def _document(self, row: Row) -> str:
        value = row.get(self.input_key)
        if self.input_key not in row:
            raise _bad_row(f"The row has no column '{self.input_key}'.")
        if not isinstance(value, str):
            found = "null" if value is None else type(value).__name__
            raise _bad_row(f"Column '{self.input_key}' holds no text but {found}.")
        return value


def _as_text(name: str, value: Any) -> str:  # noqa: ANN401  any value of a column
    """Write a column's value into a prompt: text as it is, null as nothing, all else as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, float) and not isfinite(value):
        raise _bad_row(f"Column '{name}' holds {value}, which is no JSON number.")
    try:
        return orjson.dumps(value, default=_plain).decode()
    except (TypeError, ValueError) as error:
        if type(value) is int:
            return str(value)
        raise _bad_row(f"Column '{name}' holds a value that cannot be written as text: {error}.") from None


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"a value of type {type(value).__name__}")


def _bad_row(reason: str) -> RowFailure:
    return RowFailure(ErrorType.BAD_ROW, reason)
