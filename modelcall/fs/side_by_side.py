"""Many calls of a store, of one kind: one after the other where it is near, side by side where it is far."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    from modelcall.fs.base import FileSystem

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def side_by_side(fs: FileSystem, call: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """Yield what ``call`` returns for each item, in order; its first error, in order, is raised.

    Calls that come after a failed one may have been made.
    """
    at_once = fs.capabilities.calls_at_once
    if at_once == 1:
        yield from map(call, items)
        return
    with ThreadPoolExecutor(at_once, "modelcall-calls") as pool:
        coming: deque[Future[_Result]] = deque()
        try:
            for item in items:
                coming.append(pool.submit(call, item))
                if len(coming) == 2 * at_once:  # more to do than threads, though the first be slow
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()
        finally:
            for call_left in coming:
                call_left.cancel()
