"""Servers as processes of their own: on loopback, for a bounded time, ended by process id."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HOST: Final = "127.0.0.1"
LIFETIME: Final = 1500
"""Seconds after which a server is ended, whatever became of whoever started it."""
MODELCALL: Final = Path(sys.executable).with_name("modelcall")
_PATIENCE: Final = 120.0
"""Seconds a server may take to answer for the first time."""


class NotServingError(Exception):
    """A server ended, or did not answer in time."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers."""

    port: int
    log: Path

    @property
    def base_url(self) -> str:
        """What a client's ``base_url`` is."""
        return f"http://{HOST}:{self.port}/v1"

    def get(self, path: str) -> Any:  # noqa: ANN401  any JSON value
        """Return the JSON at a path."""
        return json.loads(_call(self.port, "GET", path)[1])

    def reset_referee(self) -> None:
        """Let an embedded server forget what it has counted."""
        _call(self.port, "POST", "/__referee__/reset")


@contextlib.contextmanager
def serving(command: Sequence[object], *, port: int, log: Path, alive: str) -> Iterator[Server]:
    """Run a server, from its first answer until the block ends.

    Args:
        command: What to run.
        port: Where it will listen.
        log: File for everything it prints.
        alive: Path that answers 200 once it serves.

    Raises:
        NotServingError: It never does.
    """
    bounded = ["timeout", "--kill-after=5", str(LIFETIME), *map(str, command)]  # passes a SIGTERM on to what it runs
    with log.open("wb") as out, subprocess.Popen(bounded, stdout=out, stderr=subprocess.STDOUT) as process:
        try:
            _await(process, port, alive, log)
            yield Server(port, log)
        finally:
            process.terminate()


def _await(process: subprocess.Popen[bytes], port: int, alive: str, log: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError):
            if _call(port, "GET", alive)[0] == http.client.OK:
                return
        time.sleep(0.2)
    raise NotServingError(f"no answer from {HOST}:{port}{alive}; see {log}")


@contextlib.contextmanager
def embedded(folder: Path, name: str, *options: str) -> Iterator[Server]:
    """Run ModelCall's own server, an upstream like any other."""
    port = free_port()
    command = [MODELCALL, "serve-mock", "--port", str(port), *options]
    with serving(command, port=port, log=folder / f"{name}.log", alive="/__referee__") as server:
        yield server


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _call(port: int, method: str, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    with contextlib.closing(connection):
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read()
