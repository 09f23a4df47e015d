from __future__ import annotations

import io

import pytest
from rich.console import Console

from modelcall.cli.live import live_view, view, wants_live_view
from modelcall.observe import Snapshot

NOW = Snapshot(
    files_total=50,
    files_done=3,
    files_failed=1,
    rows_recorded=100,
    rows_scored=890,
    rows_failed=10,
    rows_total=5000,
    rate=40.0,
    in_flight=7,
    limit=8,
    ceiling=64,
    retries={"rate_limit": 2, "not_json": 1},
    prompt_tokens=1200,
    completion_tokens=30,
)


def drawn(now: Snapshot, *, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(view(now, width=width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_view_tells_everything_that_matters() -> None:
    text = drawn(NOW, width=120)
    assert "3/50 files, 1 failed" in text
    assert "1,000/5,000 rows, 40.0/s, 10 failed, 0:01:40 left" in text
    assert "7/8 in flight · ceiling 64 · tokens 1,200 in, 30 out · retries not_json 1, rate_limit 2" in text


@pytest.mark.parametrize("width", [200, 100, 60, 40, 20])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    lines = drawn(NOW, width=width).splitlines()
    assert len(lines) == 3
    assert all(len(line.rstrip()) <= width - len("^C") - 1 for line in lines), "the echo of Ctrl-C would wrap"


def test_what_is_unknown_is_left_out() -> None:
    text = drawn(Snapshot(files_total=1, rows_scored=5, rate=1.0), width=100)
    assert "5 rows" in text
    assert "left" not in text
    assert "retries" not in text


@pytest.mark.parametrize(
    ("terminal", "kind", "wanted"), [(True, "xterm", True), (True, "dumb", False), (False, "xterm", False)]
)
def test_only_a_capable_terminal_gets_it(terminal: bool, kind: str, wanted: bool) -> None:
    console = Console(file=io.StringIO(), force_terminal=terminal, _environ={"TERM": kind})
    assert wants_live_view(console) is wanted


async def test_it_draws_and_goes_away() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, _environ={"TERM": "xterm"})
    seen = 0

    def snapshot() -> Snapshot:
        nonlocal seen
        seen += 1
        return NOW

    async with live_view(snapshot, console):
        while not seen:
            await asyncio_turn()
    assert "3/50" in out.getvalue()
    assert out.getvalue().rstrip().endswith("\x1b[2K"), "the view is erased"


async def asyncio_turn() -> None:
    import asyncio  # noqa: PLC0415  only here

    await asyncio.sleep(0)
