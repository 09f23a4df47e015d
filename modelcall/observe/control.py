"""Control of a run that goes on: a private local socket, one line of JSON in, one line out.

The socket stands in a temporary folder of its own, which only the owner may enter, and is 0600 itself; and whoever
connects must be the user that the run belongs to, or root, as the kernel says. It does not stand beside the logs: file
systems may take no sockets, their paths may be too long for one, and what copies folders stumbles over them.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
import struct
import tempfile
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import orjson

from modelcall.errors import ModelCallError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

_LONGEST_FOLDER: Final = 64
"""Bytes of a folder in which a socket's path is never too long: Linux has room for 107, others for 103."""
_LONGEST_LINE: Final = 64 * 1024
_PATIENCE: Final = 10.0
"""Seconds for a question to come, and for the answer to be there."""
_CREDENTIALS: Final = struct.Struct("3i")
_TEMPORARY: Final = "modelcall-"


class ControlError(ModelCallError):
    """A run cannot be reached, or refuses what it was asked for."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who asks."""

    pid: int
    uid: int

    def __str__(self) -> str:
        """``alice (pid 4711)``."""
        try:
            name = pwd.getpwuid(self.uid).pw_name
        except KeyError:
            name = f"uid {self.uid}"
        return f"{name} (pid {self.pid})"


class Controlled(Protocol):
    """A run, as the socket sees it."""

    def status(self) -> Mapping[str, Any]:
        """Tell how it is."""

    def command(self, name: str, arguments: Mapping[str, Any], *, by: str) -> str:
        """Do something; return what was done.

        Raises:
            ControlError: It cannot be done.
        """


@asynccontextmanager
async def control_socket(run: Controlled) -> AsyncIterator[Path]:
    """Answer while this block runs; yield the socket's path.

    Raises:
        OSError: No socket can be made.
    """
    path = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=_short_folder())) / "control.sock"
    try:
        listening = _listen(path)
        server = await asyncio.start_unix_server(
            lambda reader, writer: _serve(run, reader, writer), sock=listening, limit=_LONGEST_LINE
        )
        try:
            yield path
        finally:
            server.close()  # a connection that says nothing is not waited for
    finally:
        remove_socket(path)


def remove_socket(path: Path) -> None:
    """Remove a socket that nobody answers at, with the folder that was made for it; any other path is left alone."""
    if path.parent.name.startswith(_TEMPORARY):
        with suppress(OSError):
            path.unlink(missing_ok=True)
            path.parent.rmdir()


def _short_folder() -> str | None:
    """Return where a socket's path is not too long: the folder for temporary files, if that is not deep itself."""
    return None if len(os.fsencode(tempfile.gettempdir())) < _LONGEST_FOLDER else "/tmp"  # noqa: S108  a folder in it


def _listen(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX)
    try:
        listening.bind(os.fspath(path))
        path.chmod(0o600)  # nobody else can enter its folder meanwhile
        listening.setblocking(False)  # noqa: FBT003  the socket's own signature
    except OSError:
        listening.close()
        raise
    return listening


async def _serve(run: Controlled, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, asyncio.TimeoutError):
        try:
            async with asyncio.timeout(_PATIENCE):
                writer.write(orjson.dumps(await _answer(run, reader, writer), option=orjson.OPT_APPEND_NEWLINE))
                await writer.drain()
        finally:
            writer.close()


async def _answer(run: Controlled, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> dict[str, Any]:
    peer = peer_of(writer.get_extra_info("socket"))
    try:
        line = await reader.readline()  # by whoever: an answer to what was not read would be lost
        if peer.uid not in {os.getuid(), 0}:
            return {"error": f"this run belongs to uid {os.getuid()}"}
        asked = orjson.loads(line)
        name, arguments = asked["command"], asked.get("arguments", {})
        if not isinstance(name, str) or not isinstance(arguments, dict):
            raise TypeError  # noqa: TRY301  said below, with all that is no question
        if name == "status":
            return {"status": run.status()}
        return {"done": run.command(name, arguments, by=str(peer))}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {"error": "this is no question: one line of JSON, with a command"}
    except ControlError as error:
        return {"error": error.message}


def peer_of(connection: socket.socket) -> Peer:
    """Return who is at the other end, as the kernel knows."""
    size = _CREDENTIALS.size
    pid, uid, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return Peer(pid, uid)


def ask(path: Path, command: str, arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Ask a run, and return its answer. Blocking.

    Raises:
        ControlError: It does not answer, or refuses.
    """
    line = orjson.dumps({"command": command, "arguments": arguments or {}}, option=orjson.OPT_APPEND_NEWLINE)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_PATIENCE)
            connection.connect(os.fspath(path))
            connection.sendall(line)
            with connection.makefile("rb") as answers:
                answer: dict[str, Any] = orjson.loads(answers.readline())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no answer in time"
        raise ControlError(f"{path}: the run does not answer: {reason}") from error
    if "error" in answer:
        raise ControlError(str(answer["error"]))
    return answer
