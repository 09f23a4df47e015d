"""The listening socket: accepts, goes down and comes back on the same port."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import TYPE_CHECKING, Literal

from modelcall.errors import ConfigError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

HOST = "127.0.0.1"
_BACKLOG = 4096
_HANDSHAKE = 0.5
"""Real seconds that a TLS handshake may still take when the server ends."""
_ACCEPTING = 10.0
"""Real seconds for plain connections, which wait for no client, to be accepted: what a drowning machine needs."""
_FULL = 2
"""Connections that fill a backlog of 0 on Linux, one more than it says."""


class Listener:
    """Accepts by itself instead of through ``create_server``, to control when and whether it does."""

    def __init__(self, factory: Callable[[], asyncio.Protocol], *, port: int, tls: ssl.SSLContext | None) -> None:
        self._factory = factory
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._socket = _bound(port)
        self._accepting = False
        self._pending: set[asyncio.Task[object]] = set()
        self._fillers: list[socket.socket] = []
        self._comeback: asyncio.TimerHandle | None = None
        self.port: int = self._socket.getsockname()[1]

    def up(self) -> None:
        """Accept connections; without effect if it does."""
        if self._comeback is not None:
            self._comeback.cancel()
            self._comeback = None
        for filler in self._fillers:
            filler.close()
        self._fillers.clear()
        if not self._accepting:
            _share(self._socket, allowed=True)  # connections inherit it, and the next bind after them needs it
            self._socket.listen(_BACKLOG)
            self._loop.add_reader(self._socket, self._accept)
            self._accepting = True

    def down(self, seconds: float, how: Literal["refuse", "ignore"] = "refuse") -> None:
        """Refuse connections, or let them wait in a full backlog; then come back."""
        self._stop_accepting()
        if self._comeback is not None:
            self._comeback.cancel()
        if how == "refuse":
            self._socket.close()
            self._socket = _bound(self.port)  # bound but not listening: connecting fails
        else:
            self._fill()
        self._comeback = self._loop.call_later(seconds, self.up)

    async def close(self) -> None:
        """Let the port go. Connections being accepted are finished first: cancelled, uvloop never reports them lost."""
        self._stop_accepting()
        if self._comeback is not None:
            self._comeback.cancel()
        for filler in self._fillers:
            filler.close()
        self._socket.close()
        if self._pending:
            patience = _HANDSHAKE if self._tls is not None else _ACCEPTING
            _, shaking_hands = await asyncio.wait(self._pending, timeout=patience)
            for task in shaking_hands:
                task.cancel()

    def _stop_accepting(self) -> None:
        if self._accepting:
            self._loop.remove_reader(self._socket)
            self._accepting = False

    def _fill(self) -> None:
        self._socket.listen(0)
        for _ in range(_FULL):
            filler = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            filler.setblocking(False)  # noqa: FBT003  the socket module's signature
            filler.connect_ex((HOST, self.port))
            self._fillers.append(filler)

    def _accept(self) -> None:
        for _ in range(_BACKLOG):
            try:
                connection, _address = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in {errno.EMFILE, errno.ENFILE}:
                    raise
                return  # the client waits in the backlog until a descriptor is free
            connection.setblocking(False)  # noqa: FBT003  the socket module's signature
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._greet(connection)

    def _greet(self, connection: socket.socket) -> None:
        task = self._loop.create_task(self._connect(connection))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def _connect(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._factory, connection, ssl=self._tls)
        except OSError:  # the client gave up during the handshake, or refused our certificate
            connection.close()


def _bound(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    _share(sock, allowed=True)
    sock.setblocking(False)  # noqa: FBT003  the socket module's signature
    try:
        sock.bind((HOST, port))
    except OSError as error:
        sock.close()
        raise ConfigError(
            f"The embedded server cannot use port {port}: {error.strerror}.",
            hint="Choose another port, or 0 for any free one.",
        ) from error
    _share(sock, allowed=False)  # until it listens, nobody else may bind the port
    return sock


def _share(sock: socket.socket, *, allowed: bool) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(allowed))
