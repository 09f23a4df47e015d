"""Faults that come with status 200 and a body that is no plain success."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from modelcall.mock.faults.base import Fault, Scene, Verdict, answering, spoiling
from modelcall.mock.wire import Send, json_reply, reply
from modelcall.types import ErrorType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from modelcall.mock.wire import Script

Body = dict[str, Any]


def _message(**changes: object) -> Callable[[Scene], Script]:
    """Change fields of the message; ``finish_reason`` goes to the choice."""
    return spoiling(lambda body: _change(body, changes))


def _change(body: Body, changes: dict[str, object]) -> None:
    choice = body["choices"][0]
    for name, value in changes.items():
        (choice if name == "finish_reason" else choice["message"])[name] = value


def _errors() -> Iterable[Fault]:
    provider = {"message": "Provider returned error", "code": 429, "metadata": {"raw": "rate-limited upstream"}}
    yield Fault(
        "error_in_200",
        29,
        "200 with an error of code 429 inside",
        Verdict.RATE_LIMIT,
        answering(200, {"error": provider}),
    )
    text = answering(200, {"error": "rate limit exceeded"})
    yield Fault("error_text_in_200", 29, "200 whose error is a string", Verdict.RATE_LIMIT, text, also=Verdict.NETWORK)


def _no_choice() -> Iterable[Fault]:
    def network(name: str, about: str, script: Callable[[Scene], Script]) -> Fault:
        return Fault(name, 30, about, Verdict.NETWORK, script)

    empty = {"id": None, "object": "chat.completion", "choices": None, "usage": None}
    yield network("choices_null", "200, choices: null", answering(200, empty))
    yield network("choices_empty", "200, choices: []", answering(200, {**empty, "choices": []}))
    yield network("choices_missing", "200 without choices", answering(200, {"id": "1", "object": "chat.completion"}))
    yield network(
        "message_null", "200, the message is null", spoiling(lambda body: body["choices"][0].update(message=None))
    )
    yield network("wrong_object", "200, an object of another kind", answering(200, {"object": "list", "data": []}))
    yield network("not_an_object", "200, the body is a list", answering(200, []))
    yield network("body_not_json", "200, the body is no JSON", lambda _: (Send(reply(200, b"upstream connect error")),))
    yield network("body_empty", "200 with an empty body", lambda _: (Send(reply(200, b"")),))
    yield network("body_cut_json", "200, correct length, JSON that stops in the middle", _cut_json)


def _cut_json(scene: Scene) -> Script:
    body = scene.body()
    return (Send(reply(200, body[: len(body) // 2])),)


def _content() -> Iterable[Fault]:
    refused = _message(content=None, refusal="I can't help with that.")
    yield Fault("refusal", 31, "the model refuses", Verdict.PERMANENT, refused, error_type=ErrorType.REFUSED)
    call = {"id": "call_1", "type": "function", "function": {"name": "rate", "arguments": "{}"}}
    calls = _message(content=None, tool_calls=[call], finish_reason="tool_calls")
    yield Fault("tool_calls", 32, "tool calls instead of text", Verdict.VALIDATION, calls)
    yield Fault("content_empty", 33, "empty text", Verdict.VALIDATION, _message(content=""))
    yield Fault("content_null", 33, "text null, and nothing else", Verdict.VALIDATION, _message(content=None))
    yield Fault(
        "content_parts",
        34,
        "the text as a list of parts",
        Verdict.ACCEPT,
        spoiling(lambda body: _parts(body, type="text")),
    )
    yield Fault("content_parts_untyped", 34, "parts without a type", Verdict.ACCEPT, spoiling(_parts))
    for name in ("reasoning_content", "reasoning"):
        about = f"text null, the answer in {name}"
        yield Fault(f"in_{name}", 35, about, Verdict.VALIDATION, spoiling(functools.partial(_move, target=name)))


def _parts(body: Body, **extra: str) -> None:
    message = body["choices"][0]["message"]
    middle = len(message["content"]) // 2
    pieces = (message["content"][:middle], message["content"][middle:])
    message["content"] = [{**extra, "text": piece} for piece in pieces]


def _move(body: Body, *, target: str) -> None:
    message = body["choices"][0]["message"]
    message[target], message["content"] = message["content"], None


def _finish() -> Iterable[Fault]:
    def cut(name: str, number: int, about: str, spoil: Callable[[Body], object]) -> Fault:
        return Fault(
            name, number, about, Verdict.VALIDATION, spoiling(spoil), also=Verdict.PERMANENT, error_type=ErrorType.CUT
        )

    yield cut("cut_by_length", 37, "finish_reason length, JSON cut", lambda body: _cut(body, "length"))
    spaces = '{"score":' + "\n " * 16000
    yield cut(
        "whitespace_loop", 38, "finish_reason length after 16,000 blanks",
        lambda body: _change(body, {"content": spaces, "finish_reason": "length"}),
    )  # fmt: skip
    yield Fault(
        "filtered",
        39,
        "finish_reason content_filter, empty text",
        Verdict.PERMANENT,
        spoiling(_filter),
        error_type=ErrorType.FILTERED,
    )
    yield Fault(
        "cut_unannounced",
        41,
        "finish_reason stop, JSON cut",
        Verdict.VALIDATION,
        spoiling(lambda body: _cut(body, "stop")),
    )
    yield Fault(
        "finish_unknown_cut",
        41,
        "an unknown finish_reason, JSON cut",
        Verdict.VALIDATION,
        spoiling(lambda body: _cut(body, "weather")),
    )
    yield Fault(
        "finish_null_cut",
        41,
        "finish_reason null, JSON cut",
        Verdict.VALIDATION,
        spoiling(lambda body: _cut(body, None)),
    )


def _cut(body: Body, reason: str | None) -> None:
    content = body["choices"][0]["message"]["content"]
    _change(body, {"content": content[: max(1, len(content) * 2 // 3)], "finish_reason": reason})


def _filter(body: Body) -> None:
    _change(body, {"content": "", "finish_reason": "content_filter"})
    body["choices"][0]["content_filter_results"] = {"violence": {"filtered": True, "severity": "medium"}}


def _odd_fields() -> Iterable[Fault]:
    usages: dict[str, object] = {
        "null": None,
        "negative": {"prompt_tokens": -1, "completion_tokens": -1, "total_tokens": -2},
        "float": {"prompt_tokens": 9.5, "completion_tokens": 4.0, "total_tokens": 13.5},
        "text": {"prompt_tokens": "9", "completion_tokens": "4", "total_tokens": "13"},
    }
    for name, usage in usages.items():
        about = f"usage is odd: {name}"
        yield Fault(f"usage_{name}", 43, about, Verdict.ACCEPT, spoiling(functools.partial(_set_usage, usage=usage)))
    yield Fault("usage_missing", 43, "no usage", Verdict.ACCEPT, spoiling(_without_usage))
    yield Fault(
        "other_model",
        43,
        "the reply names another model",
        Verdict.ACCEPT,
        spoiling(lambda body: body.update(model="another-model")),
    )
    yield Fault(
        "same_id",
        43,
        "every reply has the same id",
        Verdict.ACCEPT,
        spoiling(lambda body: body.update(id="chatcmpl-1")),
    )
    yield Fault(
        "created_text",
        43,
        "created is a string",
        Verdict.ACCEPT,
        spoiling(lambda body: body.update(created="2024-12-01")),
    )
    yield Fault("swapped", 44, "the reply that another row got; undetectable but by its id", Verdict.ACCEPT, _swapped)


def _set_usage(body: Body, *, usage: object) -> None:
    body["usage"] = usage


def _without_usage(body: Body) -> None:
    del body["usage"]


def _swapped(scene: Scene) -> Script:
    return (Send(reply(200, scene.previous) if scene.previous else json_reply(200, scene.completion())),)


SHAPE_FAULTS = (*_errors(), *_no_choice(), *_content(), *_finish(), *_odd_fields())
