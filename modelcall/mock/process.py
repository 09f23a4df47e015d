"""The server in a child process, which ends with its parent, however that ends."""

from __future__ import annotations

import http.client
import ssl
from typing import TYPE_CHECKING, Any, Self

from modelcall.errors import ConfigError
from modelcall.mock.admin import ROOT
from modelcall.mock.child import Child, ask
from modelcall.mock.listening import HOST
from modelcall.mock.options import MockOptions
from modelcall.mock.referee import RefereeReport

if TYPE_CHECKING:
    from types import TracebackType


class EmbeddedServer:
    """A server of one's own: ``with EmbeddedServer(options) as server: … server.base_url``.

    It ends on leaving the block, and when this process dies.
    """

    def __init__(self, options: MockOptions | None = None) -> None:
        self._options = options or MockOptions()
        self._child = Child("modelcall.mock")
        self.port = 0
        self.base_url = ""

    def __enter__(self) -> Self:
        """Start the child and wait until it listens.

        Raises:
            ConfigError: The options are not possible here: the port is taken, no ``openssl`` for https.
            FatalError: The child died.
        """
        hello = self._child.start(self._options.to_json())
        self.port, self.base_url = hello["port"], hello["base_url"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the child."""
        self._child.stop()

    @property
    def pid(self) -> int:
        """Of the child."""
        return self._child.pid

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
        status, body = ask(self._connect(), method, f"{ROOT}{path}", value)
        if status != http.HTTPStatus.OK:
            raise ConfigError(body["error"]["message"])
        return body

    def _connect(self) -> http.client.HTTPConnection:
        if self._options.tls is None:
            return http.client.HTTPConnection(HOST, self.port, timeout=10)
        unverified = ssl.create_default_context()  # the certificate is wrong on purpose
        unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection(HOST, self.port, timeout=10, context=unverified)
