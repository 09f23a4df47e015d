"""Fast event loops: uvloop where there is one."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, TypeVar

if sys.platform != "win32":
    import uvloop

if TYPE_CHECKING:
    from collections.abc import Coroutine

_T = TypeVar("_T")


def fast_runner() -> asyncio.Runner:
    """Return what runs coroutines on a fast event loop of its own, in any thread."""
    return asyncio.Runner(loop_factory=uvloop.new_event_loop if sys.platform != "win32" else None)


def run_fast(main: Coroutine[Any, Any, _T]) -> _T:
    """Run one of them."""
    with fast_runner() as runner:
        return runner.run(main)
