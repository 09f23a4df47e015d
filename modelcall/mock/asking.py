"""A chat request as it arrived: its body read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from modelcall.mock.completion import tokens


class BadAsk(ValueError):  # noqa: N818  the client's mistake, not ours
    """The body is no chat request that this server answers; ``param`` names the field."""

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


@dataclass(frozen=True, slots=True)
class ChatAsk:
    """What the judge needs of a request."""

    model: str
    question: str
    """Text of the first user message: feedback that a retry appends does not change what is judged."""
    text: str
    """All messages."""
    prompt_tokens: int
    max_tokens: int | None
    schema: dict[str, Any] | None
    """Of ``response_format``, if it has one."""


def read_ask(body: bytes) -> ChatAsk:
    """Read the body of a chat request.

    Raises:
        BadAsk: It is not JSON, lacks a field, or asks for streaming or several choices.
    """
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadAsk(f"The body is not JSON: {error}.") from error
    if not isinstance(payload, dict):
        raise BadAsk("The body must be a JSON object.")
    if payload.get("stream"):
        raise BadAsk("This server does not stream; leave `stream` out.", param="stream")
    if payload.get("n") not in {None, 1}:
        raise BadAsk("This server gives one choice; leave `n` out.", param="n")
    return _ask(payload)


def _ask(payload: dict[str, Any]) -> ChatAsk:
    model = payload.get("model")
    if not isinstance(model, str) or not model:
        raise BadAsk("You must provide a `model` as text.", param="model")
    turns = _turns(payload.get("messages"))
    text = "\n".join(content for _, content in turns)
    return ChatAsk(
        model=model,
        question=next((content for role, content in turns if role == "user"), turns[-1][1]),
        text=text,
        prompt_tokens=tokens(text),
        max_tokens=_limit(payload),
        schema=_schema(payload.get("response_format")),
    )


def _turns(messages: object) -> list[tuple[str, str]]:
    if not isinstance(messages, list) or not messages:
        raise BadAsk("`messages` must be a list of at least one message.", param="messages")
    return [_turn(message, f"messages[{index}]") for index, message in enumerate(messages)]


def _turn(message: object, where: str) -> tuple[str, str]:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise BadAsk(f"`{where}` must be an object with a `role`.", param=where)
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    if not isinstance(content, str):
        raise BadAsk(f"`{where}.content` must be text or a list of text parts.", param=f"{where}.content")
    return message["role"], content


def _limit(payload: dict[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        limit = payload.get(name)
        if limit is None:
            continue
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
            raise BadAsk(f"`{name}` must be a whole number above 0, got {limit!r}.", param=name)
        return limit
    return None


def _schema(response_format: object) -> dict[str, Any] | None:
    if response_format is None:
        return None
    kind = response_format.get("type") if isinstance(response_format, dict) else None
    if kind in {"text", "json_object"}:
        return None
    wrapper = response_format.get("json_schema") if isinstance(response_format, dict) else None
    schema = wrapper.get("schema") if isinstance(wrapper, dict) else None
    if kind != "json_schema" or not isinstance(schema, dict):
        known = '"text", "json_object", or "json_schema" with `json_schema.schema`'
        raise BadAsk(f"`response_format.type` must be {known}.", param="response_format")
    return schema
