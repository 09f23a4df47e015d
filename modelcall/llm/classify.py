"""The one table of faults: status, code, transport fault, finish reason, to a verdict each.

Rules are tried in order and the first that fits decides. Codes and types of the error body come before the status,
because gateways wrap; words of a message are looked at only where servers give no field.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from modelcall.llm.hints import DAY
from modelcall.llm.transport import FaultKind
from modelcall.llm.verdicts import Kind, Verdict
from modelcall.types import ErrorType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelcall.llm.exchange import Reply
    from modelcall.llm.server_error import ServerError


@dataclass(frozen=True, slots=True)
class Rule:
    """Fits if all its conditions do; a condition left out fits always."""

    verdict: Verdict
    statuses: frozenset[int] | None = None
    codes: frozenset[str] | None = None
    words: re.Pattern[str] | None = None

    def fits(self, status: int, error: ServerError) -> bool:
        """Whether this rule speaks of such a reply."""
        return (
            (self.statuses is None or status in self.statuses)
            and (self.codes is None or not self.codes.isdisjoint(error.codes))
            and (self.words is None or self.words.search(error.message) is not None)
        )


def _permanent(cause: str, error_type: ErrorType) -> Verdict:
    return Verdict(Kind.PERMANENT, cause, error_type)


def _fatal(cause: str, hint: str, *, may_be_row: bool = False) -> Verdict:
    return Verdict(Kind.FATAL, cause, ErrorType.REJECTED, hint=hint, may_be_row=may_be_row)


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def _codes(*codes: str) -> frozenset[str]:
    return frozenset(codes)


def _statuses(*parts: int | range) -> frozenset[int]:
    return frozenset(status for part in parts for status in ([part] if isinstance(part, int) else part))


NO_BALANCE: Final = _fatal("quota", "top up the balance or raise the quota of this key, then start again to resume")
BAD_KEY: Final = _fatal("key", "check that the key is right and belongs to this host (api_key_env in the model file)")
FORBIDDEN: Final = _fatal(
    "forbidden", "check that the key may use this model, and that a proxy or region does not block it", may_be_row=True
)
NO_MODEL: Final = _fatal(
    "not_found", "check model_name and base_url in the model file (most servers want it to end in /v1)"
)
REDIRECT: Final = _fatal("redirect", "set base_url to where the server really is; keys are not sent along redirects")
WRONG_URL: Final = _fatal("wrong_url", "check base_url: what answers there does not take chat completions")
PROXY_REFUSES: Final = _fatal("proxy", "check `proxy` in the model file, and its user and password")
UNTRUSTED: Final = _fatal("tls", "check base_url, the server's certificate, and the CA certificates of this machine")
LINK_LOCAL: Final = _fatal("address", "base_url leads to a link-local address; use the server's own")
LONG_WAIT: Final = _fatal("quota", "the limit lasts for days: raise it, or start again when it has passed")

TOO_LONG: Final = _permanent("too_long", ErrorType.TOO_LONG)
FILTERED: Final = _permanent("filtered", ErrorType.FILTERED)
REFUSED: Final = _permanent("refused", ErrorType.REFUSED)
REJECTED: Final = _permanent("rejected", ErrorType.REJECTED)

RATE_LIMIT: Final = Verdict(Kind.RATE_LIMIT, "rate_limit")
OVERLOADED: Final = Verdict(Kind.RATE_LIMIT, "overloaded")
SERVER: Final = Verdict(Kind.NETWORK, "server_error")
DOWN: Final = Verdict(Kind.NETWORK, "server_down", outage=True)
NO_JSON: Final = Verdict(Kind.NETWORK, "not_json_reply")
NO_CHOICES: Final = Verdict(Kind.NETWORK, "no_choices")

RULES: Final[tuple[Rule, ...]] = (
    # By code: what the server itself calls it.
    Rule(
        NO_BALANCE,
        codes=_codes(
            "insufficient_quota",
            "credit_balance_exhausted",
            "enforced_spend_limit_reached",
            "insufficient_balance",
            "billing_hard_limit_reached",
            "billing_not_active",
            "quota_exceeded",
            "accountoverdueerror",
            "arrearage",
            "billing_error",
        ),
    ),
    Rule(
        FILTERED,
        codes=_codes(
            "content_filter",
            "responsibleaipolicyviolation",
            "content_policy_violation",
            "data_inspection_failed",
            "inputtextsensitivecontentdetected",
            "outputtextsensitivecontentdetected",
            "sensitivecontentdetected",
        ),
    ),
    Rule(
        TOO_LONG,
        codes=_codes(
            "context_length_exceeded",
            "string_above_max_length",
            "request_too_large",
            "contextwindowexceedederror",
        ),
    ),
    Rule(
        BAD_KEY,
        codes=_codes(
            "invalid_api_key",
            "authentication_error",
            "authenticationerror",
            "account_deactivated",
            "no_db_connection",  # LiteLLM's proxy without a database: 400 for every key but the master key
        ),
    ),
    Rule(NO_MODEL, codes=_codes("model_not_found", "modelnotopen", "invalidendpointormodel.notfound")),
    Rule(
        OVERLOADED,
        codes=_codes(
            "slow_down", "overloaded_error", "engine_overloaded", "serveroverloaded", "engine_overloaded_error"
        ),
    ),
    Rule(
        RATE_LIMIT,
        codes=_codes(
            "rate_limit_exceeded",
            "rate_limit_error",
            "too_many_requests",
            "ratelimiterror",
            "requests",
            "tokens",
            "ratelimitexceeded.endpointrpmexceeded",
            "ratelimitexceeded.endpointtpmexceeded",
            "limit_requests",
        ),
        statuses=_statuses(200, 400, 403, 429, 500, 503),
    ),
    # By status.
    Rule(REDIRECT, statuses=_statuses(range(300, 400))),
    Rule(BAD_KEY, statuses=_statuses(401)),
    Rule(NO_BALANCE, statuses=_statuses(402)),
    Rule(FORBIDDEN, statuses=_statuses(403)),
    Rule(NO_MODEL, statuses=_statuses(404)),
    Rule(WRONG_URL, statuses=_statuses(405, 415, 501)),
    Rule(PROXY_REFUSES, statuses=_statuses(407)),
    Rule(TOO_LONG, statuses=_statuses(413, 414)),
    Rule(RATE_LIMIT, statuses=_statuses(429)),
    Rule(OVERLOADED, statuses=_statuses(529)),
    Rule(DOWN, statuses=_statuses(408, 499, 502, 503, 504, range(520, 528), 530)),
    Rule(SERVER, statuses=_statuses(409, 425, 498, range(500, 600))),
    # By words, where servers have no field: vLLM and SGLang call too long a prompt a BadRequestError like any other.
    Rule(
        TOO_LONG,
        statuses=_statuses(range(400, 500)),
        words=_words(
            r"context length|maximum model length|max_model_len|too many tokens|longer than the maximum"
            r"|(?:prompt|input) is too long|range of input length"
        ),
    ),
    # LiteLLM's proxy ("Invalid model name passed in model=…") and DeepSeek ("Model Not Exist") answer 400.
    Rule(
        NO_MODEL,
        statuses=_statuses(400),
        words=_words(r"invalid model name passed|\bmodel\b.{0,80}?\b(?:does )?not exist\b"),
    ),
    Rule(SERVER, statuses=_statuses(400), words=_words(r"could not parse the JSON body of your request")),
    # LiteLLM's proxy, when its upstream said 200 with nothing but {"error": "text"}.
    Rule(SERVER, statuses=_statuses(422), words=_words(r"OpenAIException - Error in response object")),
    Rule(REJECTED, statuses=_statuses(range(400, 500))),
    # An error under status 200 that names neither code nor status.
    Rule(RATE_LIMIT, words=_words(r"rate.?limit|too many requests|try again in|retry after")),
    Rule(OVERLOADED, words=_words(r"overloaded|at capacity|no available (?:workers|server)")),
    Rule(NO_BALANCE, words=_words(r"insufficient (?:balance|quota|credit)")),
    Rule(SERVER),
)

TRANSPORT: Final[Mapping[FaultKind, Verdict]] = {
    FaultKind.CONNECT: Verdict(Kind.NETWORK, "connect", outage=True),
    FaultKind.TIMEOUT: Verdict(Kind.NETWORK, "timeout", outage=True),
    FaultKind.DISCONNECTED: Verdict(Kind.NETWORK, "disconnected", outage=True),
    FaultKind.PROTOCOL: Verdict(Kind.NETWORK, "protocol"),
    FaultKind.BODY: Verdict(Kind.NETWORK, "body"),
    FaultKind.TLS: UNTRUSTED,
    FaultKind.PROXY: PROXY_REFUSES,
    FaultKind.URL: WRONG_URL,
    FaultKind.FORBIDDEN: LINK_LOCAL,
}


def classify_error(status: int, error: ServerError, *, wait: float | None) -> Verdict:
    """Judge a reply that carries an error. A status that the body names wins over a successful one.

    Args:
        status: Of the reply.
        error: What its body says.
        wait: Seconds the server asks to wait.
    """
    if status < 300 and error.status is not None:  # noqa: PLR2004  HTTP's own border
        status = error.status
    verdict = next(rule.verdict for rule in RULES if rule.fits(status, error))
    return LONG_WAIT if verdict.kind is Kind.RATE_LIMIT and wait is not None and wait >= DAY else verdict


def classify_reply(reply: Reply) -> Verdict | None:
    """Judge a completion before its text is: None leaves it to the check."""
    if reply.finish_reason == "content_filter":
        return FILTERED
    if reply.refusal and not reply.content:
        return REFUSED
    if reply.finish_reason in {"error", "abort"}:  # a gateway's upstream, or vLLM's engine, gave up half-way
        return SERVER
    return None
