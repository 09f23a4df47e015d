"""Refusals: faults after which asking again is pointless, for the row or for the whole run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcall.mock.faults.base import Fault, Scene, Verdict, answering
from modelcall.mock.faults.pages import html_reply, page
from modelcall.mock.wire import HTML_TYPE, Fin, Send, error_body, json_reply, reply
from modelcall.types import ErrorType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from modelcall.mock.wire import Script

_TOO_LONG, _FILTERED, _REJECTED = ErrorType.TOO_LONG, ErrorType.FILTERED, ErrorType.REJECTED


def _refusal(
    name: str, number: int, about: str, body: object, *, error: ErrorType = _REJECTED, status: int = 400
) -> Fault:
    return Fault(name, number, about, Verdict.PERMANENT, answering(status, body), error_type=error)


def _permanent() -> Iterable[Fault]:
    yield _refusal(
        "bad_request", 1, "400 as OpenAI words it",
        error_body("Invalid value: 'messages'.", kind="invalid_request_error", param="messages", code="invalid_value"),
    )  # fmt: skip
    too_long = "This model's maximum context length is 8192 tokens. However, your messages resulted in 10061 tokens."
    yield _refusal(
        "too_long", 2, "400 context_length_exceeded",
        error_body(too_long, kind="invalid_request_error", param="messages", code="context_length_exceeded"),
        error=_TOO_LONG,
    )  # fmt: skip
    decoder = "The decoder prompt (length 30632) is longer than the maximum model length of 30000. Make sure"
    yield _refusal(
        "too_long_vllm", 3, "400 of vLLM: nested, the code is a number",
        error_body(f"{decoder} it is no smaller than the number of tokens.", kind="BadRequestError", code=400),
        error=_TOO_LONG,
    )  # fmt: skip
    requested = (
        "Requested token count exceeds the model's maximum context length of 16384 tokens. You requested a total"
    )
    flat = f"{requested} of 17964 tokens: 1580 tokens from the input messages and 16384 tokens for the completion."
    yield _refusal(
        "too_long_sglang", 4, "400 of SGLang and older vLLM: flat",
        {"object": "error", "message": flat, "type": "BadRequestError", "param": None, "code": 400},
        error=_TOO_LONG,
    )  # fmt: skip
    detail = [{"loc": ["body", "messages"], "msg": "field required", "type": "value_error.missing"}]
    yield _refusal("unprocessable", 5, "422 of FastAPI: a list of details", {"detail": detail}, status=422)
    yield _refusal("bad_request_detail", 5, "400 of FastAPI: the detail is a string", {"detail": "Invalid request"})
    yield Fault(
        "content_filter", 6, "400 of Azure's content filter", Verdict.PERMANENT, _azure_filter, error_type=_FILTERED
    )
    yield Fault(
        "bad_request_empty", 7, "400 with an empty body", Verdict.PERMANENT,
        lambda _: (Send(reply(400, b"")),), error_type=_REJECTED,
    )  # fmt: skip
    large = page("413 Request Entity Too Large", "nginx")
    yield Fault(
        "too_large", 13, "413 of nginx, after the body was read", Verdict.PERMANENT,
        lambda _: (Send(reply(413, large, kind=HTML_TYPE)),), error_type=_TOO_LONG,
    )  # fmt: skip
    closing = reply(413, large, {"connection": "close"}, kind=HTML_TYPE)
    yield Fault(
        "too_large_early", 13, "413 before the body is read, connection closed", Verdict.PERMANENT,
        lambda _: (Send(closing), Fin()), error_type=_TOO_LONG, also=Verdict.NETWORK, early=True,
    )  # fmt: skip


def _azure_filter(_: Scene) -> Script:
    result = {"hate": {"filtered": True, "severity": "high"}}
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": result}
    error = {
        "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
        "type": None, "param": "prompt", "code": "content_filter", "status": 400, "innererror": inner,
    }  # fmt: skip
    return (Send(json_reply(400, {"error": error}, {"x-ms-region": "East US", "x-ms-client-request-id": "1"})),)


def _wrong_key(scene: Scene) -> Script:
    """Repeat the key, as OpenAI does: it must be redacted everywhere."""
    text = (
        f"Incorrect API key provided: {scene.key}. You can find your API key at https://example.com/account/api-keys."
    )
    body = error_body(text, kind="invalid_request_error", code="invalid_api_key")
    return (Send(json_reply(401, body, {"www-authenticate": "Bearer"})),)


def _redirect(status: int) -> Callable[[Scene], Script]:
    """Send the client to another name of this host; the referee sees whether the key comes along."""

    def script(scene: Scene) -> Script:
        target = f"http://localhost:{scene.port}/elsewhere/v1/chat/completions"
        return (Send(reply(status, b"", {"location": target})),)

    return script


def _fatal() -> Iterable[Fault]:
    yield Fault("wrong_key", 9, "401 whose body repeats the key", Verdict.FATAL, _wrong_key)
    region = error_body(
        "Country, region, or territory not supported",
        kind="request_forbidden",
        code="unsupported_country_region_territory",
    )
    yield Fault("forbidden", 9, "403 for the region", Verdict.FATAL, answering(403, region))
    forbidden = html_reply(403, "403 Forbidden")
    yield Fault("forbidden_html", 9, "403 as a proxy's HTML page", Verdict.FATAL, lambda _: (Send(forbidden),))
    balance = error_body("Insufficient Balance", kind="unknown_error", code="invalid_request_error")
    yield Fault("no_balance", 10, "402 of DeepSeek", Verdict.FATAL, answering(402, balance))
    missing = error_body(
        "The model `m` does not exist or you do not have access to it.",
        kind="invalid_request_error",
        code="model_not_found",
    )
    yield Fault("unknown_model", 11, "404 model_not_found", Verdict.FATAL, answering(404, missing))
    for status in (301, 307, 308):
        yield Fault(
            f"redirect_{status}", 14, f"{status} to another host, which answers 405", Verdict.FATAL, _redirect(status)
        )
    quota = error_body(
        "You exceeded your current quota, please check your plan and billing details.",
        kind="insufficient_quota",
        code="insufficient_quota",
    )
    yield Fault("quota", 20, "429 that no waiting will cure: insufficient_quota", Verdict.FATAL, answering(429, quota))
    credit = error_body(
        "Your credit balance is too low to access the API.", kind="billing_error", code="credit_balance_exhausted"
    )
    yield Fault("credit", 20, "429 credit_balance_exhausted", Verdict.FATAL, answering(429, credit))
    spent = {
        "type": "rate_limit_error",
        "message": "You have reached your spend limit.",
        "details": {"error_code": "enforced_spend_limit_reached"},
    }
    body = {"type": "error", "error": spent, "request_id": "req_1"}
    yield Fault(
        "spend_limit", 21, "429 of Anthropic without retry-after: spend limit", Verdict.FATAL, answering(429, body)
    )
    days = error_body(
        "You have reached your usage limit. It resets in 16 days.",
        kind="usage_limit_reached",
        code="usage_limit_reached",
    )
    yield Fault(
        "resets_in_days",
        23,
        "429 with retry-after of 16 days",
        Verdict.FATAL,
        answering(429, days, {"retry-after": "1382400"}),
    )


REFUSALS = (*_permanent(), *_fatal())
