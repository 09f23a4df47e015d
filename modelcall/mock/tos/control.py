"""Unsigned requests that tests steer with; they are not logged, and no fault strikes them.

::

    GET  /__tos__           sums of the log, and the number of objects and open uploads
    GET  /__tos__/log       the latest requests
    GET  /__tos__/uploads   open multipart uploads
    GET  /__tos__/objects   names and facts of all objects
    GET  /__tos__/faults    the rules; POST: new ones, as on the command line
    POST /__tos__/reset     forget the log
    POST /__tos__/outage    {"seconds": N}: drop all connections and refuse new ones for so long
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import orjson

from modelcall.errors import ConfigError
from modelcall.mock.tos.faults import parse_faults
from modelcall.mock.tos.replies import Answer, json_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp import web

    from modelcall.mock.tos.call import Call
    from modelcall.mock.tos.server import TosServer

ROOT: Final = "/__tos__"
_ANSWERING: Final = 0.02
"""Seconds for the answer to leave before the connections go."""


async def control(server: TosServer, request: web.BaseRequest, call: Call) -> Answer:
    """Answer a request for :data:`ROOT` or something below it."""
    path = call.path.removeprefix(ROOT)
    body = await request.read()
    if call.method == "GET" and path in _GET:
        return json_answer(_GET[path](server))
    if (call.method, path) == ("POST", "/reset"):
        server.log.reset()
        return json_answer({})
    if (call.method, path) == ("POST", "/faults"):
        return _set_faults(server, body)
    if (call.method, path) == ("POST", "/outage"):
        return _go_down(server, body)
    return _failed(404, f"Nothing is at {call.method} {call.path}.")


def _set_faults(server: TosServer, body: bytes) -> Answer:
    try:
        server.set_faults(parse_faults(orjson.loads(body)))
    except (ConfigError, orjson.JSONDecodeError) as error:
        return _failed(400, str(error))
    return json_answer(_faults(server))


def _go_down(server: TosServer, body: bytes) -> Answer:
    try:
        seconds = orjson.loads(body)["seconds"]
    except (orjson.JSONDecodeError, TypeError, KeyError):
        seconds = None
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or seconds < 0:
        return _failed(400, 'An outage is {"seconds": a number from 0}.')
    asyncio.get_running_loop().call_later(_ANSWERING, server.go_down, seconds)
    return json_answer({"seconds": seconds})


def _report(server: TosServer) -> dict[str, Any]:
    return {**server.log.report(), "objects": len(_objects(server)), "uploads": len(_uploads(server))}


def _log(server: TosServer) -> list[dict[str, Any]]:
    return [asdict(entry) for entry in server.log.entries()]


def _faults(server: TosServer) -> list[dict[str, Any]]:
    return [asdict(rule) for rule in server.plan.rules]


def _uploads(server: TosServer) -> list[dict[str, Any]]:
    with server.store.lock:
        return [
            {"bucket": bucket.name, "key": upload.key, "upload_id": upload.upload_id, "parts": sorted(upload.parts)}
            for bucket in server.store.buckets.values()
            for upload in bucket.uploads.values()
        ]


def _objects(server: TosServer) -> list[dict[str, Any]]:
    with server.store.lock:
        return [
            {"bucket": bucket.name, "key": key, "size": version.size, "etag": version.etag, "crc64": str(version.crc64)}
            for bucket in server.store.buckets.values()
            for key, version in ((key, bucket.versions[key]) for key in bucket.keys)
        ]


_GET: Final[Mapping[str, Callable[[TosServer], Any]]] = {
    "": _report,
    "/log": _log,
    "/faults": _faults,
    "/uploads": _uploads,
    "/objects": _objects,
}


def _failed(status: int, message: str) -> Answer:
    return Answer(status, {"content-type": "application/json"}, orjson.dumps({"error": message}))
