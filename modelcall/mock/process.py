"""The server in a child process, which ends with its parent, however that ends."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Self

import orjson

from modelcall.errors import ConfigError, FatalError
from modelcall.mock.admin import ROOT
from modelcall.mock.listening import HOST
from modelcall.mock.options import MockOptions
from modelcall.mock.referee import RefereeReport

if TYPE_CHECKING:
    from types import TracebackType

_GRACE = 5.0


class EmbeddedServer:
    """A server of one's own: ``with EmbeddedServer(options) as server: … server.base_url``.

    The child reads its options from a pipe and ends with the pipe: on leaving the block, and when this process dies.
    It has its own session: Ctrl-C reaches this process alone, which may want answers while it stops.
    """

    def __init__(self, options: MockOptions | None = None) -> None:
        self._options = options or MockOptions()
        self._child: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.base_url = ""

    def __enter__(self) -> Self:
        """Start the child and wait until it listens.

        Raises:
            ConfigError: The options are not possible here: the port is taken, no ``openssl`` for https.
            FatalError: The child died.
        """
        command = [sys.executable, "-m", "modelcall.mock"]
        pipe = subprocess.PIPE
        self._child = subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True)  # noqa: S603  ours
        try:
            self._greet(self._child)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the child."""
        self._stop()

    @property
    def pid(self) -> int:
        """Of the child."""
        return 0 if self._child is None else self._child.pid

    def referee(self) -> RefereeReport:
        """Return the sums as they are now."""
        return RefereeReport.from_json(self.control("GET", ""))

    def rows(self) -> dict[str, Any]:
        """Return what each row was asked, by stem: fields of :class:`~modelcall.mock.referee.RowRecord`."""
        rows: dict[str, Any] = self.control("GET", "/rows")
        return rows

    def set_faults(self, faults: list[str] | dict[str, Any]) -> None:
        """Play these faults from now on, written as on the command line.

        Raises:
            ConfigError: They are not understood.
        """
        self.control("POST", "/faults", faults)

    def reset(self) -> None:
        """Let the referee forget what it counted."""
        self.control("POST", "/reset")

    def control(self, method: str, path: str, value: object = None) -> Any:  # noqa: ANN401  any JSON value
        """Call an endpoint of :mod:`modelcall.mock.admin`."""
        connection = self._connect()
        try:
            connection.request(method, f"{ROOT}{path}", None if value is None else orjson.dumps(value))
            response = connection.getresponse()
            body = orjson.loads(response.read())
        finally:
            connection.close()
        if response.status != http.HTTPStatus.OK:
            raise ConfigError(body["error"]["message"])
        return body

    def _connect(self) -> http.client.HTTPConnection:
        if self._options.tls is None:
            return http.client.HTTPConnection(HOST, self.port, timeout=10)
        unverified = ssl.create_default_context()  # the certificate is wrong on purpose
        unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection(HOST, self.port, timeout=10, context=unverified)

    def _greet(self, child: subprocess.Popen[bytes]) -> None:
        if child.stdin is None or child.stdout is None:  # Popen made both
            raise RuntimeError("the child has no pipes")
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(orjson.dumps(self._options.to_json()) + b"\n")
            child.stdin.flush()
        line = child.stdout.readline()
        if not line:
            raise FatalError(f"The embedded server did not start (exit code {child.wait(_GRACE)}).")
        hello = orjson.loads(line)
        if "error" in hello:
            raise ConfigError(hello["error"], hint=hello["hint"])
        self.port, self.base_url = hello["port"], hello["base_url"]

    def _stop(self) -> None:
        child, self._child = self._child, None
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
