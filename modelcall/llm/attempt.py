"""One attempt: bytes out, and what came back judged, up to the point where the text itself must be."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import orjson

from modelcall.llm.classify import NO_CHOICES, NO_JSON, TRANSPORT, classify_error, classify_reply
from modelcall.llm.deadlines import Deadlines
from modelcall.llm.hints import wait_hint
from modelcall.llm.replies import ShapeError, parse_reply
from modelcall.llm.server_error import MAX_MESSAGE, ServerError, error_in, error_of
from modelcall.llm.transport import FaultKind, RawResponse, TransportFault
from modelcall.llm.verdicts import Fault, Verdict
from modelcall.redact import mask, maskable, redact
from modelcall.values import row_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelcall.llm.endpoint import Endpoint
    from modelcall.llm.exchange import Reply
    from modelcall.llm.settings import ClientSettings
    from modelcall.llm.transport import Transport

_SUCCESS: Final = range(200, 300)


@row_value
class Answer:
    """How an attempt ended."""

    reply: Reply | None
    """The completion, if one came; it may come with a fault (a refusal has a text and a usage too)."""
    fault: Fault | None
    """None: the text is for the check to judge."""


class Attempts:
    """Makes attempts over a transport.

    Args:
        settings: For the deadline and the secrets that must not be repeated.
        transport: The lane.
        wall: Seconds since the epoch, for dates that servers send.
    """

    def __init__(self, settings: ClientSettings, *, transport: Transport, wall: Callable[[], float]) -> None:
        self._timeout = settings.timeout
        self._deadlines = Deadlines(settings.timeout)
        self._secrets = maskable(settings.secrets)
        self._masked_too = settings.masked
        self._transport = transport
        self._wall = wall

    async def make(self, endpoint: Endpoint, body: bytes, attempt_id: str) -> Answer:
        """Send one request and judge what comes. The deadline is total and starts now."""
        try:
            with self._deadlines.begin():
                raw = await self._transport.send(endpoint.url, {"x-request-id": attempt_id}, body)
        except TimeoutError:
            fault = TransportFault(FaultKind.TIMEOUT, f"no whole reply within {self._timeout:g} s")
            return self._transport_fault(fault, endpoint)
        except TransportFault as fault:
            return self._transport_fault(fault, endpoint)
        return self._judge(raw, endpoint)

    def _transport_fault(self, fault: TransportFault, endpoint: Endpoint) -> Answer:
        message = self._clean(f"{endpoint.name}: {fault.message}")
        return Answer(None, Fault(TRANSPORT[fault.kind], message, stale=fault.stale))

    def _judge(self, raw: RawResponse, endpoint: Endpoint) -> Answer:
        data = _json(raw.body)
        if raw.status not in _SUCCESS:
            return self._refusal(raw, error_of(data, raw.body), endpoint)
        error = error_in(data)
        if error is not None:
            return self._refusal(raw, error, endpoint)
        if data is None:
            return self._broken(NO_JSON, raw, error_of(None, raw.body).message or "an empty body", endpoint)
        try:
            reply = parse_reply(data)
        except ShapeError as error:
            return self._broken(NO_CHOICES, raw, str(error), endpoint)
        reply = self._without_secrets(reply)
        verdict = classify_reply(reply)
        if verdict is None:
            return Answer(reply, None)
        text = reply.refusal or f"finish_reason {reply.finish_reason}"
        return Answer(reply, Fault(verdict, self._clean(f"{verdict.cause}: {text}")))

    def _refusal(self, raw: RawResponse, error: ServerError, endpoint: Endpoint) -> Answer:
        wait = wait_hint(raw.headers, error.message, wall=self._wall())
        verdict = classify_error(raw.status, error, wait=wait)
        said = error.message or "without a message"
        return Answer(None, Fault(verdict, self._clean(f"{endpoint.name} answered {raw.status}: {said}"), wait))

    def _broken(self, verdict: Verdict, raw: RawResponse, what: str, endpoint: Endpoint) -> Answer:
        message = f"{endpoint.name} answered {raw.status} with no completion: {what}"
        return Answer(None, Fault(verdict, self._clean(message)))

    def _without_secrets(self, reply: Reply) -> Reply:
        """Mask what was sent to prove who we are, should the reply repeat it: its text goes into the output."""
        if not self._secrets:
            return reply
        texts = (reply.content, reply.reasoning, reply.refusal)
        if not any(secret in text for text in texts if text for secret in self._secrets):
            return reply
        content, reasoning, refusal = (text and mask(text, self._secrets) for text in texts)
        return replace(reply, content=content, reasoning=reasoning, refusal=refusal)

    def _clean(self, text: str) -> str:
        return redact(text, (*self._secrets, *self._masked_too))[:MAX_MESSAGE]


def _json(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
