"""Judges replies: column values, or which way the answer broke the requested form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelcall.errors import ConfigError
from modelcall.llm.structured import advice
from modelcall.llm.structured.coerce import WrongTypeError, coerce
from modelcall.llm.structured.schema import SchemaCheck
from modelcall.llm.structured.text import UnreadableError, after_thinking, read_answer

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from modelcall.llm.exchange import FormatFault, Reply
    from modelcall.types import Columns

_LOOP_CHARS = 200
"""White space at the end of an unfinished answer that is no layout any more."""


class AnswerCheck:
    """The check of answers that must be one JSON object.

    Args:
        columns: The keys asked for and their types. Every accepted answer has a value for each.
        required: Keys an answer must have; they are never defaulted.
        defaults: For the other keys, when an answer leaves them out; None where nothing is given.
        json_schema: Wins over column types: it is enforced first.
        nullable: Keys whose types the schema rules: where it lets null pass, the column takes it.

    Raises:
        ConfigError: The schema cannot be compiled, or a default is not of its column's type.
    """

    def __init__(
        self,
        columns: Columns,
        *,
        required: Collection[str],
        defaults: Mapping[str, Any],
        json_schema: Mapping[str, Any] | None = None,
        nullable: Collection[str] = (),
    ) -> None:
        self._columns = dict(columns)
        self._required = frozenset(required)
        self._defaults = {name: _default(name, kind, defaults) for name, kind in self._columns.items()}
        self._schema = SchemaCheck(json_schema) if json_schema else None
        self._nullable = frozenset(nullable)

    def __call__(self, reply: Reply) -> Mapping[str, Any] | FormatFault:
        """Return a value for every column, or what is wrong with the answer."""
        raw = reply.content or ""
        if not raw.strip():
            return _nothing(reply)
        try:
            answer = read_answer(raw, self._columns)
        except UnreadableError as error:
            return _unreadable(error, reply, raw)
        if reply.finish_reason == "length" and not answer.ends_text:
            return advice.cut("The text after the answer was cut by its length limit")
        return self._judge(answer.value, raw)

    def _judge(self, value: dict[str, Any], raw: str) -> Mapping[str, Any] | FormatFault:
        missing = self._required - value.keys()
        violations = self._schema.violations(value) if self._schema else []
        if missing or violations:
            missing |= self._schema.missing(value) if self._schema else frozenset()
            return advice.missing_keys(missing, raw=raw) if missing else advice.wrong_type(violations, raw=raw)
        values, mistakes = self._coerced(value)
        return advice.wrong_type(mistakes, raw=raw) if mistakes else values

    def _coerced(self, value: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        values, mistakes = dict(self._defaults), []
        for name, kind in self._columns.items():
            if name in value:
                try:
                    values[name] = coerce(value[name], kind, name, null_ok=name in self._nullable)
                except WrongTypeError as error:
                    mistakes.append(str(error))
        return values, mistakes


class TextCheck:
    """The check of free text: there are no JSON columns, but an answer there must be."""

    def __call__(self, reply: Reply) -> Mapping[str, Any] | FormatFault:
        """Return no values, or that nothing was answered. A cut text is still a text: ``finish_reason`` says so."""
        text = after_thinking(reply.content or "")
        if text.startswith("<think"):
            return advice.cut() if reply.finish_reason == "length" else advice.reasoning_only()
        return {} if text else _nothing(reply)


def _default(name: str, kind: Any, defaults: Mapping[str, Any]) -> Any:  # noqa: ANN401  a JSON value
    value = defaults.get(name)
    try:
        return None if value is None else coerce(value, kind, name)
    except WrongTypeError as error:
        raise ConfigError(f"output_config.json_default_values: {error}") from None


def _nothing(reply: Reply) -> FormatFault:
    if len(reply.content or "") >= _LOOP_CHARS:
        return advice.whitespace_loop()
    if reply.finish_reason == "length":
        return advice.cut()
    if reply.has_tool_calls:
        return advice.empty("A tool call instead of an answer")
    return advice.reasoning_only() if (reply.reasoning or "").strip() else advice.empty()


def _unreadable(error: UnreadableError, reply: Reply, raw: str) -> FormatFault:
    if len(raw) - len(raw.rstrip()) >= _LOOP_CHARS:
        return advice.whitespace_loop()
    if reply.finish_reason == "length":
        return advice.cut()
    if error.cause == "reasoning_only":
        return advice.reasoning_only()
    return advice.not_json(str(error), cause=error.cause, raw=raw)
