"""A task's document to everything a run needs to know: each check runs even if another found a mistake."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from modelcall.config.crosschecks import (
    DEFAULT_KEY,
    check_columns,
    check_misspelt,
    check_prompt,
    check_repeats,
    odd_texts,
    settle_format_key,
    settle_paths,
)
from modelcall.config.endpoint import Endpoint, resolve_endpoint
from modelcall.config.model import ModelConfig
from modelcall.config.parts import read_part, read_task, warn_of_forgotten_switch, without_disabled
from modelcall.config.paths import find_config
from modelcall.config.preprocessing import with_found_tokenizer
from modelcall.config.prompt import PromptConfig
from modelcall.config.unsupported import unsupported_mistakes

if TYPE_CHECKING:
    from pathlib import Path

    from modelcall.config.document import Document
    from modelcall.config.environment import Environment
    from modelcall.config.findings import Findings
    from modelcall.config.paths import TaskPaths
    from modelcall.config.storage import Storage
    from modelcall.config.task import TaskConfig

JUDGE: Final = "llm"
"""The scorer that asks a model; the only one that needs ``model`` and ``prompt``."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a task is assembled from."""

    document: Document
    environment: Environment
    folder: Path
    """Of the task file."""
    root: str | None = None
    fs: str | None = None


@dataclass(slots=True)
class Assembled:
    """The parts of a task; None where a mistake stands."""

    environment: Environment
    scorer: str
    task: TaskConfig | None = None
    model: ModelConfig | None = None
    prompt: PromptConfig | None = None
    endpoint: Endpoint | None = None
    format_key: str = DEFAULT_KEY
    paths: TaskPaths | None = None
    storage: Storage | None = None
    files: dict[str, str] = field(default_factory=dict)


def assemble(source: Source, findings: Findings) -> Assembled:
    """Check everything; ``findings`` takes what is wrong."""
    document = without_disabled(source.document)
    warn_of_forgotten_switch(document, findings)
    findings.mistakes += unsupported_mistakes(document)
    parts = Assembled(_environment(source), _scorer(document))
    parts.task = _with_found_tokenizer(read_task(document, findings), source)
    _add_model(parts, document, source, findings)
    _add_prompt(parts, document, source, findings)
    settled = settle_paths(document, parts.environment, root=source.root, fs=source.fs, findings=findings)
    if settled is not None:
        parts.paths, parts.storage = settled
    if parts.task is not None:
        check_repeats(parts.task, parts.model, document, findings)
        check_columns(parts.task, document, findings)
    odd_texts(document, ("scorer", "options"), findings)
    return parts


def _with_found_tokenizer(task: TaskConfig | None, source: Source) -> TaskConfig | None:
    if task is None or not task.preprocess.enabled:
        return task
    found = with_found_tokenizer(task.preprocess, folder=source.folder, environment=source.environment)
    return task.model_copy(update={"preprocess": found})


def _environment(source: Source) -> Environment:
    provider = source.document.block("environment").data.get("api_provider", "local")
    is_name = isinstance(provider, str) and provider.replace("_", "").replace("-", "").replace(".", "").isalnum()
    return source.environment.for_provider(provider) if is_name else source.environment


def _scorer(document: Document) -> str:
    name = document.block("scorer").data.get("name", JUDGE)
    return name if isinstance(name, str) else JUDGE


def _add_model(parts: Assembled, document: Document, source: Source, findings: Findings) -> None:
    block, whole, path = read_part(
        document, "model", ModelConfig, folder=source.folder, environment=parts.environment, findings=findings
    )
    if path is not None:
        parts.files["model"] = path
    odd_texts(whole, ("completions_params",), findings)
    if block is None:
        _require(parts, document, "model", findings)
        return
    block = _with_found_hosts(block, whole, parts, source, findings)
    parts.model = block
    if parts.scorer == JUDGE:
        _add_endpoint(parts, block, whole, findings)


def _add_endpoint(parts: Assembled, model: ModelConfig, document: Document, findings: Findings) -> None:
    parts.endpoint, problems = resolve_endpoint(model, parts.environment)
    targets = {"mistake": findings.mistakes, "missing": findings.missing, "warning": findings.warnings}
    for problem in problems:
        targets[problem.kind].append(document.mistake(problem.path, problem.message))


def _with_found_hosts(
    model: ModelConfig, document: Document, parts: Assembled, source: Source, findings: Findings
) -> ModelConfig:
    """Return the model with the path of its hosts_file as it was found."""
    if model.hosts_file is None:
        return model
    found = find_config(model.hosts_file, task_folder=source.folder, environment=parts.environment)
    if found is None:
        message = f"there is no file {model.hosts_file!r}; write one base_url a line into it"
        findings.missing.append(document.mistake(("hosts_file",), message))
        return model
    return model.model_copy(update={"hosts_file": str(found)})


def _add_prompt(parts: Assembled, document: Document, source: Source, findings: Findings) -> None:
    prompt, whole, path = read_part(
        document, "prompt", PromptConfig, folder=source.folder, environment=parts.environment, findings=findings
    )
    if path is not None:
        parts.files["prompt"] = path
    odd_texts(whole, ("output_config", "json_default_values"), findings)
    if prompt is None:
        _require(parts, document, "prompt", findings)
        return
    parts.prompt = prompt
    check_prompt(prompt, whole, findings)
    template = prompt.template()
    parts.format_key = settle_format_key(template, task=document, prompt=whole, findings=findings)
    check_misspelt(template, parts.format_key, prompt=whole, findings=findings)


def _require(parts: Assembled, document: Document, key: str, findings: Findings) -> None:
    """A judge without model or prompt is a mistake, unless one was written and is wrong itself."""
    written = document.data.get(key)
    is_empty = not any(written.values()) if isinstance(written, dict) else not written
    if parts.scorer == JUDGE and is_empty:
        message = f"is required: a {key} file as config_path, or its keys; or choose another `scorer`"
        findings.mistakes.append(document.mistake((key,), message))
