"""One request for a completion: refused, struck by a fault, or answered by the judge."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import orjson

from modelcall.mock.asking import BadAsk, ChatAsk, read_ask
from modelcall.mock.completion import completion
from modelcall.mock.faults.base import Scene, Verdict
from modelcall.mock.faults.plan import Ask
from modelcall.mock.referee import Arrival, RequestRecord
from modelcall.mock.schemas import Unsatisfiable
from modelcall.mock.visit import Reaction
from modelcall.mock.wire import Send, error_body, json_reply, reply

if TYPE_CHECKING:
    from modelcall.mock.completion import Answer
    from modelcall.mock.faults.plan import Strike
    from modelcall.mock.reading import Head
    from modelcall.mock.server import MockServer

_REQUEST_ID = "x-request-id"
_DIGITS = 12
"""Of an attempt's number: at most what the last group of a UUID has."""


class ChatVisit:
    """A POST to chat completions."""

    def __init__(self, server: MockServer, head: Head) -> None:
        self._server = server
        self._headers = head.headers
        self._label = head.headers.get(_REQUEST_ID)
        self._key = head.headers.get("authorization", "").removeprefix("Bearer ")
        self._now = server.wall_clock()
        arrival = Arrival(self._label, self._key, head.headers.get("host", ""), head.headers)
        self._arrival = server.referee.arrived(arrival, now=self._now)
        self._ask: Ask | None = None
        self._body = b""
        self._good = False

    def early(self) -> Reaction | None:
        """Strike before the body comes, if a rule says so."""
        if self._label is None:
            return None
        stem, attempt = _split(self._label)
        strike = self._server.plan.strike(Ask(stem, attempt, self._arrival), early=True)
        if strike is None:
            return None
        self._identify(stem, attempt)
        return self._fault(strike, None)

    def answer(self, body: bytes) -> Reaction:
        """Refuse, strike, or answer."""
        self._body = body
        self._identify(*self._identity())
        try:
            chat = read_ask(body)
        except BadAsk as error:
            return self._unauthorised() or self._refused(400, str(error), param=error.param)
        refusal = self._unauthorised() or self._overloaded() or self._too_long(chat)
        if refusal is not None:
            return refusal
        strike = self._server.plan.strike(replace(self._known(), text=chat.text))
        if strike is not None:
            return self._fault(strike, chat)
        return self._plain(chat)

    def end(self, *, complete: bool) -> None:
        """Tell the referee."""
        if complete and self._good:
            self._server.referee.replied(self._known().stem)
        self._server.referee.ended(abandoned=not complete)

    def _identity(self) -> tuple[str, int]:
        """Return stem and attempt; without ``x-request-id`` equal bodies are attempts of one request."""
        if self._label is not None:
            return _split(self._label)
        stem = hashlib.sha256(self._body).hexdigest()[:16]
        row = self._server.referee.rows.get(stem)
        return stem, 1 if row is None else len(row.attempts) + 1

    def _identify(self, stem: str, attempt: int) -> None:
        self._ask = Ask(stem, attempt, self._arrival)
        self._server.referee.asked(stem, attempt, idempotency_key=self._headers.get("idempotency-key"))

    def _known(self) -> Ask:
        if self._ask is None:  # only requests that were identified come here
            raise RuntimeError("the request has not been read yet")
        return self._ask

    def _unauthorised(self) -> Reaction | None:
        expected = self._server.options.api_key
        if expected is None or self._key == expected:
            return None
        return self._refused(401, "Incorrect API key provided.", code="invalid_api_key")

    def _overloaded(self) -> Reaction | None:
        capacity = self._server.options.capacity
        if capacity is not None and self._server.referee.in_flight > capacity:
            return self._refused(429, "Too many requests in flight.", code="rate_limit_exceeded")
        wait = self._server.must_wait()
        if wait > 0:
            return self._refused(429, "Rate limit reached for requests.", code="rate_limit_exceeded", wait=wait)
        return None

    def _too_long(self, chat: ChatAsk) -> Reaction | None:
        limit = self._server.options.context_length
        if limit is None or chat.prompt_tokens <= limit:
            return None
        text = f"This model's maximum context length is {limit} tokens. However, your messages resulted in"
        return self._refused(400, f"{text} {chat.prompt_tokens} tokens.", code="context_length_exceeded")

    def _refused(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None, wait: float | None = None
    ) -> Reaction:
        self._server.referee.refused[status] += 1
        self._record(None)
        headers = None if wait is None else {"retry-after-ms": f"{wait * 1000:.6g}"}
        body = error_body(message, kind="requests" if wait else "invalid_request_error", param=param, code=code)
        return Reaction((Send(json_reply(status, body, headers)),))

    def _fault(self, strike: Strike, chat: ChatAsk | None) -> Reaction:
        ask, fault, server = self._known(), strike.fault, self._server
        server.referee.struck(ask.stem, fault.name)
        self._record(fault.name)
        self._good = fault.verdict is Verdict.ACCEPT
        scene = Scene(
            request_id=self._request_id,
            model=chat.model if chat else "",
            key=self._key,
            port=server.port,
            now=self._now,
            time_scale=server.time_scale,
            judge=lambda: self._judged(chat),
            previous=server.previous(ask.stem),
            seconds=strike.seconds,
        )
        return Reaction(fault.script(scene), server.delay(ask))

    def _judged(self, chat: ChatAsk | None) -> Answer:
        if chat is None:
            raise RuntimeError("an early fault has no answer to spoil")
        return self._server.judge(chat)

    def _plain(self, chat: ChatAsk) -> Reaction:
        ask, server = self._known(), self._server
        try:
            answer = server.judge(chat)
        except Unsatisfiable as error:
            text = f"Invalid schema for response_format: {error}."
            return self._refused(400, text, param="response_format", code="invalid_json_schema")
        self._record(None)
        self._good = True
        body = completion(answer, request_id=self._request_id, model=chat.model, created=int(self._now))
        data = orjson.dumps(body)
        server.remember(ask.stem, data)
        delay = server.delay(ask)
        headers = {_REQUEST_ID: self._request_id, "openai-processing-ms": f"{delay * 1000:.0f}"}
        return Reaction((Send(reply(200, data, headers)),), delay)

    @property
    def _request_id(self) -> str:
        """The header as it came, or one made of the identity."""
        ask = self._known()
        return self._label if self._label is not None else f"{ask.stem}-{ask.attempt}"

    def _record(self, fault: str | None) -> None:
        referee, headers = self._server.referee, self._headers
        if not referee.log.maxlen:
            return
        referee.log.append(
            RequestRecord(
                arrival=self._arrival,
                time=self._now,
                stem=self._ask.stem if self._ask else "",
                attempt=self._ask.attempt if self._ask else 0,
                fault=fault,
                in_flight=referee.in_flight,
                host=headers.get("host", ""),
                retry_count=headers.get("x-stainless-retry-count"),
                accept_encoding=headers.get("accept-encoding"),
                connection=headers.get("connection"),
                body_sha256=hashlib.sha256(self._body).hexdigest(),
            )
        )


def _split(label: str) -> tuple[str, int]:
    """Split ``x-request-id`` into stem and attempt; a label without a number is attempt 1."""
    stem, dash, number = label.rpartition("-")
    is_number = number.isascii() and number.isdigit() and len(number) <= _DIGITS
    return (stem, int(number)) if dash and is_number else (label, 1)
