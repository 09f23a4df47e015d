"""The live view of a run on a terminal: two bars and a few lines, redrawn twice a second."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from rich.console import Console, Group
from rich.constrain import Constrain
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from modelcall.cli.beside import beside
from modelcall.cli.output import shown
from modelcall.observe.phase import Phase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

    from rich.console import RenderableType

    from modelcall.observe import RunState, Snapshot

_SECONDS: Final = 0.5
_NARROW: Final = 70
"""Columns below which the bars give way to text."""
_ECHO: Final = 3
"""Columns that stay free: the ``^C`` that a terminal echoes must not wrap, or a line of the view would stay behind."""
_SLOW: Final = 10.0
"""Seconds in flight from which on a row is named as slow."""
_GOING: Final = frozenset({Phase.STARTING, Phase.PREPROCESSING, Phase.RUNNING})
"""Phases in which the present rate says when the end comes."""
_STYLES: Final = {Phase.OUTAGE: "bold red", Phase.PAUSED: "bold yellow", Phase.DRAINING: "bold yellow"}


def wants_live_view(console: Console) -> bool:
    """Whether a view that redraws itself makes sense there."""
    return console.is_terminal and not console.is_dumb_terminal


@asynccontextmanager
async def live_view(state: Callable[[], RunState], console: Console | None = None) -> AsyncIterator[None]:
    """Show the run on stderr while this block runs; the view is gone when it ends. Log lines appear above it."""
    console = console or Console(stderr=True)
    if not wants_live_view(console):
        yield
        return
    with Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False) as live:
        async with beside(_draw(live, state)):
            yield


def watch(states: Callable[[], Sequence[RunState]], *, seconds: float) -> bool:
    """Show runs on stdout until there are none; False if that cannot redraw itself."""
    console = Console()
    if not wants_live_view(console):
        return False
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while running := states():
            live.update(Group(*(view(state, width=console.width) for state in running)), refresh=True)
            time.sleep(seconds)
    return True


async def _draw(live: Live, state: Callable[[], RunState]) -> None:
    while True:
        live.update(view(state(), width=live.console.width), refresh=True)
        await asyncio.sleep(_SECONDS)


def view(state: RunState, *, width: int) -> RenderableType:
    """Lay a run out for a terminal of ``width`` columns: always as many lines, so that nothing jumps."""
    now = state.snapshot
    files, rows = _line(_files(now)), _line(_rows(state))
    rest = (_line(_requests(now)), _line(_money(state)), _line(_trouble(now)), _line(_slow(state)))
    if width < _NARROW:
        return Constrain(Group(_head(state), files, rows, *rest), width - _ECHO)
    bars = Table.grid(padding=(0, 1))
    bars.add_column(width=5)
    bars.add_column(width=min(30, width // 4))
    bars.add_column(no_wrap=True, overflow="ellipsis")
    done = now.files_done + now.files_failed
    bars.add_row("files", ProgressBar(total=max(now.files_total, 1), completed=done), files)
    bars.add_row("rows", _rows_bar(now), rows)
    return Constrain(Group(_head(state), bars, *rest), width - _ECHO)


def _rows_bar(now: Snapshot) -> ProgressBar:
    rows = now.rows_recorded + now.rows_done
    total = now.rows_total if now.rows_total is None else max(now.rows_total, 1)
    return ProgressBar(total=total, completed=rows, pulse=total is None)


def _line(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="ellipsis")


def _head(state: RunState) -> Text:
    head = Text(no_wrap=True, overflow="ellipsis")
    head.append(shown(state.task), style="bold")
    head.append(" · ")
    head.append(str(state.phase), style=_STYLES.get(state.phase, ""))
    if state.note:
        head.append(f": {shown(state.note)}", style=_STYLES.get(state.phase, "yellow"))
    return head


def _files(now: Snapshot) -> str:
    failed = f", {now.files_failed} failed" if now.files_failed else ""
    return f"{now.files_done}/{now.files_total} files{failed}"


def _rows(state: RunState) -> str:
    now = state.snapshot
    of = "" if now.rows_total is None else f"/{now.rows_total:,}"
    eta = f", {timedelta(seconds=round(now.eta))} left" if state.phase in _GOING and now.eta is not None else ""
    return f"{now.rows_recorded + now.rows_done:,}{of} rows, {now.rate:,.1f}/s{eta}"


def _requests(now: Snapshot) -> str:
    parts = [f"{now.in_flight}/{now.limit} in flight"]
    if now.limit < now.ceiling:
        parts.append(f"ceiling {now.ceiling}")
    if now.success_rate is not None:
        parts.append(f"{now.success_rate:.1%} scored")
    if now.rows_recorded:
        parts.append(f"{now.rows_recorded:,} before this start")
    return " · ".join(parts)


def _money(state: RunState) -> str:
    now = state.snapshot
    tokens = f"tokens {now.prompt_tokens:,} in, {now.completion_tokens:,} out"
    spent = "" if state.cost is None else f" · cost {state.cost.amount:,.4f} {shown(state.cost.currency)}"
    return tokens + spent if now.prompt_tokens or now.completion_tokens else ""


def _trouble(now: Snapshot) -> str:
    failed = f"failed {now.rows_failed:,}: {_counts(now.failures)}" if now.rows_failed else ""
    retries = f"retries {_counts(now.retries)}" if now.retries else ""
    return " · ".join(filter(None, (failed, retries)))


def _counts(counts: Mapping[str, int]) -> str:
    most = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return ", ".join(f"{shown(name)} {count:,}" for name, count in most)


def _slow(state: RunState) -> str:
    named = ", ".join(_slow_rows(state))
    return f"slowest now: {named}" if named else ""


def _slow_rows(state: RunState) -> Iterator[str]:
    for row in state.slowest:
        if row.seconds >= _SLOW:
            yield f"{shown(row.file)} row {row.row_index}, {row.seconds:.0f} s"
