"""Every fault that is a whole HTTP reply, as it stands on the wire."""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime
from typing import Any

import orjson
import pytest

from modelcall.mock.faults.answers import ANSWER_FAULTS
from modelcall.mock.faults.base import Verdict
from modelcall.mock.faults.catalogue import FAULTS
from modelcall.mock.faults.refusals import REFUSALS
from modelcall.mock.faults.shapes import SHAPE_FAULTS
from modelcall.mock.faults.status import STATUS_FAULTS
from tests.mock.client import CONTENT, Reply, ask, fixed_server, get

KEY = "Authorization: Bearer CANARY-KEY\r\n"


async def played(name: str, **options: Any) -> Reply:
    async with fixed_server(name, **options) as server:
        reply = await ask(server, headers=KEY)
        assert server.referee.report().faults == {name: 1}
        return reply


# Status line, a header, and a piece of the body.
STATUS: dict[str, tuple[int, tuple[str, str] | None, str]] = {
    "bad_request": (400, None, '"type":"invalid_request_error","param":"messages","code":"invalid_value"'),
    "too_long": (400, None, '"code":"context_length_exceeded"'),
    "too_long_vllm": (400, None, '"type":"BadRequestError","param":null,"code":400}}'),
    "too_long_sglang": (400, None, '{"object":"error","message":"Requested token count exceeds'),
    "unprocessable": (422, None, '{"detail":[{"loc":["body","messages"]'),
    "bad_request_detail": (400, None, '{"detail":"Invalid request"}'),
    "content_filter": (400, ("x-ms-region", "East US"), '"innererror":{"code":"ResponsibleAIPolicyViolation"'),
    "bad_request_empty": (400, ("content-length", "0"), ""),
    "too_large": (413, ("content-type", "text/html"), "<title>413 Request Entity Too Large</title>"),
    "too_large_early": (413, ("connection", "close"), "<title>413 Request Entity Too Large</title>"),
    "wrong_key": (401, ("www-authenticate", "Bearer"), "Incorrect API key provided: CANARY-KEY."),
    "forbidden": (403, None, "unsupported_country_region_territory"),
    "forbidden_html": (403, ("content-type", "text/html"), "<title>403 Forbidden</title>"),
    "no_balance": (402, None, '"message":"Insufficient Balance"'),
    "unknown_model": (404, None, '"code":"model_not_found"'),
    "redirect_301": (301, ("content-length", "0"), ""),
    "redirect_307": (307, ("content-length", "0"), ""),
    "redirect_308": (308, ("content-length", "0"), ""),
    "quota": (429, None, '"code":"insufficient_quota"'),
    "credit": (429, None, '"code":"credit_balance_exhausted"'),
    "spend_limit": (429, None, '"details":{"error_code":"enforced_spend_limit_reached"}'),
    "resets_in_days": (429, ("retry-after", "1382400"), "resets in 16 days"),
    "rate_limit": (429, ("retry-after", "7"), '"code":"rate_limit_exceeded"'),
    "rate_limit_ms": (429, ("retry-after-ms", "350"), '"code":"rate_limit_exceeded"'),
    "rate_limit_date": (429, None, '"code":"rate_limit_exceeded"'),
    "rate_limit_junk": (429, ("retry-after", "soon"), '"code":"rate_limit_exceeded"'),
    "rate_limit_negative": (429, ("retry-after", "-5"), '"code":"rate_limit_exceeded"'),
    "rate_limit_nan": (429, ("retry-after", "nan"), '"code":"rate_limit_exceeded"'),
    "rate_limit_endless": (429, ("retry-after", "1e309"), '"code":"rate_limit_exceeded"'),
    "rate_limit_reset": (429, ("x-ratelimit-reset-requests", "6ms"), '"code":"rate_limit_exceeded"'),
    "rate_limit_reset_minutes": (429, ("x-ratelimit-reset-requests", "1m30s"), '"code":"rate_limit_exceeded"'),
    "rate_limit_text": (429, None, "Please retry after 33 seconds."),
    "rate_limit_bare": (429, None, '"code":"rate_limit_exceeded"'),
    "slow_down": (429, ("retry-after", "5"), '"code":"slow_down"'),
    "slow_down_503": (503, ("retry-after", "5"), '"code":"slow_down"'),
    "overloaded": (529, ("request-id", "req_1"), '{"type":"error","error":{"type":"overloaded_error"'),
    "timeout_408": (408, None, "Request timeout"),
    "conflict_409": (409, None, "Conflict"),
    "invalid_token_498": (498, ("content-type", "text/html"), "498"),
    "client_closed_499": (499, ("content-type", "text/html"), "499"),
    "server_error": (500, None, '"type":"server_error"'),
    "bad_gateway": (502, ("server", "nginx"), "<title>502 Bad Gateway</title>"),
    "bad_gateway_cloudflare": (502, ("server", "cloudflare"), "api.example.com | 502: Bad gateway"),
    "bad_gateway_200": (200, ("server", "cloudflare"), "api.example.com | 502: Bad gateway"),
    "unavailable": (503, None, '"code":"no_available_workers"'),
    "gateway_timeout": (504, ("content-type", "text/html"), "504 Gateway Time-out"),
    **{f"cloudflare_{status}": (status, ("server", "cloudflare"), str(status)) for status in range(520, 525)},
    "poison_row": (500, None, "Internal server error"),
}


