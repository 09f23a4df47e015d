"""Runs the server: in the caller's event loop, or in its own until a signal comes."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelcall.loops import run_fast
from modelcall.mock.certificates import server_context
from modelcall.mock.connection import Connection
from modelcall.mock.judge import JUDGES
from modelcall.mock.lifetime import told_to_end
from modelcall.mock.listening import HOST, Listener
from modelcall.mock.options import MockOptions
from modelcall.mock.server import MockServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from modelcall.mock.judge import Judge
    from modelcall.mock.referee import Referee, RefereeReport

_LEAVING = 2.0
"""Seconds for connections to be gone, at most."""


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that listens."""

    server: MockServer
    listener: Listener
    certificate: str | None
    """PEM of what it shows to clients, if it speaks https."""

    @property
    def port(self) -> int:
        """The real port."""
        return self.listener.port

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{'http' if self.certificate is None else 'https'}://{HOST}:{self.port}"

    @property
    def base_url(self) -> str:
        """What a client's ``base_url`` is."""
        return f"{self.origin}/v1"

    @property
    def referee(self) -> Referee:
        """The live counts."""
        return self.server.referee


@contextlib.asynccontextmanager
async def serve(options: MockOptions | None = None, *, judge: Judge | None = None) -> AsyncIterator[RunningServer]:
    """Serve in this event loop; on leaving, all connections are dropped.

    ``judge`` replaces the one that ``options`` names.

    Raises:
        ConfigError: The port is taken, or https is not possible.
    """
    options = options or MockOptions()
    context, certificate = server_context(options.tls) if options.tls else (None, None)
    server = MockServer(options, judge=judge or JUDGES[options.judge])
    listener = Listener(lambda: Connection(server), port=options.port, tls=context)
    server.port, server.outage = listener.port, listener.down
    restarts = _start(server, listener)
    try:
        yield RunningServer(server, listener, certificate)
    finally:
        if restarts is not None:
            restarts.cancel()
        await listener.close()
        await _drop(server)


def _start(server: MockServer, listener: Listener) -> asyncio.Task[None] | None:
    options, scale = server.options, server.time_scale
    if options.starts_after:
        listener.down(options.starts_after * scale)
    else:
        listener.up()
    if options.restart_every is None:
        return None
    every, down = options.restart_every * scale, options.restart_for * scale
    return asyncio.get_running_loop().create_task(_restart(server, every=every, down=down))


async def _restart(server: MockServer, *, every: float, down: float) -> None:
    while True:
        await asyncio.sleep(every)
        server.go_down(down, "refuse")


async def _drop(server: MockServer) -> None:
    """Reset what is open, late arrivals too, and let the loop see it go; the server ends even if it does not."""
    loop = asyncio.get_running_loop()
    until = loop.time() + _LEAVING
    while server.connections and loop.time() < until:
        for connection in tuple(server.connections):
            connection.reset()
        await asyncio.sleep(0)
    await asyncio.sleep(0)  # one more turn, in which cancelled scripts end


def run_forever(
    options: MockOptions,
    announce: Callable[[RunningServer], None],
    *,
    lifetime: float | None = None,
    until: Callable[[], Awaitable[None]] | None = None,
) -> RefereeReport:
    """Serve on a fast event loop until SIGINT or SIGTERM, and return what the referee saw.

    Args:
        options: How the server behaves.
        announce: Called once, when the server listens.
        lifetime: Ends it after so many real seconds at the latest.
        until: Ends it when this returns.

    Raises:
        ConfigError: As :func:`serve`.
    """
    return run_fast(_run(options, announce, lifetime=lifetime, until=until))


async def _run(
    options: MockOptions,
    announce: Callable[[RunningServer], None],
    *,
    lifetime: float | None,
    until: Callable[[], Awaitable[None]] | None,
) -> RefereeReport:
    async with serve(options) as running:
        announce(running)
        await told_to_end(lifetime=lifetime, until=until)
        return running.referee.report()
