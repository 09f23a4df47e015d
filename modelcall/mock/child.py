"""A server in a child process, which ends with its parent, however that ends: the side of the parent."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import orjson

from modelcall.errors import ConfigError, FatalError

if TYPE_CHECKING:
    import http.client

_GRACE = 5.0


class Child:
    """Runs a module that speaks as :mod:`modelcall.mock.parent` does.

    It reads its options from a pipe and ends with the pipe: on :meth:`stop`, and when this process dies. It has its own
    session: Ctrl-C reaches this process alone, which may want answers while it stops.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process; 0 if there is none."""
        return 0 if self._process is None else self._process.pid

    def start(self, options: object) -> dict[str, Any]:
        """Start it, wait until it listens, and return what it says about itself.

        Raises:
            ConfigError: The options are not possible here: the port is taken, no ``openssl`` for https.
            FatalError: The child died.
        """
        command = [sys.executable, "-m", self._module]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True)  # noqa: S603  ours
        try:
            return _greeting(self._process, options)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it; without effect if it has ended."""
        child, self._process = self._process, None
        if child is None or child.stdin is None or child.stdout is None:
            return
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()
        try:
            child.wait(_GRACE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        child.stdout.close()


def ask(connection: http.client.HTTPConnection, method: str, path: str, value: object) -> tuple[int, Any]:
    """Send one request with a JSON body, or with none for None; return the status and what the JSON answer holds."""
    try:
        connection.request(method, path, None if value is None else orjson.dumps(value))
        response = connection.getresponse()
        return response.status, orjson.loads(response.read())
    finally:
        connection.close()


def _greeting(child: subprocess.Popen[bytes], options: object) -> dict[str, Any]:
    if child.stdin is None or child.stdout is None:  # Popen made both
        raise RuntimeError("the child has no pipes")
    with contextlib.suppress(BrokenPipeError):
        child.stdin.write(orjson.dumps(options) + b"\n")
        child.stdin.flush()
    line = child.stdout.readline()
    if not line:
        raise FatalError(f"The embedded server did not start (exit code {child.wait(_GRACE)}).")
    hello: dict[str, Any] = orjson.loads(line)
    if "error" in hello:
        raise ConfigError(hello["error"], hint=hello["hint"])
    return hello
