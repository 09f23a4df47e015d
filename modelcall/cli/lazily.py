"""What only a command that really works needs, imported when it does: Arrow, the event loop, views of a terminal.

Help, a mistake in a task and a question to a run that goes on are answered without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcall.registry import load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from modelcall.cli.showing import Showing
    from modelcall.config.loading import LoadedTask
    from modelcall.config.preprocessing import LoadedPreprocess
    from modelcall.observe import RunState
    from modelcall.task_manager.summary import Invocation


def run_loaded(loaded: LoadedTask, invocation: Invocation, showing: Showing) -> int:
    """Run a task and report on it; return the exit code.

    Raises:
        ConfigError: Nothing was started.
        FatalError: Stopped before the end; the report is out already.
    """
    code: int = load("parts", "run").target(loaded, invocation, showing)
    return code


def run_preprocess(loaded: LoadedPreprocess, *, fresh: bool, showing: Showing) -> int:
    """Preprocess, and report on it; return the exit code.

    Raises:
        ConfigError: Nothing was started.
        FatalError: Stopped before the end; the report is out already.
    """
    code: int = load("parts", "preprocess").target(loaded, fresh=fresh, showing=showing)
    return code


def live_view(state: Callable[[], RunState]) -> AbstractAsyncContextManager[None]:
    """Show a run on stderr, if that can redraw itself, while the block runs."""
    view: AbstractAsyncContextManager[None] = load("parts", "live view").target(state)
    return view


def watch(states: Callable[[], Sequence[RunState]], *, seconds: float) -> bool:
    """Show runs on stdout until there are none; False if that cannot redraw itself."""
    watched: bool = load("parts", "watch").target(states, seconds=seconds)
    return watched
