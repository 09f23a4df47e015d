"""Runs the server: in the caller's event loop, or in its own until a signal comes."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from modelcall.errors import ConfigError
from modelcall.loops import run_fast
from modelcall.mock.lifetime import told_to_end
from modelcall.mock.listening import Listener
from modelcall.mock.tos.blobs import Blobs
from modelcall.mock.tos.loading import load
from modelcall.mock.tos.reach import environment
from modelcall.mock.tos.server import TosServer
from modelcall.mock.tos.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from modelcall.mock.tos.options import TosOptions

_BUFFER: Final = 1 << 20
"""Bytes of an upload that may wait to be written."""
_KEPT_ALIVE: Final = 75.0
_LEAVING: Final = 0.05
"""Seconds for requests under way; 0 would be forever."""
_BLOBS: Final = "blobs"


@dataclass(frozen=True, slots=True)
class RunningTos:
    """A server that listens."""

    server: TosServer
    port: int

    @property
    def environment(self) -> dict[str, str]:
        """What makes the SDK use it."""
        return environment(self.server.options, self.port)


@contextlib.asynccontextmanager
async def serve_tos(options: TosOptions) -> AsyncIterator[RunningTos]:
    """Serve in this event loop; on leaving, all connections are dropped.

    Raises:
        ConfigError: The port is taken, or a folder cannot be used.
    """
    with _folder(options.root) as root:
        clock = time.time if not options.clock_offset else lambda: time.time() + options.clock_offset
        server = TosServer(options, Store(Blobs(root / _BLOBS), clock=clock))
        if options.load is not None:
            load(server.store, options.buckets[0], options.load)
        web_server = web.Server(
            server.handle,
            access_log=None,
            auto_decompress=False,
            read_bufsize=_BUFFER,
            keepalive_timeout=_KEPT_ALIVE,
            handler_cancellation=True,
        )
        listener = Listener(web_server, port=options.port, tls=None)
        listener.up()
        server.go_down = partial(_go_down, listener, web_server)
        try:
            yield RunningTos(server, listener.port)
        finally:
            await listener.close()
            _abort(web_server)
            await web_server.shutdown(_LEAVING)


def _go_down(listener: Listener, web_server: web.Server, seconds: float) -> None:
    listener.down(seconds)
    _abort(web_server)


def _abort(web_server: web.Server) -> None:
    """Drop connections at once: closing one politely waits for a client that does not read."""
    for connection in web_server.connections:
        if connection.transport is not None:
            connection.transport.abort()


@contextlib.contextmanager
def _folder(root: str | None) -> Iterator[Path]:
    path = Path(root or tempfile.mkdtemp(prefix="modelcall-tos-"))
    try:
        (path / _BLOBS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"The local TOS cannot use the folder {path}: {error.strerror}.") from error
    try:
        yield path
    finally:
        shutil.rmtree(path / _BLOBS if root else path, ignore_errors=True)


def run_tos(
    options: TosOptions,
    announce: Callable[[RunningTos], None],
    *,
    lifetime: float | None = None,
    until: Callable[[], Awaitable[None]] | None = None,
) -> dict[str, Any]:
    """Serve on a fast event loop until SIGINT or SIGTERM, and return the sums of what was asked.

    ``announce`` is called once, when the server listens. ``lifetime`` ends it after so many seconds at the latest,
    ``until`` when it returns.

    Raises:
        ConfigError: As :func:`serve_tos`.
    """
    return run_fast(_run(options, announce, lifetime=lifetime, until=until))


async def _run(
    options: TosOptions,
    announce: Callable[[RunningTos], None],
    *,
    lifetime: float | None,
    until: Callable[[], Awaitable[None]] | None,
) -> dict[str, Any]:
    async with serve_tos(options) as running:
        announce(running)
        await told_to_end(lifetime=lifetime, until=until)
        return running.server.log.report()
