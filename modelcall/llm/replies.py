"""A completion's JSON, in all the shapes servers send, as a :class:`Reply`."""

from __future__ import annotations

import math
from typing import Any

from modelcall.llm.exchange import Reply
from modelcall.types import Usage


class ShapeError(ValueError):
    """The JSON is no completion."""


def parse_reply(data: object) -> Reply:
    """Understand a chat completion.

    Raises:
        ShapeError: There is no first choice with a message.
    """
    completion = _mapping(data, "the reply")
    choices = completion.get("choices")
    if not isinstance(choices, list) or not choices:
        raise ShapeError("the completion has no choices")
    choice = _mapping(choices[0], "choices[0]")
    message = _mapping(choice.get("message"), "choices[0].message")
    return Reply(
        content=_text(message.get("content")),
        reasoning=_text(message.get("reasoning_content")) or _text(message.get("reasoning")),
        refusal=_text(message.get("refusal")),
        finish_reason=_name(choice.get("finish_reason")),
        model=_name(completion.get("model")),
        usage=parse_usage(completion.get("usage")),
        has_tool_calls=bool(message.get("tool_calls") or message.get("function_call")),
    )


def _mapping(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ShapeError(f"{where} is not an object")
    return value


def _name(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _text(content: object) -> str | None:
    """Text, or the joined text of a list of parts. An empty string stays one: it says that there was an answer."""
    if content is None or isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [_part(part) for part in content]
        return "".join(part for part in parts if part is not None) if any(p is not None for p in parts) else None
    return _part(content)


def _part(part: object) -> str | None:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict) or part.get("type", "text") not in {"text", "output_text"}:
        return None
    text = part.get("text")
    if isinstance(text, dict):  # {"text": {"value": …}}, as the assistants interface writes it
        text = text.get("value")
    return text if isinstance(text, str) else None


def parse_usage(data: object) -> Usage | None:
    """Understand a usage block; what is absent, negative or no number counts as not said."""
    if not isinstance(data, dict):
        return None
    counts = (
        _count(data.get("prompt_tokens")),
        _count(data.get("completion_tokens")),
        _detail(data, "prompt_tokens_details", "cached_tokens", "prompt_cache_hit_tokens"),
        _detail(data, "completion_tokens_details", "reasoning_tokens"),
    )
    return None if counts == _NOTHING else Usage(*counts)


def _detail(data: dict[str, Any], block: str, name: str, other_name: str = "") -> int | None:
    """Return a count from the block of details; else from beside it, where DeepSeek has another name for it."""
    details = data.get(block)
    count = _count(details.get(name)) if isinstance(details, dict) else None
    if count is None and other_name:
        count = _count(data.get(other_name))
    return _count(data.get(name)) if count is None else count


_NOTHING = (None, None, None, None)
_MOST = 2**53
"""No count of tokens; what is larger is garbage and must not overflow an integer column."""


def _count(value: object) -> int | None:
    if value is None:
        return None
    if type(value) is int:  # what servers should send; all else is looked at more closely
        return value if 0 <= value < _MOST else None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return int(value) if 0 <= value < _MOST else None


def add_usage(total: Usage | None, more: Usage | None) -> Usage | None:
    """Sum the usage of two attempts; a count that only one of them says is taken as it is."""
    if total is None or more is None:
        return total or more

    def plus(one: int | None, other: int | None) -> int | None:
        return one if other is None else other if one is None else one + other

    return Usage(
        prompt_tokens=plus(total.prompt_tokens, more.prompt_tokens),
        completion_tokens=plus(total.completion_tokens, more.completion_tokens),
        cached_tokens=plus(total.cached_tokens, more.cached_tokens),
        reasoning_tokens=plus(total.reasoning_tokens, more.reasoning_tokens),
    )
