"""``modelcall run-task``: a task file to its end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modelcall.cli.lazily import run_loaded
from modelcall.cli.options import (
    DeleteExisting,
    Fresh,
    Fs,
    JobIndex,
    Json,
    MetricsPort,
    NoStatus,
    Quiet,
    RetryFailed,
    Root,
    Set,
    WorldSize,
    metrics_address,
)
from modelcall.cli.showing import Showing
from modelcall.config.loading import load_task
from modelcall.task_manager.summary import Invocation

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_EXAMPLES = """\
\b
Examples:
  modelcall run-task configs/tasks/github_code_rating.yaml
  modelcall run-task T.yaml --job_index 2 --world_size 10
  modelcall run-task T.yaml --set data.input_folder=./sample --set debug.enabled=true --set debug.max_files=1
  modelcall run-task T.yaml --fresh
  modelcall run-task T.yaml --retry_failed                     # asks only failed rows again

\b
Started again, it goes on where it stopped. Exit codes: 0 every row scored, 2 configuration,
3 rows or files failed, 4 stopped (start again), 130 and 143 interrupted (start again)."""


@app.command(epilog=_EXAMPLES)
def run_task(
    task: Annotated[Path, typer.Argument(metavar="TASK.yaml", help="The task file.")],
    *,
    job_index: JobIndex = None,
    world_size: WorldSize = None,
    overrides: Set = None,
    fresh: Fresh = False,
    retry_failed: RetryFailed = False,
    delete_existing: DeleteExisting = False,
    fs: Fs = None,
    root: Root = None,
    quiet: Quiet = False,
    metrics_port: MetricsPort = None,
    no_status: NoStatus = False,
    as_json: Json = False,
) -> int:
    """Run a task: read, score and write what its YAML file says."""
    changes = [*(overrides or ()), *(["options.delete_existing=true"] if delete_existing else [])]
    loaded = load_task(task, overrides=changes, root=root, fs=fs)
    invocation = Invocation(fresh=fresh, retry=retry_failed, job_index=job_index, world_size=world_size)
    showing = Showing(quiet=quiet, as_json=as_json, status=not no_status, metrics=metrics_address(metrics_port))
    return run_loaded(loaded, invocation, showing)
