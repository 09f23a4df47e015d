"""The server in a child process, which ends with its parent, however that ends."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, Any, Self

from modelcall.errors import ConfigError
from modelcall.mock.child import Child, ask
from modelcall.mock.listening import HOST
from modelcall.mock.tos.control import ROOT
from modelcall.mock.tos.reach import Reachable

if TYPE_CHECKING:
    from types import TracebackType

    from modelcall.mock.tos.faults import Written
    from modelcall.mock.tos.options import TosOptions


class TosProcess(Reachable):
    """A TOS with a core of its own: ``with TosProcess() as tos: client = TosClientV2(**tos.sdk_settings)``.

    It is asked and steered by the requests of :mod:`modelcall.mock.tos.control`.
    """

    def __init__(self, options: TosOptions | None = None) -> None:
        super().__init__(options)
        self._child = Child("modelcall.mock.tos")

    def __enter__(self) -> Self:
        """Start the child and wait until it listens.

        Raises:
            ConfigError: The options are not possible here.
            FatalError: The child died.
        """
        self.port = self._child.start(self.options.to_json())["port"]
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

    def report(self) -> dict[str, Any]:
        """Return the sums of what was asked."""
        report: dict[str, Any] = self.control("GET", "")
        return report

    def set_faults(self, *faults: Written) -> None:
        """Play these from now on, written as on the command line; none: no more.

        Raises:
            ConfigError: They are not understood.
        """
        self.control("POST", "/faults", list(faults))

    def control(self, method: str, path: str, value: object = None) -> Any:  # noqa: ANN401  any JSON value
        """Send a request of :mod:`modelcall.mock.tos.control`."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=10)
        status, body = ask(connection, method, f"{ROOT}{path}", value)
        if status != http.HTTPStatus.OK:
            raise ConfigError(body["error"])
        return body