@pytest.mark.parametrize("name", STATUS)
async def test_status(name: str) -> None:
    status, header, piece = STATUS[name]
    reply = await played(name)
    assert reply.status == status
    assert piece in reply.body.decode()
    if header is not None:
        assert reply.headers[header[0]] == header[1]
    if name.startswith(("rate_limit_bare", "rate_limit_text", "spend_limit", "rate_limit_reset")):
        assert "retry-after" not in reply.headers


async def test_announced_waits_follow_the_time_scale_and_the_rule() -> None:
    assert (await played("rate_limit", time_scale=0.01)).headers["retry-after"] == "0.07"
    async with fixed_server("rate_limit=1,2s") as server:
        assert (await ask(server)).headers["retry-after"] == "2"
    async with fixed_server("rate_limit_date=1,1h") as server:
        reply = await ask(server)
        assert server.referee.first_arrival is not None
        ahead = parsedate_to_datetime(reply.headers["retry-after"]).timestamp() - server.referee.first_arrival
        assert 3598 < ahead < 3601


async def test_a_redirect_leads_to_a_host_that_must_not_see_the_key() -> None:
    async with fixed_server("redirect_307") as server:
        location = (await ask(server, headers=KEY)).headers["location"]
        assert location == f"http://localhost:{server.port}/elsewhere/v1/chat/completions"
        assert (await get(server, "/elsewhere/v1/chat/completions", method="POST")).status == 405
        assert server.referee.report().keys_elsewhere == 0


async def test_the_list_of_models_may_fail_alone() -> None:
    for status in (404, 500):
        async with fixed_server(f"models_{status}") as server:
            assert (await get(server, "/v1/models")).status == status
            assert (await ask(server)).status == 200


