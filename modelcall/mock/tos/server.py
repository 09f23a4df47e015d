"""What happens to one request, in order: understood, struck by a fault, verified, done, answered, noted."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from aiohttp import web

from modelcall.errors import ConfigError
from modelcall.mock.tos.body import Body, send
from modelcall.mock.tos.call import read_call
from modelcall.mock.tos.control import ROOT, control
from modelcall.mock.tos.exchange import Exchange
from modelcall.mock.tos.log import Log
from modelcall.mock.tos.operations import find
from modelcall.mock.tos.plan import Plan
from modelcall.mock.tos.replies import CRC64, Answer, Dropped, Refused
from modelcall.mock.tos.signature import verify
from modelcall.mock.tos.strike import Strike

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from modelcall.mock.tos.call import Call
    from modelcall.mock.tos.faults import TosFault
    from modelcall.mock.tos.operations import Operation
    from modelcall.mock.tos.options import TosOptions
    from modelcall.mock.tos.store import Store

_NO_STRIKE: Final = Strike()


class TosServer:
    """Everything but sockets."""

    def __init__(self, options: TosOptions, store: Store) -> None:
        self.options = options
        self.store = store
        self.log = Log(options.log_requests)
        self.plan = Plan(options.faults, seed=options.seed)
        self.go_down: Callable[[float], None] = _stay
        """Drop all connections and refuse new ones for so many seconds; set by whoever listens."""
        for name in options.buckets:
            if name not in store.buckets:
                store.create(name)

    def set_faults(self, rules: Iterable[TosFault]) -> None:
        """Play these from the next request on."""
        self.plan = Plan(rules, seed=self.options.seed)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, or drop its connection."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        options = self.options
        call = read_call(
            request.method,
            request.raw_path,
            headers,
            endpoint=options.endpoint,
            default_bucket=options.buckets[0],
        )
        try:
            if call.path.startswith(ROOT) and "authorization" not in headers:
                return await send(request, await control(self, request, call), _NO_STRIKE, _forget)
            return await self._visit(request, call)
        except Dropped:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()  # to nobody

    async def _visit(self, request: web.BaseRequest, call: Call) -> web.StreamResponse:
        operation = find(call)
        entry = self.log.begin(operation.__name__, call)
        strike = self.plan.strike(entry.operation, call, entry.attempt)
        entry.fault = strike.name
        body = Body(request, call, strike)
        try:
            answer = await self._answer(operation, Exchange(call, body, self.store, self.options, strike))
            entry.code = answer.code
            response = await send(request, answer, strike, entry.add_sent)
            entry.status = answer.status
        finally:
            entry.received = body.received
            self.log.end(entry)
        return response

    async def _answer(self, operation: Operation, exchange: Exchange) -> Answer:
        call, strike = exchange.call, exchange.strike
        request_id = uuid.uuid4().hex
        try:
            await asyncio.sleep(self.options.latency + strike.delay)
            strike.begin()
            verify(call, self.options.credentials, now=self.store.clock())
            answer = await operation(exchange)
            strike.acknowledge()
            answer = strike.spoil(answer, self.store.buckets.get(call.bucket), call.key)
        except Refused as refusal:
            answer = refusal.answer(method=call.method, request_id=request_id, resource=f"/{call.bucket}/{call.key}")
        return _with_headers(answer, request_id)


def _stay(seconds: float) -> None:
    raise ConfigError(f"A server that does not listen cannot go down for {seconds:g} s.")


def _forget(sent: int) -> None:
    del sent


def _with_headers(answer: Answer, request_id: str) -> Answer:
    headers = {**answer.headers, "server": "TosServer", "x-tos-request-id": request_id, "x-tos-id-2": request_id[:16]}
    if answer.etag is not None:
        headers["etag"] = answer.etag
    if answer.crc64 is not None:
        headers[CRC64] = str(answer.crc64)
    return replace(answer, headers=headers)
