"""What a report is on: found by a task, or by an output that a run left."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from modelcall.config.model import Prices
from modelcall.config.record import resolved_config, secrets_of
from modelcall.errors import ConfigError
from modelcall.observe import batch_details_path, final_stats_path
from modelcall.report.subject import Pass, Subject
from modelcall.state.run import noted_runs
from modelcall.state.shard import output_at
from modelcall.task_manager.places import Places

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from modelcall.config.environment import Environment
    from modelcall.config.loading import LoadedTask
    from modelcall.state.shard import OutputFolder
    from modelcall.task_manager.stores import Stores


def subject_of_task(loaded: LoadedTask, *, logs: Path | None = None) -> Subject:
    """Return the last run of a task.

    Raises:
        ConfigError: None has begun.
    """
    places = Places(loaded)
    chain = places.last_runs()
    newest = chain[0]
    folder = logs or loaded.log_folder
    return Subject(
        task=loaded.task.task_name,
        passes=[Pass(to, chain, path) for to, path in places.outputs(newest)],
        language=loaded.task.logging.language or loaded.environment.language,
        config=resolved_config(loaded),
        prices=loaded.model.prices if loaded.model else None,
        details=_logs(folder, loaded.task.task_name, batch_details_path),
        stats=_logs(folder, loaded.task.task_name, final_stats_path),
        secrets=secrets_of(loaded),
    )


def subject_of_output(path: str, stores: Stores, environment: Environment, *, logs: Path | None = None) -> Subject:
    """Return the run that wrote an output, with what it wrote down about its task.

    Raises:
        ConfigError: No run wrote there.
    """
    to = output_at(stores.at(path), path)
    runs = noted_runs(to.fs, to.state)
    if not runs:
        raise ConfigError(f"{path}: no run wrote here", hint="Name the output folder or file of a run, or its task.")
    config = _recorded(to)
    found = Subject(task="", passes=[Pass(to, runs, path)], language=environment.language, config=config)
    task = str(found.setting("task", "task_name") or path.rstrip("/").rpartition("/")[2])
    folder = logs or environment.cwd / str(found.setting("task", "logging", "dir") or "logs")
    language = found.setting("task", "logging", "language")
    return Subject(
        task=task,
        passes=found.passes,
        language=language if language in {"zh", "en"} else environment.language,
        config=config,
        prices=_prices(found.setting("model", "prices")),
        details=_logs(folder, task, batch_details_path),
        stats=_logs(folder, task, final_stats_path),
        secrets=tuple(environment.secrets()),
    )


def _logs(folder: Path, task: str, path_of: Callable[..., Path]) -> tuple[Path, ...]:
    """Return the files of a kind that the starts of a task left: one, or one a shard."""
    single, shard = path_of(folder, task=task), path_of(folder, task=task, job_index=0)
    pattern = re.compile(re.escape(shard.name).replace("000", r"\d{3,}"))
    shards = sorted(path for path in folder.glob("*") if pattern.fullmatch(path.name)) if folder.is_dir() else []
    return tuple([single] if single.is_file() else []) + tuple(shards)


def _recorded(to: OutputFolder) -> dict[str, Any]:
    """Return the configuration of the first shard, as it wrote it down; empty if none did."""
    names = sorted(name for name in to.fs.listdir(to.state) if name.startswith("config.") and name.endswith(".yaml"))
    if not names:
        return {}
    try:
        found = yaml.safe_load(to.fs.read_bytes(f"{to.state}/{names[0]}"))
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}


def _prices(written: object) -> Prices | None:
    try:
        return Prices.model_validate(written) if written else None
    except ValidationError:
        return None
