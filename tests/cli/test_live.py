from __future__ import annotations

import io

import pytest
from rich.console import Console

from modelcall.cli.live import live_view, view, wants_live_view
from modelcall.observe import Cost, Phase, RunState, SlowRow, Snapshot

COUNTS = Snapshot(
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
    failures={"cut": 7, "refused": 3},
    prompt_tokens=1200,
    completion_tokens=30,
)
NOW = RunState(
    "rivers",
    COUNTS,
    note="a:8000 asks to wait 3.0 s (http 429)",
    cost=Cost(1.5, "USD"),
    slowest=(SlowRow("deep/data_0001.parquet", 41, 93.4), SlowRow("b.jsonl", 7, 12.0), SlowRow("b.jsonl", 8, 0.3)),
)


def drawn(now: RunState, *, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(view(now, width=width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_view_tells_everything_that_matters() -> None:
    lines = [line.strip() for line in drawn(NOW, width=120).splitlines()]
    assert lines[0] == "rivers · running: a:8000 asks to wait 3.0 s (http 429)"
    assert lines[1].endswith("3/50 files, 1 failed")
    assert lines[2].endswith("1,000/5,000 rows, 40.0/s, 0:01:40 left")
    assert lines[3:] == [
        "7/8 in flight · ceiling 64 · 98.9% scored · 100 before this start",
        "tokens 1,200 in, 30 out · cost 1.5000 USD",
        "failed 10: cut 7, refused 3 · retries rate_limit 2, not_json 1",
        "slowest now: deep/data_0001.parquet row 41, 93 s, b.jsonl row 7, 12 s",
    ]


@pytest.mark.parametrize("phase", [Phase.OUTAGE, Phase.PAUSED, Phase.DRAINING, Phase.STARTING])
def test_the_phase_and_its_reason_stand_first(phase: Phase) -> None:
    state = RunState("rivers", Snapshot(), phase=phase, note="by alice (pid 7)")
    assert drawn(state, width=100).splitlines()[0].strip() == f"rivers · {phase}: by alice (pid 7)"


def test_hostile_names_do_nothing_to_the_terminal() -> None:
    state = RunState("a\x1b[2Jb\nc", COUNTS, slowest=(SlowRow("\x1b]0;x\x07[red]\n", 1, 99.0),))
    text = drawn(state, width=100)
    assert len(text.splitlines()) == 7
    assert "\x1b" not in text
    assert "\\x1b]0;x\\x07[red]\\n row 1" in text


@pytest.mark.parametrize("width", [200, 100, 60, 40, 20])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    lines = drawn(NOW, width=width).splitlines()
    assert len(lines) == 7, "as many at any width: nothing jumps"
    assert all(len(line.rstrip()) <= width - len("^C") - 1 for line in lines), "the echo of Ctrl-C would wrap"


def test_what_is_unknown_is_left_out() -> None:
    text = drawn(RunState("rivers", Snapshot(files_total=1, rows_scored=5, rate=1.0)), width=100)
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

    def state() -> RunState:
        nonlocal seen
        seen += 1
        return NOW

    async with live_view(state, console):
        while not seen:
            await asyncio_turn()
    assert "3/50" in out.getvalue()
    assert out.getvalue().rstrip().endswith("\x1b[2K"), "the view is erased"


async def asyncio_turn() -> None:
    import asyncio  # noqa: PLC0415  only here

    await asyncio.sleep(0)


@pytest.mark.parametrize("phase", [Phase.OUTAGE, Phase.PAUSED])
def test_while_nothing_is_asked_the_rate_foretells_nothing(phase: Phase) -> None:
    assert " left" not in drawn(RunState("rivers", COUNTS, phase=phase), width=100)
