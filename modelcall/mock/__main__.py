"""The child of :class:`modelcall.mock.process.EmbeddedServer`: options come in on a pipe, the port goes out on one."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

import orjson

from modelcall.errors import ConfigError
from modelcall.mock.options import MockOptions
from modelcall.mock.serving import run_forever

if TYPE_CHECKING:
    from modelcall.mock.serving import RunningServer

_GLANCE = 0.5


def main() -> int:
    """Serve until the parent is gone."""
    parent = os.getppid()
    options = MockOptions.from_json(orjson.loads(sys.stdin.buffer.readline()))
    try:
        run_forever(options, _announce, until=lambda: _orphaned(parent))
    except ConfigError as error:
        _say({"error": error.message, "hint": error.hint})
        return 2
    return 0


def _announce(running: RunningServer) -> None:
    _say({"port": running.port, "base_url": running.base_url})


def _say(value: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(value) + b"\n")
    sys.stdout.buffer.flush()


async def _orphaned(parent: int) -> None:
    """Return when the pipe ends, or the parent is another: forked siblings may hold the pipe open after its death."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    while os.getppid() == parent and not ended.is_set():
        try:
            await asyncio.wait_for(ended.wait(), _GLANCE)
        except TimeoutError:
            continue


if __name__ == "__main__":
    raise SystemExit(main())
