"""Preprocessing to its end: log, signals, the run, the report."""

from __future__ import annotations

import asyncio
import sys
from contextlib import redirect_stdout
from datetime import datetime
from typing import TYPE_CHECKING, Final

from modelcall.cli.failing import log_in_use
from modelcall.cli.output import message, result, result_json
from modelcall.cli.preprocess_report import PreprocessReport
from modelcall.cli.showing import open_log
from modelcall.cli.signals import heeded
from modelcall.garbage import collect_less, hold_less, leave_pandas_out
from modelcall.log import LogSettings, log_path
from modelcall.task_manager.preprocess_plan import planned
from modelcall.task_manager.preprocess_run import PreprocessRun
from modelcall.task_manager.summary import Stop

if TYPE_CHECKING:
    from modelcall.cli.showing import Showing
    from modelcall.config.preprocessing import LoadedPreprocess
    from modelcall.task_manager.preprocess_summary import PreprocessSummary

GRACE_SECONDS: Final = 20.0


def run_preprocess(loaded: LoadedPreprocess, *, fresh: bool, showing: Showing) -> int:
    """Preprocess, and report on it; return the exit code.

    Raises:
        ConfigError: Nothing was started.
        FatalError: Stopped before the end; the report is out already.
    """
    name = f"preprocess_{loaded.config.script_type}"
    settings = LogSettings(
        file=log_path(loaded.environment.cwd / "logs", task=name, started=datetime.now().astimezone()),
        language=loaded.environment.language,
        terminal=not showing.quiet,
        secrets=tuple(loaded.environment.secrets()),
    )
    log_in_use.set(settings)
    plan = planned(loaded.config, loaded.paths, loaded.storage, loaded.environment)
    stop = Stop()
    run = PreprocessRun(plan, stop=stop, redo="all" if fresh else "never", log=settings)
    collect_less()
    hold_less()
    if not plan.runs_users_code:
        leave_pandas_out()
    with open_log(settings):
        summary = asyncio.run(_run(run, stop, name=name))
    report = PreprocessReport(summary, log=str(settings.file))
    if showing.as_json:
        result_json(report.as_json())
    else:
        result(report.lines())
    if (step := report.next_step()) is not None:
        message(report.meaning(), f"next: {step}")
    if summary.error is not None and summary.signal is None:
        raise summary.error
    return summary.exit_code


async def _run(run: PreprocessRun, stop: Stop, *, name: str) -> PreprocessSummary:
    with heeded(stop, task=name, grace_seconds=GRACE_SECONDS), redirect_stdout(sys.stderr):
        return await run.run()
