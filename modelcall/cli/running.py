"""A loaded task to its end: log, signals, live view, the run, the report."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack, redirect_stdout
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from modelcall.cli.beside import beside
from modelcall.cli.failing import log_in_use, usage_error
from modelcall.cli.lazily import live_view
from modelcall.cli.observing import Watch
from modelcall.cli.operating import Beginnings, Operated
from modelcall.cli.output import message, result, result_json, shown
from modelcall.cli.runs import status_path
from modelcall.cli.showing import open_log
from modelcall.cli.signals import heeded
from modelcall.cli.steering import Steering
from modelcall.cli.summary_table import Report, totals
from modelcall.config.record import secrets_of
from modelcall.errors import FatalError
from modelcall.garbage import collect_less, hold_less, leave_pandas_out
from modelcall.log import LogSettings, Message, log_path, say
from modelcall.loops import fast_runner
from modelcall.observe import Ending, RunIdentity, StatusFile, heartbeat
from modelcall.redact import redact_values
from modelcall.state.lock import this_process
from modelcall.task_manager.plans import shard_of
from modelcall.task_manager.summary import Stop
from modelcall.task_manager.task_run import TaskRun

if TYPE_CHECKING:
    from modelcall.cli.showing import Showing
    from modelcall.config.loading import LoadedTask
    from modelcall.config.shard import Shard
    from modelcall.task_manager.summary import Invocation, Summary


def run_loaded(loaded: LoadedTask, invocation: Invocation, showing: Showing) -> int:
    """Run a task and report on it; return the exit code.

    Raises:
        ConfigError: Nothing was started.
        FatalError: Stopped before the end; the report is out already.
    """
    if invocation.fresh and invocation.retry:
        raise usage_error("--retry_failed asks rows of the last run again, --fresh begins a new one: choose one")
    started = datetime.now().astimezone()
    stop = Stop()
    watch = Watch(loaded, folder=loaded.log_folder, started=started)
    steering = Steering(stop, watch.phases)
    shard = shard_of(loaded, invocation)
    settings = _log_settings(loaded, shard, showing, started=started)
    file = StatusFile(status_path(loaded, shard)) if showing.status else None
    operated = Operated(watch, steering, file=file, secrets=settings.secrets)
    begins = Beginnings(watch, operated, steering, identify=partial(_identity, loaded, settings, started))
    run = TaskRun(loaded, invocation, listener=watch.observers, stop=stop, now=started, begins=begins)
    log_in_use.set(settings)
    collect_less()
    hold_less()
    if not loaded.runs_users_code:
        leave_pandas_out()
    with open_log(settings), operated.ending():
        _say_start(loaded, shard)
        with fast_runner() as runner:
            try:
                summary = runner.run(_run(run, watch, operated, stop, loaded=loaded, showing=showing, log=settings))
            except FatalError:
                if stop.signal is None:
                    raise
                return 128 + stop.signal  # before there was a run to report on
        operated.end(Ending(summary.exit_code, summary.error.message if summary.error else None))
        report = Report(
            task=loaded.task.task_name,
            summary=summary,
            totals=totals(summary.passes),
            snapshot=watch.end(summary),
            log=str(settings.file),
            reasons=watch.reasons.found,
            prices=loaded.model.prices if loaded.model else None,
        )
        _say_end(report)
    _show(report, showing, settings.secrets)
    if summary.error is not None and summary.signal is None:
        raise summary.error
    return summary.exit_code


async def _run(
    run: TaskRun,
    watch: Watch,
    operated: Operated,
    stop: Stop,
    *,
    loaded: LoadedTask,
    showing: Showing,
    log: LogSettings,
) -> Summary:
    """Run the task with everything around it that lives in its event loop."""
    options = loaded.task.options
    async with beside(heartbeat(watch.observers)), AsyncExitStack() as stack:
        stack.enter_context(heeded(stop, task=loaded.task.task_name, grace_seconds=options.grace_seconds))
        if sys.stderr.isatty() and not showing.quiet:
            await stack.enter_async_context(live_view(watch.state))
        await stack.enter_async_context(operated.operated(showing.metrics))
        stack.enter_context(redirect_stdout(sys.stderr))  # what scorers print is no result
        return await run.run(log=log)


def _identity(loaded: LoadedTask, settings: LogSettings, started: datetime, summary: Summary) -> RunIdentity:
    return RunIdentity(
        task=loaded.task.task_name,
        task_file=loaded.files.get("task", ""),
        overrides=loaded.overrides,
        run_id=summary.run,
        how=summary.how,
        job_index=summary.shard.job_index,
        world_size=summary.shard.world_size,
        started=started.isoformat(timespec="seconds"),
        process=asdict(this_process()),
        outputs=summary.planned or (loaded.paths.output,),
        log=str(settings.file),
        grace_seconds=loaded.task.options.grace_seconds,
    )


def _log_settings(loaded: LoadedTask, shard: Shard, showing: Showing, *, started: datetime) -> LogSettings:
    job_index = shard.job_index if shard.world_size > 1 else None
    logging = loaded.task.logging
    return LogSettings(
        file=log_path(loaded.log_folder, task=loaded.task.task_name, started=started, job_index=job_index),
        level=logging.level,
        language=logging.language or loaded.environment.language,
        terminal=not showing.quiet,
        secrets=secrets_of(loaded),
    )


def _say_start(loaded: LoadedTask, shard: Shard) -> None:
    say(Message.TASK_STARTED, task=loaded.task.task_name)
    if shard.world_size > 1:
        say(Message.SHARD, index=shard.job_index, world_size=shard.world_size)
        say(Message.SHARD_SOURCE, source=shard.source)
    for warning in loaded.warnings:
        say(Message.WARNING, text=str(warning), cause=str(warning))


def _say_end(report: Report) -> None:
    summary, task = report.summary, report.task
    if summary.signal is not None:
        return  # said when the signal came
    if summary.error is not None:
        say(Message.TASK_STOPPED, task=task, reason=summary.error.message)
    elif not summary.worked:
        say(Message.TASK_ALREADY_DONE, task=task)
    else:
        seconds = report.snapshot.elapsed
        say(Message.TASK_DONE, task=task, scored=report.totals.scored, failed=report.totals.failed, seconds=seconds)


def _show(report: Report, showing: Showing, secrets: tuple[str, ...]) -> None:
    if showing.as_json:
        result_json(redact_values(report.as_json(), secrets))
    else:
        result(redact_values(report.lines(), secrets))
    step = report.next_step()
    if step is not None:
        message(f"{shown(report.meaning())}", f"next: {step}")
