"""``modelcall start``: a task in the background, on its own, with its exit code written down."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from modelcall.cli.failing import OK, usage_error
from modelcall.cli.options import DeleteExisting, Fresh, Fs, JobIndex, MetricsPort, RetryFailed, Root, Set, WorldSize
from modelcall.cli.output import message, result, shell_word, shown, table
from modelcall.cli.runs import columns, state_of, status_path
from modelcall.config.loading import load_task
from modelcall.config.yaml_loader import load_document
from modelcall.errors import ConfigError
from modelcall.log import log_path
from modelcall.observe.private import make_folder
from modelcall.observe.status_file import launched_exit, read
from modelcall.task_manager.plans import shard_of
from modelcall.task_manager.summary import Invocation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelcall.observe import Record

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_EXAMPLES = """\
\b
Examples:
  modelcall start                                    # lists configs/tasks
  modelcall start configs/tasks/github_code_rating.yaml
  modelcall start T.yaml --job_index 2 --world_size 10

\b
Mistakes are told before anything is started. What the run prints goes to a file beside its log; modelcall status
shows its exit code at the end, also if it was killed."""
_TASKS: Final = Path("configs/tasks")
_SUPERVISE: Final = 'umask 077; "$@"; code=$?; printf "%s\\n" "$code" >"$0.part" && mv "$0.part" "$0"'
"""For a shell that outlives the run by a moment: only a parent learns how a process ended that was killed."""
_PATIENCE: Final = 60.0
"""Seconds for a run to show its status."""
_LOOK: Final = 0.05
_TAIL: Final = 20
"""Lines that are shown of what a run printed that ended at once."""


@app.command(epilog=_EXAMPLES)
def start(
    task: Annotated[
        Path | None, typer.Argument(metavar="[TASK.yaml]", help="The task file; without one the tasks are listed.")
    ] = None,
    *,
    job_index: JobIndex = None,
    world_size: WorldSize = None,
    overrides: Set = None,
    fresh: Fresh = False,
    retry_failed: RetryFailed = False,
    delete_existing: DeleteExisting = False,
    fs: Fs = None,
    root: Root = None,
    metrics_port: MetricsPort = None,
) -> int:
    """Run a task in the background: it survives your logout, and is found by status, ctl and stop."""
    if task is None:
        _list()
        return OK
    given = {"--job_index": job_index, "--world_size": world_size, "--fs": fs, "--root": root}
    given |= {"--metrics_port": metrics_port}
    flags = {"--fresh": fresh, "--retry_failed": retry_failed, "--delete_existing": delete_existing}
    arguments = [
        *(part for name, value in given.items() if value is not None for part in (name, str(value))),
        *(part for text in overrides or () for part in ("--set", text)),
        *(name for name, wanted in flags.items() if wanted),
        "--quiet",
        "--",
        str(task),
    ]
    loaded = load_task(task, overrides=overrides or (), root=root, fs=fs)
    shard = shard_of(loaded, Invocation(job_index=job_index, world_size=world_size))
    started = datetime.now().astimezone()
    job = shard.job_index if shard.world_size > 1 else None
    log = log_path(loaded.log_folder, task=loaded.task.task_name, started=started, job_index=job)
    launch = _Launch(status_path(loaded, shard), log.with_suffix(".out"))
    launch.refuse_running()
    return launch.run([sys.executable, "-P", "-m", "modelcall", "run-task", *arguments])


@dataclass(frozen=True, slots=True)
class _Launch:
    """A start in the background."""

    status: Path
    printed: Path
    """What the run prints: its result, and an error that ends it."""

    def refuse_running(self) -> None:
        """Refuse a second start of what runs.

        Raises:
            ConfigError: A living process is at it.
        """
        record = read(self.status)
        if record is not None and record.is_alive:
            process = record.process
            raise ConfigError(
                f"{record.status.identity.task} runs already: process {process.pid} on {process.host}",
                hint="watch it with modelcall status, or stop it with modelcall stop",
            )

    def run(self, command: list[str]) -> int:
        """Start it, wait until it shows that it is there, and say how to go on; return its exit code if it ended."""
        make_folder(self.status.parent)
        self.printed.parent.mkdir(parents=True, exist_ok=True)
        self._exit.unlink(missing_ok=True)
        before = read(self.status)
        with os.fdopen(os.open(self.printed, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as printed:
            child = subprocess.Popen(  # noqa: S603  our own command
                ["/bin/sh", "-c", _SUPERVISE, str(self._exit), *command],
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a terminal that goes away takes nothing of it along
            )
        record = self._appeared(child, before)
        code = launched_exit(self.status) if record is None else record.exit_code
        if record is None:
            self._exit.unlink(missing_ok=True)  # it belongs to no status
        if code not in {None, OK}:
            message(*self._tail())
        result(table(list(self._told(record, code))))
        return code or OK

    @property
    def _exit(self) -> Path:
        return self.status.with_suffix(".exit")

    def _appeared(self, child: subprocess.Popen[bytes], before: Record | None) -> Record | None:
        """Wait for the status of the new run; None if it ended without, or is slow to begin."""
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            ended = child.poll() is not None
            record = read(self.status)
            new = record is not None and (before is None or record.process != before.process)
            if new and record is not None and _parent(record.process.pid) in {child.pid, None}:
                return record
            if ended:
                return None
            time.sleep(_LOOK)
        return None

    def _told(self, record: Record | None, code: int | None) -> Iterator[tuple[str, str]]:
        if record is None:
            late = "it is slow to begin; modelcall status will show it"
            yield "started", late if code is None else f"no: exit {code} before there was a run"
            yield "printed", shown(self.printed)
            return
        identity = record.status.identity
        yield "started", f"{shown(identity.task)}: {state_of(record)}"
        yield "pid", str(record.process.pid)
        yield "log", shown(identity.log)
        yield "printed", shown(self.printed)
        if record.is_alive:
            yield "watch", f"modelcall status --watch {shell_word(identity.task)}"
            yield "stop", f"modelcall stop {shell_word(identity.task)}"

    def _tail(self) -> list[str]:
        text = self.printed.read_text(encoding="utf-8", errors="replace")
        return [shown(line) for line in text.splitlines()[-_TAIL:]]


def _parent(pid: int) -> int | None:
    """Return the process that started another; None if that is over: another launcher's run is not ours."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None


def _list() -> None:
    files = sorted(_TASKS.glob("*.yaml"))
    if not files:
        raise usage_error(f"there is no task in {_TASKS}", hint="write one with modelcall create-task, or name a file")
    result(columns([("TASK", "DESCRIPTION"), *((shown(file), _description(file)) for file in files)]))


def _description(file: Path) -> str:
    try:
        data = load_document(file, shown=str(file)).data
    except ConfigError as error:
        return shown(f"cannot be read: {error.message}")
    return shown(data.get("description") or "") if isinstance(data, dict) else ""
