"""Threads of a store, for parts and ranges."""

from __future__ import annotations

import os
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from typing import ParamSpec, TypeVar

    T = TypeVar("T")
    P = ParamSpec("P")


class Threads(Executor):
    """A pool of threads that a forked child can use as well: threads do not survive a fork, so it gets its own.

    What was begun before the fork belongs to the parent: its open files and sinks are of no use in the child.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._process = os.getpid()
        self._pool = self._new()

    def submit(self, work: Callable[P, T], /, *arguments: P.args, **options: P.kwargs) -> Future[T]:
        """Do work in a thread of this process."""
        if self._process != os.getpid():
            self._pool = self._new()
            self._process = os.getpid()
        return self._pool.submit(work, *arguments, **options)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002  Executor's
        """End the threads, if they are of this process."""
        if self._process == os.getpid():
            self._pool.shutdown(wait, cancel_futures=cancel_futures)

    def _new(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._count, self._name)
