"""Calls side by side."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from modelcall.fs.base import Capabilities
from modelcall.fs.local import LocalFileSystem
from modelcall.fs.side_by_side import side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterator


class Far(LocalFileSystem):
    capabilities = Capabilities(calls_at_once=4)


@pytest.mark.parametrize("fs", [LocalFileSystem(), Far()])
def test_results_come_in_order(fs: LocalFileSystem) -> None:
    assert list(side_by_side(fs, lambda number: number * 2, range(100))) == list(range(0, 200, 2))
    assert list(side_by_side(fs, str, [])) == []


@pytest.mark.parametrize("fs", [LocalFileSystem(), Far()])
def test_the_first_error_in_order_is_raised(fs: LocalFileSystem) -> None:
    def call(number: int) -> int:
        if number in {5, 6}:
            raise OSError(number, "refused")
        return number

    results = side_by_side(fs, call, range(100))
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(OSError, match="refused") as caught:
        next(results)
    assert caught.value.errno == 5


def test_a_far_store_is_asked_side_by_side() -> None:
    together = threading.Barrier(4, timeout=30)
    assert list(side_by_side(Far(), lambda number: together.wait() * 0 + number, range(8))) == list(range(8))


def test_a_near_store_is_asked_by_the_caller_as_results_are_taken() -> None:
    asked: list[tuple[int, str]] = []

    def items() -> Iterator[int]:
        yield from range(3)

    results = side_by_side(
        LocalFileSystem(), lambda number: asked.append((number, threading.current_thread().name)), items()
    )
    next(results)
    assert asked == [(0, threading.current_thread().name)]
