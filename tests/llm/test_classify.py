"""Every fault that carries a status or a body has one verdict."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modelcall.llm.classify import RULES, TRANSPORT, classify_error, classify_reply
from modelcall.llm.exchange import Reply
from modelcall.llm.server_error import MAX_MESSAGE, error_in, error_of
from modelcall.llm.transport import FaultKind
from modelcall.llm.verdicts import Kind, Verdict
from modelcall.types import ErrorType

P, N, L, X = Kind.PERMANENT, Kind.NETWORK, Kind.RATE_LIMIT, Kind.FATAL


def nested(message: str = "no", **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message, **fields}}


VLLM_LENGTH = "The decoder prompt (length 30632) is longer than the maximum model length of 30000."
SGLANG_LENGTH = "Requested token count exceeds the model's maximum context length of 16384 tokens."
OPENAI_LENGTH = "This model's maximum context length is 8192 tokens."
LITELLM_MODEL = "/chat/completions: Invalid model name passed in model=nope. Call `/v1/models` to view models."
LITELLM_UPSTREAM = "litellm.BadRequestError: OpenAIException - Error in response object"
AZURE_WAIT = "Requests have exceeded token rate limit. Please retry after 33 seconds."
SPEND = {"error_code": "enforced_spend_limit_reached"}
FLAT = {"object": "error", "type": "BadRequestError", "param": None, "code": 400}
HTML = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"

CASES: list[tuple[str, int, Any, Kind, ErrorType | str]] = [
    ("1 openai", 400, nested(type="invalid_request_error", param=None, code=None), P, ErrorType.REJECTED),
    ("2 length code", 400, nested(OPENAI_LENGTH, code="context_length_exceeded"), P, ErrorType.TOO_LONG),
    ("3 vllm, int code", 400, nested(VLLM_LENGTH, type="BadRequestError", code=400), P, ErrorType.TOO_LONG),
    ("4 sglang, flat", 400, {**FLAT, "message": SGLANG_LENGTH}, P, ErrorType.TOO_LONG),
    ("5 fastapi list", 422, {"detail": [{"loc": ["body", "n"], "msg": "bad"}]}, P, ErrorType.REJECTED),
    ("5 fastapi text", 400, {"detail": "bad"}, P, ErrorType.REJECTED),
    ("6 azure", 400, nested(code="content_filter", status=400), P, ErrorType.FILTERED),
    ("6 inner", 400, nested(innererror={"code": "ResponsibleAIPolicyViolation"}), P, ErrorType.FILTERED),
    ("7 empty body", 400, b"", P, ErrorType.REJECTED),
    ("9 key", 401, nested(code="invalid_api_key"), X, "key"),
    ("9 litellm key", 400, nested("No connected db.", type="no_db_connection", param=None, code="400"), X, "key"),
    ("9 region page", 403, b"<html>no</html>", X, "forbidden"),
    ("10 balance", 402, nested("Insufficient Balance", type="unknown_error", code="invalid_request_error"), X, "quota"),
    ("11 model", 404, nested(code="model_not_found"), X, "not_found"),
    ("11 page", 404, HTML, X, "not_found"),
    (
        "11 litellm model",
        400,
        nested(LITELLM_MODEL, type="invalid_request_error", param=None, code="400"),
        X,
        "not_found",
    ),
    ("11 deepseek model", 400, nested("Model Not Exist", code="invalid_request_error"), X, "not_found"),
    ("12 timeout", 408, b"", N, "server_down"),
    ("12 conflict", 409, b"", N, "server_error"),
    ("13 nginx", 413, HTML, P, ErrorType.TOO_LONG),
    ("14 media type", 415, b"", X, "wrong_url"),
    ("14 method", 405, b"", X, "wrong_url"),
    ("15 429", 429, nested(type="requests", code="rate_limit_exceeded"), L, "rate_limit"),
    ("19 azure text", 429, nested(AZURE_WAIT, code="429"), L, "rate_limit"),
    ("20 quota", 429, nested(type="insufficient_quota", code="insufficient_quota"), X, "quota"),
    ("20 credit", 429, nested(code="credit_balance_exhausted"), X, "quota"),
    ("21 spend", 429, {"type": "error", **nested(type="rate_limit_error", details=SPEND)}, X, "quota"),
    ("22 slow down", 429, nested("Slow down", type="rate_limit_error", code="slow_down"), L, "overloaded"),
    ("22 older", 503, nested("Slow down", type="rate_limit_error", code="slow_down"), L, "overloaded"),
    ("25 client closed", 498, b"", N, "server_error"),
    ("25 client closed", 499, b"", N, "server_down"),
    ("25 openai", 500, nested(type="server_error"), N, "server_error"),
    ("25 nginx", 502, HTML, N, "server_down"),
    ("25 sglang", 503, nested(code="no_available_workers"), N, "server_down"),
    ("25 gateway", 504, b"", N, "server_down"),
    ("25 cloudflare", 520, HTML, N, "server_down"),
    ("25 cloudflare", 524, HTML, N, "server_down"),
    ("26 anthropic", 529, {"type": "error", **nested("Overloaded", type="overloaded_error")}, L, "overloaded"),
    ("28 poison", 500, b"", N, "server_error"),
    ("29 inner status", 200, nested("Provider returned error", code=429), L, "rate_limit"),
    ("29 inner text status", 200, nested("Provider returned error", code="503"), N, "server_down"),
    ("29 inner key", 200, nested("no", code=401), X, "key"),
    ("29 text", 200, {"error": "rate limit exceeded"}, L, "rate_limit"),
    ("29 unknown text", 200, {"error": "oops"}, N, "server_error"),
    ("transient 400", 400, nested("We could not parse the JSON body of your request."), N, "server_error"),
    ("ark overdue", 403, nested(code="AccountOverdueError"), X, "quota"),
    ("ark rate", 429, nested(code="RateLimitExceeded.EndpointTPMExceeded"), L, "rate_limit"),
    ("redirect", 307, b"", X, "redirect"),
    ("proxy", 407, b"", X, "proxy"),
    ("litellm upstream", 422, nested(LITELLM_UPSTREAM, type=None, param=None, code="422"), N, "server_error"),
    ("unheard-of 4xx", 418, b"", P, ErrorType.REJECTED),
    ("unheard-of 5xx", 599, b"", N, "server_error"),
    ("1xx as final", 101, b"", N, "server_error"),
]


def judge(status: int, body: Any, wait: float | None = None) -> Verdict:
    plain = body if isinstance(body, bytes) else json.dumps(body).encode()
    data = None if isinstance(body, bytes) else json.loads(plain)
    return classify_error(status, error_of(data, plain), wait=wait)


@pytest.mark.parametrize(("name", "status", "body", "kind", "what"), CASES, ids=[f"{c[0]}-{c[1]}" for c in CASES])
def test_each_error_has_its_verdict(name: str, status: int, body: Any, kind: Kind, what: ErrorType | str) -> None:
    verdict = judge(status, body)
    assert verdict.kind is kind, name
    assert what in {verdict.error_type, verdict.cause}


def test_every_verdict_is_shown_by_a_case() -> None:
    used = {judge(status, body) for _, status, body, _, _ in CASES}
    assert {rule.verdict for rule in RULES} - used == set()


def test_only_failures_of_an_endpoint_that_is_down_wait_for_others() -> None:
    down = {status for status in range(400, 600) if judge(status, b"").outage}
    assert {408, 502, 503, 504, 520, 524} <= down
    assert not down & {400, 401, 409, 429, 500, 529}
    assert {kind for kind, verdict in TRANSPORT.items() if verdict.outage} == {
        FaultKind.CONNECT,
        FaultKind.TIMEOUT,
        FaultKind.DISCONNECTED,
    }
    assert set(TRANSPORT) == set(FaultKind)


def test_every_fatal_verdict_says_what_to_do() -> None:
    fatal = [rule.verdict for rule in RULES if rule.verdict.kind is X] + [v for v in TRANSPORT.values() if v.kind is X]
    assert all(verdict.hint for verdict in fatal)


@pytest.mark.parametrize(("wait", "kind"), [(None, L), (7.0, L), (86_399.0, L), (1_382_400.0, X)])
def test_a_limit_that_lasts_for_days_stops_the_run(wait: float | None, kind: Kind) -> None:
    assert judge(429, nested(code="rate_limit_exceeded"), wait).kind is kind


@pytest.mark.parametrize(
    ("reply", "error_type"),
    [
        (Reply("", finish_reason="content_filter"), ErrorType.FILTERED),
        (Reply('{"score"', finish_reason="content_filter"), ErrorType.FILTERED),
        (Reply(None, refusal="I can't help with that."), ErrorType.REFUSED),
    ],
)
def test_refusals_under_status_200_are_the_rows(reply: Reply, error_type: ErrorType) -> None:
    verdict = classify_reply(reply)
    assert verdict is not None
    assert (verdict.kind, verdict.error_type) == (P, error_type)


@pytest.mark.parametrize(
    "reply",
    [
        Reply("x", finish_reason="stop"),
        Reply("x", finish_reason="length"),
        Reply("x", finish_reason=None),
        Reply("x", finish_reason="brand_new"),
        Reply(None, reasoning='{"score": 7}'),
        Reply(None, has_tool_calls=True),
        Reply("", finish_reason="stop"),
        Reply('{"score": 7}', refusal="but"),
    ],
)
def test_everything_else_is_left_to_the_check(reply: Reply) -> None:
    assert classify_reply(reply) is None


def test_an_answer_that_a_server_gave_up_on_is_asked_again() -> None:
    verdict = classify_reply(Reply("half", finish_reason="abort"))
    assert verdict is not None
    assert verdict.kind is N


@pytest.mark.parametrize(
    "body", [None, [], "x", 7, {}, {"choices": []}, {"error": None, "choices": []}, {"error": ""}, {"message": 7}]
)
def test_a_body_without_an_error_has_none(body: Any) -> None:
    assert error_in(body) is None


def test_long_and_odd_bodies_stay_bounded() -> None:
    assert len(error_of(None, b"x" * 10**6).message) < 64 * MAX_MESSAGE + 1
    assert error_of(None, b"\xff\xfe<b>hello</b>  world").message.endswith("hello world")
    assert error_of({"error": {"message": ["a"]}}, b"").message == "['a']"
