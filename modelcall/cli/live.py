"""The live view of a run on a terminal: two bars and a line, redrawn four times a second."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from rich.console import Console, Group
from rich.constrain import Constrain
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from rich.console import RenderableType

    from modelcall.observe import Snapshot

_SECONDS: Final = 0.25
_NARROW: Final = 60
"""Columns below which the bars give way to text."""
_ECHO: Final = 3
"""Columns that stay free: the ``^C`` that a terminal echoes must not wrap, or a line of the view would stay behind."""


def wants_live_view(console: Console) -> bool:
    """Whether a view that redraws itself makes sense there."""
    return console.is_terminal and not console.is_dumb_terminal


@asynccontextmanager
async def live_view(snapshot: Callable[[], Snapshot], console: Console) -> AsyncIterator[None]:
    """Show the run while this block runs; the view is gone when it ends. Log lines appear above it."""
    with Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False) as live:
        drawing = asyncio.get_running_loop().create_task(_draw(live, snapshot))
        try:
            yield
        finally:
            drawing.cancel()
            with suppress(asyncio.CancelledError):
                await drawing


async def _draw(live: Live, snapshot: Callable[[], Snapshot]) -> None:
    while True:
        live.update(view(snapshot(), width=live.console.width), refresh=True)
        await asyncio.sleep(_SECONDS)


def view(now: Snapshot, *, width: int) -> RenderableType:
    """Lay the counts out for a terminal of ``width`` columns."""
    lines = (_line(_files(now)), _line(_rows(now)), _line(_requests(now)))
    if width < _NARROW:
        return Constrain(Group(*lines), width - _ECHO)
    bars = Table.grid(padding=(0, 1))
    bars.add_column(width=5)
    bars.add_column(width=min(30, width // 3))
    bars.add_column(no_wrap=True, overflow="ellipsis")
    done = now.files_done + now.files_failed
    rows = now.rows_recorded + now.rows_done
    bars.add_row("files", ProgressBar(total=max(now.files_total, 1), completed=done), lines[0])
    bars.add_row("rows", ProgressBar(total=now.rows_total, completed=rows, pulse=now.rows_total is None), lines[1])
    return Constrain(Group(bars, lines[2]), width - _ECHO)


def _line(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="ellipsis")


def _files(now: Snapshot) -> str:
    failed = f", {now.files_failed} failed" if now.files_failed else ""
    return f"{now.files_done}/{now.files_total} files{failed}"


def _rows(now: Snapshot) -> str:
    of = "" if now.rows_total is None else f"/{now.rows_total:,}"
    eta = "" if now.eta is None else f", {timedelta(seconds=round(now.eta))} left"
    failed = f", {now.rows_failed:,} failed" if now.rows_failed else ""
    return f"{now.rows_recorded + now.rows_done:,}{of} rows, {now.rate:,.1f}/s{failed}{eta}"


def _requests(now: Snapshot) -> str:
    parts = [f"{now.in_flight}/{now.limit} in flight"]
    if now.limit < now.ceiling:
        parts.append(f"ceiling {now.ceiling}")
    if now.prompt_tokens or now.completion_tokens:
        parts.append(f"tokens {now.prompt_tokens:,} in, {now.completion_tokens:,} out")
    if now.retries:
        parts.append("retries " + ", ".join(f"{cause} {count:,}" for cause, count in sorted(now.retries.items())))
    return " · ".join(parts)
