"""A loop whose time jumps, and servers made of a function: what the tests of the client stand on."""

from __future__ import annotations

import asyncio
import json
import random
import selectors
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypeVar

import pytest

from modelcall.llm.client import ChatClient
from modelcall.llm.exchange import ChatRequest, Completion, Failure, FormatFault, Reply
from modelcall.llm.settings import ClientSettings
from modelcall.llm.transport import RawResponse
from modelcall.permits import Permits
from modelcall.types import Secret

T = TypeVar("T")
Server = Callable[[str, Mapping[str, str], Any], Awaitable[RawResponse]]

KEY = "sk-canary0123456789"


class JumpingSelector(selectors.DefaultSelector):
    """Never waits: what the loop would wait is added to its time."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(0)
        if not events:
            assert timeout is not None, "nothing will ever happen any more"
            self.now += max(timeout, 0.0)
        return events


class JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run_jumping(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end on a loop whose time jumps; nothing may be left running."""
    loop = JumpingLoop()
    try:
        result = loop.run_until_complete(work)
        left = asyncio.all_tasks(loop)
        assert not left, f"tasks left: {left}"
        return result
    finally:
        loop.close()


def completion(content: Any = '{"score": 7}', **changes: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, **changes.pop("message", {})}
    choice = {"index": 0, "message": message, "finish_reason": changes.pop("finish_reason", "stop")}
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    return {"id": "c1", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage, **changes}


def raw(data: Any = None, status: int = 200, headers: Mapping[str, str] | None = None) -> RawResponse:
    body = data if isinstance(data, bytes) else json.dumps(completion() if data is None else data).encode()
    return RawResponse(status, headers or {}, body)


def error(status: int, message: str = "no", *, headers: Mapping[str, str] | None = None, **fields: Any) -> RawResponse:
    return raw({"error": {"message": message, **fields}}, status, headers)


def accept_json(reply: Reply) -> Mapping[str, Any] | FormatFault:
    """The simplest check: any JSON object."""
    try:
        values = json.loads(reply.content or "")
    except ValueError:
        cut = reply.finish_reason == "length"
        return FormatFault("cut" if cut else "not_json", "not JSON", more_tokens=cut)
    return values if isinstance(values, dict) else FormatFault("wrong_type", "no object")


@dataclass
class FakeTransport:
    server: Server
    closed: bool = False

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> RawResponse:
        return await self.server(url, headers, json.loads(body))

    async def close(self) -> None:
        self.closed = True


@dataclass
class Bench:
    """A client against a server function, on jumping time."""

    server: Server
    settings: ClientSettings = field(
        default_factory=lambda: ClientSettings(base_urls=("http://one:8000/v1",), model_name="m", api_key=Secret(KEY))
    )
    ceiling: int = 64
    seed: int = 1
    events: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.permits = Permits(self.ceiling)
        self.transport = FakeTransport(self.server)
        self.client = ChatClient(
            self.settings,
            permits=self.permits,
            hook=lambda name, facts: self.events.append((name, facts)),
            wall=lambda: 1_800_000_000.0,
            rng=random.Random(self.seed),
            transport=lambda _: self.transport,
        )

    def named(self, name: str) -> list[Mapping[str, Any]]:
        return [facts for known, facts in self.events if known == name]

    async def __aenter__(self) -> Self:
        await self.client.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.client.close()
        assert self.transport.closed

    async def ask(self, name: str = "r1", check: Any = accept_json) -> Completion | Failure:
        permit = await self.permits.take()
        try:
            request = ChatRequest(name, [{"role": "user", "content": f"rate {name}"}])
            return await self.client.ask(request, check, permit)
        finally:
            permit.release()

    async def ask_all(self, rows: int) -> list[Completion | Failure]:
        """As the pipeline does: a permit first, then the row's task."""
        tasks: list[asyncio.Task[Completion | Failure]] = []
        for row in range(rows):
            permit = await self.permits.take()
            tasks.append(asyncio.ensure_future(self._held(f"r{row}", permit)))
        return await asyncio.gather(*tasks)

    async def _held(self, name: str, permit: Any) -> Completion | Failure:
        try:
            request = ChatRequest(name, [{"role": "user", "content": f"rate {name}"}])
            return await self.client.ask(request, accept_json, permit)
        finally:
            permit.release()


@pytest.fixture
def run() -> Callable[[Coroutine[Any, Any, T]], T]:
    return run_jumping


def with_settings(**changes: Any) -> ClientSettings:
    base = ClientSettings(base_urls=("http://one:8000/v1",), model_name="m", api_key=Secret(KEY))
    return replace(base, **changes)
