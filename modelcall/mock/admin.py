"""The referee's endpoints, under ``/__referee__``: never struck by faults, never counted.

====  =============================  ========================================================================
GET   ``/__referee__``               the sums (:class:`~modelcall.mock.referee.RefereeReport`)
GET   ``/__referee__/rows``          what each row was asked, by stem of its ``x-request-id``
GET   ``/__referee__/log``           the latest requests
GET   ``/__referee__/faults``        the rules in force
POST  ``/__referee__/faults``        other rules: a list of ``NAME=RATE`` or of mappings, or ``{NAME: RATE}``
POST  ``/__referee__/outage``        ``{"seconds": 2, "how": "refuse"}`` (or ``"ignore"``); times the time scale
POST  ``/__referee__/capacity``      requests in flight above which it answers 429, from now on: a number, or null
POST  ``/__referee__/reset``         forget what was counted
====  =============================  ========================================================================
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import orjson

from modelcall.errors import ConfigError
from modelcall.mock.faults.rules import parse_faults
from modelcall.mock.visit import Reaction
from modelcall.mock.wire import GoDown, Script, Send, error_body, json_reply

if TYPE_CHECKING:
    from modelcall.mock.server import MockServer

ROOT = "/__referee__"


class AdminVisit:
    """A request to the referee."""

    def __init__(self, server: MockServer, method: str, path: str) -> None:
        self._server = server
        self._method = "GET" if method == "HEAD" else method
        self._path = path.removeprefix(ROOT).rstrip("/")

    def early(self) -> None:
        """Let the body come."""

    def answer(self, body: bytes) -> Reaction:
        """Answer, and say what is wrong with a body that is not understood."""
        try:
            return Reaction(self._script(body))
        except ConfigError as error:
            return _reaction(400, error_body(str(error), kind="invalid_request_error"))
        except orjson.JSONDecodeError as error:
            return _reaction(400, error_body(f"The body is not JSON: {error}.", kind="invalid_request_error"))

    def end(self, *, complete: bool) -> None:
        """Nothing to count."""

    def _script(self, body: bytes) -> Script:
        if self._method == "POST":
            return self._post(body)
        if self._method != "GET":
            return (Send(json_reply(405, error_body("Use GET or POST.", kind="invalid_request_error"))),)
        return self._get()

    def _get(self) -> Script:
        referee = self._server.referee
        if self._path == "":
            return _json(referee.report().to_json())
        if self._path == "/rows":
            return _json({stem: asdict(row) for stem, row in referee.rows.items()})
        if self._path == "/log":
            return _json([asdict(record) for record in referee.log])
        if self._path == "/faults":
            return _json([asdict(rule) for rule in self._server.plan.rules])
        return _unknown(self._path)

    def _post(self, body: bytes) -> Script:
        if self._path == "/reset":
            self._server.referee.reset()
            return _json({})
        if self._path == "/faults":
            self._server.set_faults(parse_faults(_rules(orjson.loads(body))))
            return _json([asdict(rule) for rule in self._server.plan.rules])
        if self._path == "/capacity":
            capacity = orjson.loads(body)
            self._server.options = replace(self._server.options, capacity=capacity)
            return _json(capacity)
        if self._path == "/outage":
            outage = _outage(orjson.loads(body))
            return (Send(json_reply(200, {"seconds": outage.seconds, "how": outage.how})), outage)
        return _unknown(self._path)


def _rules(value: Any) -> Any:  # noqa: ANN401  any JSON value
    if isinstance(value, dict) or (isinstance(value, list) and all(isinstance(rule, str | dict) for rule in value)):
        return value
    raise ConfigError("Faults must be a mapping of names and rates, or a list of rules.")


def _outage(value: Any) -> GoDown:  # noqa: ANN401  any JSON value
    asked = {"how": "refuse", **value} if isinstance(value, dict) else {}
    seconds, how = asked.get("seconds"), asked.get("how")
    if (
        not isinstance(seconds, int | float)
        or isinstance(seconds, bool)
        or seconds < 0
        or how not in {"refuse", "ignore"}
    ):
        raise ConfigError('An outage is {"seconds": a number from 0, "how": "refuse" or "ignore"}.')
    return GoDown(seconds, how)


def _json(value: Any) -> Script:  # noqa: ANN401  any JSON value
    return (Send(json_reply(200, value)),)


def _unknown(path: str) -> Script:
    return (Send(json_reply(404, error_body(f"Nothing is at {ROOT}{path}.", kind="invalid_request_error"))),)


def _reaction(status: int, value: Any) -> Reaction:  # noqa: ANN401  any JSON value
    return Reaction((Send(json_reply(status, value)),))
