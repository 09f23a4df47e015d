"""A server in a child process: the side of the child. Options come in on a pipe, the port goes out on one."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

from modelcall.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Announce: TypeAlias = Callable[[dict[str, Any]], None]
    Until: TypeAlias = Callable[[], Awaitable[None]]

_GLANCE = 0.5


def serve_parent(run: Callable[[Any, Announce, Until], None]) -> int:
    """Run a server until the parent is gone; return the exit code.

    ``run`` gets the options as plain values, what to call with a greeting once it listens, and what to wait for.
    """
    parent = os.getppid()
    options = orjson.loads(sys.stdin.buffer.readline())
    try:
        run(options, _say, lambda: _orphaned(parent))
    except ConfigError as error:
        _say({"error": error.message, "hint": error.hint})
        return 2
    return 0


def _say(value: dict[str, Any]) -> None:
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