# What a client parses of a body with status 200: a function of the body that must be true.
SHAPES: dict[str, Any] = {
    "error_in_200": lambda body: body["error"]["code"] == 429,
    "error_text_in_200": lambda body: body == {"error": "rate limit exceeded"},
    "choices_null": lambda body: body["choices"] is None and body["object"] == "chat.completion",
    "choices_empty": lambda body: body["choices"] == [],
    "choices_missing": lambda body: "choices" not in body,
    "message_null": lambda body: body["choices"][0]["message"] is None,
    "wrong_object": lambda body: body == {"object": "list", "data": []},
    "not_an_object": lambda body: body == [],
    "body_not_json": lambda body: body == "upstream connect error",
    "body_empty": lambda body: body == "",
    "body_cut_json": lambda body: body.startswith('{"id":"chatcmpl-row-1"') and not body.endswith("}"),
    "refusal": lambda body: _message(body) == (None, "stop") and _refusal(body) == "I can't help with that.",
    "tool_calls": lambda body: (
        _message(body) == (None, "tool_calls") and _first(body)["message"]["tool_calls"][0]["id"]
    ),
    "content_empty": lambda body: _message(body) == ("", "stop"),
    "content_null": lambda body: _message(body) == (None, "stop") and _refusal(body) is None,
    "content_parts": lambda body: (
        _joined(body) == CONTENT and all(part["type"] == "text" for part in _message(body)[0])
    ),
    "content_parts_untyped": lambda body: _joined(body) == CONTENT and "type" not in _message(body)[0][0],
    "in_reasoning_content": lambda body: (
        _message(body)[0] is None and _first(body)["message"]["reasoning_content"] == CONTENT
    ),
    "in_reasoning": lambda body: _message(body)[0] is None and _first(body)["message"]["reasoning"] == CONTENT,
    "cut_by_length": lambda body: _message(body) == (CONTENT[: len(CONTENT) * 2 // 3], "length"),
    "whitespace_loop": lambda body: _message(body) == ('{"score":' + "\n " * 16000, "length"),
    "filtered": lambda body: _message(body) == ("", "content_filter") and _first(body)["content_filter_results"],
    "cut_unannounced": lambda body: _message(body) == (CONTENT[: len(CONTENT) * 2 // 3], "stop"),
    "finish_unknown_cut": lambda body: _message(body) == (CONTENT[: len(CONTENT) * 2 // 3], "weather"),
    "finish_null_cut": lambda body: _message(body) == (CONTENT[: len(CONTENT) * 2 // 3], None),
    "usage_null": lambda body: body["usage"] is None,
    "usage_negative": lambda body: body["usage"]["total_tokens"] == -2,
    "usage_float": lambda body: body["usage"]["prompt_tokens"] == 9.5,
    "usage_text": lambda body: body["usage"]["prompt_tokens"] == "9",
    "usage_missing": lambda body: "usage" not in body and _message(body) == (CONTENT, "stop"),
    "other_model": lambda body: body["model"] == "another-model" and _message(body) == (CONTENT, "stop"),
    "same_id": lambda body: body["id"] == "chatcmpl-1" and _message(body) == (CONTENT, "stop"),
    "created_text": lambda body: body["created"] == "2024-12-01" and _message(body) == (CONTENT, "stop"),
    "swapped": lambda body: _message(body) == (CONTENT, "stop"),
}


def _first(body: Any) -> Any:
    return body["choices"][0]


def _message(body: Any) -> tuple[Any, Any]:
    return _first(body)["message"]["content"], _first(body)["finish_reason"]


def _refusal(body: Any) -> Any:
    return _first(body)["message"]["refusal"]


def _joined(body: Any) -> str:
    return "".join(part["text"] for part in _message(body)[0])


@pytest.mark.parametrize("name", SHAPES)
async def test_shape(name: str) -> None:
    reply = await played(name)
    assert reply.status == 200
    try:
        body = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        body = reply.body.decode()
    assert SHAPES[name](body)


async def test_a_swapped_reply_is_that_of_another_row() -> None:
    async with fixed_server("swapped=1,at:2") as server:
        first, second = (await ask(server, label="a-1")), (await ask(server, label="b-1"))
        assert second.body == first.body
        assert second.json["id"] == "chatcmpl-a-1"


TAGS = ',"quality_tags":["a"]}'
DEEP = "[" * 2000 + "]" * 2000
# The text of the answer, for the judge's {"score":4,"quality_tags":["a"]}.
ANSWERS: dict[str, str] = {
    "fenced": f"```json\n{CONTENT}\n```",
    "fenced_bare": f"```\n{CONTENT}\n```",
    "prose_around": f"Here is my rating:\n\n{CONTENT}\n\nLet me know!",
    "fenced_in_prose": f"Sure!\n```json\n{CONTENT}\n```\nI hope this helps.",
    "indented": '{\n  "score": 4,\n  "quality_tags": [\n    "a"\n  ]\n}',
    "blanks_around": f"\r\n \t{CONTENT}\n\n ",
    "byte_order_mark": f"\ufeff{CONTENT}",
    "think": f"<think>The text is short.</think>\n\n{CONTENT}",
    "think_json": f'<think>maybe {{"score":0{TAGS}</think>\n\n```json\n{CONTENT}\n```',
    "think_no_opening": f'maybe {{"score":0{TAGS}</think>\n{CONTENT}',
    "think_twice": f'<think>a</think> no <think>{{"score":0{TAGS}</think>{CONTENT}',
    "think_unclosed": f"<think>maybe {CONTENT}, but",
    "prose_only": "This is a good code example with clear structure.",
    "single_quotes": "{'score': 4, 'quality_tags': ['a']}",
    "trailing_comma": '{"score":4,"quality_tags":["a"],}',
    "comments": '{ // my rating\n"score":4,"quality_tags":["a"]}',
    "chinese_quotes": "{“score“：4,“quality_tags“：[“a“]}",
    "unclosed_string": '{"score":4,"quality_tags":["a"],"reason":"because',
    "array": "[4]",
    "number_only": "4",
    "empty_object": "{}",
    "blank": "\n  \n",
    "two_objects": f'{CONTENT}\n{{"score":0{TAGS}',
    "duplicate_keys": f'{{"score":0,"score":4{TAGS}',
    "same_object_twice": f"{CONTENT}\n{CONTENT}",
    "duplicate_keys_same": f'{{"score":4,"score":4{TAGS}',
    "double_encoded": json.dumps(CONTENT),
    **{
        f"score_{name}": f'{{"score":{literal}{TAGS}'
        for name, literal in {
            "nan": "NaN", "infinity": "Infinity", "null": "null", "fraction": '"9/10"', "word": '"good"',
            "bool": "true", "list": "[3]", "object": '{"value":3}', "half": "4.5",
            "huge": "1e400", "hex": "0x3", "leading_zero": "03", "plus": "+3",
            "negative": "-1", "out_of_range": "999", "beyond_64_bit": "1" + "0" * 30,
            "whole_float": "4.0", "text": '"4"', "exponent": "4e0",
        }.items()
    },
    "score_missing": '{"quality_tags":["a"]}',
    "score_renamed": '{"quality_tags":["a"],"Score":4}',
    "extra_keys": '{"score":4,"quality_tags":["a"],"confidence":0.9}',
    "odd_unicode": '{"score":4,"quality_tags":["a"],"note":"a\u200b\u202eb\U0001f469\u200d\U0001f4bb\\u0000"}',
    "very_deep": f'{{"score":4,"quality_tags":["a"],"note":{DEEP}}}',
    "lone_surrogate": '{"score":4,"quality_tags":["a"],"note":"\\ud800"}',
    "raw_newline": '{"score":4,"quality_tags":["a"],"note":"a\nb"}',
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
async def test_answer(name: str) -> None:
    reply = await played(name)
    assert reply.status == 200
    assert reply.message["content"] == ANSWERS[name]
    assert reply.json["choices"][0]["finish_reason"] == ("length" if name == "think_unclosed" else "stop")


def test_every_fault_that_is_a_reply_is_tested_here() -> None:
    names = {fault.name for fault in (*REFUSALS, *STATUS_FAULTS, *SHAPE_FAULTS, *ANSWER_FAULTS)}
    assert names - {"models_404", "models_500"} == {*STATUS, *SHAPES, *ANSWERS}


def test_the_catalogue_is_complete_and_says_what_becomes_of_a_row() -> None:
    numbers = {*range(1, 8), *range(9, 24), 25, 26, *range(28, 40), *range(41, 51), 52, 53, 55, 59, 60, 62, 63}
    assert {fault.number for fault in FAULTS.values()} == numbers
    for fault in FAULTS.values():
        assert fault.description
        assert (fault.error_type is None) == (Verdict.PERMANENT not in {fault.verdict, fault.also})
