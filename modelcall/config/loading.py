"""From a task file, or from command-line options, to everything a run needs to know: all mistakes at once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from modelcall.config.assembly import Source, assemble
from modelcall.config.document import Document, KeyPath, Place
from modelcall.config.environment import Environment
from modelcall.config.findings import Findings
from modelcall.config.overrides import apply_overrides
from modelcall.config.paths import safe_name
from modelcall.config.yaml_loader import load_document
from modelcall.errors import ConfigError
from modelcall.registry import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelcall.config.endpoint import Endpoint
    from modelcall.config.model import ModelConfig
    from modelcall.config.paths import TaskPaths
    from modelcall.config.prompt import PromptConfig
    from modelcall.config.storage import Storage
    from modelcall.config.task import TaskConfig
    from modelcall.errors import Mistake


@dataclass(frozen=True, slots=True)
class LoadedTask:
    """A validated task. Picklable; its repr shows no credential."""

    task: TaskConfig
    """``task.model`` and ``task.prompt`` hold what the task file says of them; use ``model`` and ``prompt`` below."""
    model: ModelConfig | None
    prompt: PromptConfig | None
    endpoint: Endpoint | None
    """None without a judge, and where it is missing (see ``missing``)."""
    scorer: str
    """``llm``, ``quality``, or ``package.module:Class``."""
    format_key: str
    """The placeholder that takes the document."""
    paths: TaskPaths
    storage: Storage
    environment: Environment
    files: Mapping[str, str] = field(default_factory=dict)
    """The files that were read: ``task``, ``model``, ``prompt``."""
    overrides: tuple[str, ...] = ()
    """The ``KEY=VALUE`` of every ``--set``."""
    warnings: tuple[Mistake, ...] = ()
    missing: tuple[Mistake, ...] = ()
    """What this machine lacks: input, key, URL. Empty if loaded for a run."""

    @property
    def log_folder(self) -> Path:
        """Where the run logs."""
        return self.environment.cwd / self.task.logging.dir

    @property
    def runs_users_code(self) -> bool:
        """Whether the task names a class that is not ours."""
        preprocesses = self.paths.preprocess is not None and self.task.preprocess.is_users
        return preprocesses or self.scorer not in BUILT_IN["scorers"] or self.storage.root.plugin is not None


def load_task(
    path: str | Path,
    *,
    overrides: Sequence[str] = (),
    environment: Environment | None = None,
    root: str | None = None,
    fs: str | None = None,
    for_run: bool = True,
) -> LoadedTask:
    """Load a task file with its model and prompt files. Opens no socket.

    Args:
        path: The task file.
        overrides: ``KEY=VALUE`` of each ``--set``, dotted keys, YAML values.
        environment: The variables; default: those of the process and of ``.env``.
        root: ``--root``.
        fs: ``--fs``.
        for_run: A missing input, key or URL is a mistake; else it is listed in ``missing``.

    Raises:
        ConfigError: Holds the mistakes of all files.
    """
    environment = environment or Environment.read()
    file = environment.cwd / path
    written = load_document(file, shown=str(path))
    document, mistakes = apply_overrides(written, overrides)
    source = Source(document, environment, file.parent, root=root, fs=fs)
    findings = Findings(mistakes=[*written.slips, *mistakes])
    loaded = _assembled(source, findings, str(path), for_run=for_run)
    return replace(loaded, files={"task": str(path), **loaded.files}, overrides=tuple(overrides))


OPTION_KEYS: Final[Mapping[str, str]] = {
    **{name: f"data.{name}" for name in ("input_folder", "output_folder", "stat_folder", "input_key")},
    **{name: f"data.{name}" for name in ("prompt_format_key", "output_format", "output_prefix", "output_columns")},
    **{name: f"concurrency.{name}" for name in ("max_concurrent_files", "max_concurrent_requests", "chunk_size")},
    "parquet_save_interval": "concurrency.parquet_save_interval",
    "num_workers": "concurrency.num_workers",
    "model_config_path": "model.config_path",
    "prompt_config_path": "prompt.config_path",
    "scorer": "scorer.name",
    "scorer_options": "scorer.options",
    "debug_files": "debug.max_files",
    "debug_items": "debug.max_items_per_file",
    "delete_existing": "options.delete_existing",
    "max_failed_ratio": "options.max_failed_ratio",
    "keep_raw": "options.keep_raw",
    "enable_format_validation_retry": "retry.enable_format_validation_retry",
    "max_retries": "retry.max_retries",
    "timeout": "environment.timeout",
    "api_provider": "environment.api_provider",
    "log_dir": "logging.dir",
    "log_level": "logging.level",
    "language": "logging.language",
}
"""Command-line options and the task keys they stand for."""

_ARGUMENTS: Final[Mapping[str, Mapping[str, str]]] = {"pipeline": {"input_folder": "IN", "output_folder": "OUT"}}
"""Options that a command takes by position, with their names there."""


def task_from_options(
    command: str,
    options: Mapping[str, object],
    *,
    environment: Environment | None = None,
    root: str | None = None,
    fs: str | None = None,
    for_run: bool = True,
) -> LoadedTask:
    """Build a task from command-line options instead of a file.

    Args:
        command: ``api-call`` or ``pipeline``: begins the task's name.
        options: Values by the names in :data:`OPTION_KEYS`; None: not given.
        environment: As in :func:`load_task`, like the rest.
        root: ``--root``.
        fs: ``--fs``.
        for_run: A missing input, key or URL is a mistake.

    Raises:
        ConfigError: Holds all mistakes, by the name of the option.
    """
    environment = environment or Environment.read()
    document = _document_of(command, {name: value for name, value in options.items() if value is not None})
    source = Source(document, environment, environment.cwd, root=root, fs=fs)
    return _assembled(source, Findings(), f"modelcall {command}", for_run=for_run)


def _document_of(command: str, options: Mapping[str, object]) -> Document:
    stem = Path(str(options.get("input_folder", ""))).name.partition(".")[0]
    name = safe_name("_".join(filter(None, (command.replace("-", "_"), stem))))
    data: dict[str, Any] = {"task_name": name, "data": {}}
    for option, value in options.items():
        block, key = OPTION_KEYS[option].split(".")
        data.setdefault(block, {})[key] = value
    if "debug" in data:
        data["debug"]["enabled"] = True
    names = {option: f"--{option}" for option in OPTION_KEYS} | dict(_ARGUMENTS.get(command, {}))
    flags: dict[KeyPath, Place] = {
        tuple(key.split(".")): Place(names[option], ()) for option, key in OPTION_KEYS.items()
    }
    files: dict[KeyPath, Place] = {(part,): Place(f"--{part}_config_path", ()) for part in ("model", "prompt")}
    return Document(data, {(): Place(f"modelcall {command}", ()), **files, **flags})


def _assembled(source: Source, findings: Findings, shown: str, *, for_run: bool) -> LoadedTask:
    parts = assemble(source, findings)
    mistakes = [*findings.mistakes, *(findings.missing if for_run else ())]
    if mistakes or parts.task is None or parts.paths is None or parts.storage is None:
        raise _all_mistakes(mistakes, shown)
    return LoadedTask(
        task=parts.task,
        model=parts.model,
        prompt=parts.prompt,
        endpoint=parts.endpoint,
        scorer=parts.scorer,
        format_key=parts.format_key,
        paths=parts.paths,
        storage=parts.storage,
        environment=parts.environment,
        files=parts.files,
        warnings=tuple(dict.fromkeys((*findings.warnings, *parts.environment.notes))),
        missing=tuple(findings.missing),
    )


def _all_mistakes(mistakes: list[Mistake], shown: str) -> ConfigError:
    """One error for all, file by file and line by line; what two checks found is told once."""
    files = {_file_and_line(mistake)[0]: order for order, mistake in reversed(list(enumerate(mistakes)))}
    once = sorted(dict.fromkeys(mistakes), key=lambda mistake: _order(mistake, files))
    if len(once) == 1:
        return ConfigError(str(once[0]), hint="correct it and start again; nothing was started", mistakes=once)
    message = f"{shown}: {len(once)} mistakes; nothing was started"
    return ConfigError(message, hint="correct them and start again", mistakes=once)


def _order(mistake: Mistake, files: Mapping[str, int]) -> tuple[int, int]:
    file, line = _file_and_line(mistake)
    return files[file], line


def _file_and_line(mistake: Mistake) -> tuple[str, int]:
    file, _, line = mistake.where.rpartition(":")
    return (file, int(line)) if line.isdecimal() else (mistake.where, 0)
