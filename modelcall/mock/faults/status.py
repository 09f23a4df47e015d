"""Faults that a status code announces and another attempt may cure; and those of the list of models."""

from __future__ import annotations

from email.utils import formatdate
from typing import TYPE_CHECKING

from modelcall.mock.faults.base import Fault, Scene, Verdict, answering
from modelcall.mock.faults.pages import html_reply
from modelcall.mock.wire import Send, error_body, json_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from modelcall.mock.wire import Headers, Script

_RATE = error_body("Rate limit reached for requests", kind="requests", code="rate_limit_exceeded")
_SLOW = error_body("Slow down", kind="rate_limit_error", code="slow_down")
_OVERLOADED = {
    "type": "error",
    "error": {"type": "overloaded_error", "message": "Overloaded"},
    "request_id": "req_1",
}


def _limited(
    headers: Callable[[Scene], Headers], *, status: int = 429, body: object = _RATE
) -> Callable[[Scene], Script]:
    return lambda scene: (Send(json_reply(status, body, headers(scene))),)


def _rate_limits() -> Iterable[Fault]:
    def limit(
        name: str,
        number: int,
        about: str,
        script: Callable[[Scene], Script],
        *,
        also: Verdict | None = None,
        brief: bool = False,
    ) -> Fault:
        return Fault(name, number, about, Verdict.RATE_LIMIT, script, also=also, brief=brief)

    yield limit("rate_limit", 15, "429 retry-after: 7", _limited(lambda s: {"retry-after": s.scaled(7)}))
    yield limit(
        "rate_limit_ms",
        16,
        "429 retry-after-ms: 350",
        _limited(lambda s: {"retry-after-ms": _milliseconds(s, 0.35)}),
        brief=True,
    )
    yield limit("rate_limit_date", 17, "429 whose Retry-After is a date, 7 s from now", _limited(_date_header))
    for name, value in {"junk": "soon", "negative": "-5", "nan": "nan", "endless": "1e309"}.items():
        yield limit(
            f"rate_limit_{name}",
            17,
            f"429 retry-after: {value}",
            answering(429, _RATE, {"retry-after": value}),
            brief=True,
        )
    yield limit(
        "rate_limit_reset",
        18,
        "429 that only has x-ratelimit-reset-requests: 6ms",
        _limited(lambda s: _reset(f"{_milliseconds(s, 0.006)}ms")),
        brief=True,
    )
    yield limit(
        "rate_limit_reset_minutes", 18, "429 that only has x-ratelimit-reset-requests: 1m30s", _limited(_reset_minutes)
    )
    yield limit("rate_limit_text", 19, "429 of Azure: when to come back stands in the text only", _azure_limit)
    yield limit("rate_limit_bare", 15, "429 with nothing that says for how long", answering(429, _RATE), brief=True)
    yield limit(
        "slow_down", 22, "429 slow_down, retry-after: 5", _limited(lambda s: {"retry-after": s.scaled(5)}, body=_SLOW)
    )
    yield limit(
        "slow_down_503",
        22,
        "503 slow_down, the older form",
        _limited(lambda s: {"retry-after": s.scaled(5)}, status=503, body=_SLOW),
        also=Verdict.NETWORK,
    )
    yield limit(
        "overloaded",
        26,
        "529 of Anthropic",
        answering(529, _OVERLOADED, {"request-id": "req_1"}),
        also=Verdict.NETWORK,
        brief=True,
    )


def _milliseconds(scene: Scene, default: float) -> str:
    return f"{scene.lasting(default) * scene.time_scale * 1000:.6g}"


def _date_header(scene: Scene) -> Headers:
    return {"retry-after": formatdate(scene.now + scene.lasting(7) * scene.time_scale, usegmt=True)}


def _reset(value: str) -> Headers:
    return {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": value}


def _reset_minutes(scene: Scene) -> Headers:
    minutes, seconds = divmod(scene.lasting(90) * scene.time_scale, 60)
    return _reset(f"{minutes:.0f}m{seconds:.6g}s" if minutes else f"{seconds:.6g}s")


def _azure_limit(scene: Scene) -> Script:
    text = (
        "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 have exceeded"
        f" token rate limit of your current pricing tier. Please retry after {scene.scaled(33)} seconds."
    )
    return (Send(json_reply(429, {"error": {"code": "429", "message": text}})),)


def _network() -> Iterable[Fault]:
    def server(name: str, about: str, data: bytes, *, number: int = 25) -> Fault:
        return Fault(name, number, about, Verdict.NETWORK, lambda _: (Send(data),))

    def worded(status: int, text: str, code: str | None = None) -> bytes:
        return json_reply(status, error_body(text, kind="server_error", code=code))

    yield server("timeout_408", "408", worded(408, "Request timeout"), number=12)
    yield server("conflict_409", "409", worded(409, "Conflict"), number=12)
    yield server("invalid_token_498", "498", html_reply(498, "498 Invalid Token"))
    yield server("client_closed_499", "499 of nginx", html_reply(499, "499 Client Closed Request"))
    yield server(
        "server_error",
        "500 of OpenAI",
        worded(500, "The server had an error while processing your request. Sorry about that!"),
    )
    yield server("bad_gateway", "502 of nginx, HTML", html_reply(502, "502 Bad Gateway"))
    yield server(
        "bad_gateway_cloudflare",
        "502 of Cloudflare, HTML",
        html_reply(502, "api.example.com | 502: Bad gateway", "cloudflare"),
    )
    yield server(
        "bad_gateway_200",
        "Cloudflare's 502 page with status 200",
        html_reply(200, "api.example.com | 502: Bad gateway", "cloudflare"),
    )
    yield server(
        "unavailable", "503 of a router without workers", worded(503, "No available workers", "no_available_workers")
    )
    yield server("gateway_timeout", "504 of nginx, HTML", html_reply(504, "504 Gateway Time-out"))
    for status in range(520, 525):
        yield server(
            f"cloudflare_{status}",
            f"{status} of Cloudflare, HTML",
            html_reply(status, f"api.example.com | {status}", "cloudflare"),
        )
    poison = answering(500, error_body("Internal server error", kind="server_error"))
    yield Fault(
        "poison_row",
        28,
        "500 on every attempt of the chosen rows",
        Verdict.NETWORK,
        poison,
        position="row",
        brief=False,
    )


def _models() -> Iterable[Fault]:
    for status, text in ((404, "Not Found"), (500, "Internal Server Error")):
        yield Fault(
            f"models_{status}", 63, f"{status} of the list of models; a client must not need it", Verdict.ACCEPT,
            answering(status, {"detail": text}), target="models",
        )  # fmt: skip


STATUS_FAULTS = (*_rate_limits(), *_network(), *_models())
