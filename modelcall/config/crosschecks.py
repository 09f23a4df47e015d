"""Checks that need more than one block: prompt against task, paths, repeated runs."""

from __future__ import annotations

import glob
import os.path
from collections import Counter
from typing import TYPE_CHECKING, Final

from modelcall.config.output_checks import output_mistakes, output_warnings
from modelcall.config.paths import (
    PLACEHOLDERS,
    TaskPaths,
    data_root,
    fixed_prefix,
    is_glob,
    local_path,
    placeholders_in,
    unknown_placeholders,
)
from modelcall.config.suggest import did_you_mean
from modelcall.config.unsupported import is_remote
from modelcall.errors import ConfigError

if TYPE_CHECKING:
    from modelcall.config.document import Document, KeyPath
    from modelcall.config.environment import Environment
    from modelcall.config.findings import Findings
    from modelcall.config.model import ModelConfig
    from modelcall.config.prompt import PromptConfig
    from modelcall.config.task import TaskConfig
    from modelcall.config.template import Template

DEFAULT_KEY: Final = "text"
_FORMAT_KEY: Final[KeyPath] = ("data", "prompt_format_key")
_TEMPLATE: Final[KeyPath] = ("prompt_template", "prompt_text")


def check_prompt(prompt: PromptConfig, document: Document, findings: Findings) -> None:
    """Find contradictions in the output_config, and braces that do not pair."""
    for path, message in output_mistakes(prompt.output_config):
        findings.mistakes.append(document.mistake(("output_config", *path), message))
    for path, message in output_warnings(prompt.output_config):
        findings.warnings.append(document.mistake(("output_config", *path), message))
    text = prompt.prompt_template.prompt_text
    if text.count("{{") != text.count("}}"):
        message = "{{ and }} give one brace each, and they do not pair here; see that JSON examples keep their braces"
        findings.warnings.append(document.mistake(_TEMPLATE, message))


def settle_format_key(template: Template, *, task: Document, prompt: Document, findings: Findings) -> str:
    """Return the placeholder that takes the document; a mistake if the prompt has none that fits."""
    names = template.names()
    asked = task.block("data").data.get("prompt_format_key")
    if isinstance(asked, str):
        if asked not in names:
            known = f"; it has {_braced(names)}" if names else "; it has no placeholder at all"
            message = f"the prompt has no {{{asked}}}{did_you_mean(asked, names) or known}"
            findings.mistakes.append(task.mistake(_FORMAT_KEY, message))
        return asked
    found = [DEFAULT_KEY] if DEFAULT_KEY in names else sorted(name for name in names if name.isidentifier())
    if len(found) == 1:
        return found[0]
    if found:
        message = f"which placeholder takes the document? Write one of {_braced(found)} as data.prompt_format_key"
        findings.mistakes.append(task.mistake(_FORMAT_KEY, message))
    else:
        message = "no placeholder takes the document; write {text} where it belongs"
        findings.mistakes.append(prompt.mistake(_TEMPLATE, message))
    return DEFAULT_KEY


def _braced(names: list[str] | frozenset[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names)[:5])


def check_misspelt(template: Template, format_key: str, *, prompt: Document, findings: Findings) -> None:
    """Warn about names in braces that look like the document's; others may be columns, which are known later."""
    for name, like in template.unknown({format_key}).items():
        if like is not None:
            message = f"{{{name}}} is filled only if the input has this column; did you mean {{{like}}}?"
            findings.warnings.append(prompt.mistake(_TEMPLATE, message))


def odd_texts(document: Document, block: KeyPath, findings: Findings) -> None:
    """Warn about ``yes`` and the like in blocks whose values have no declared type."""
    for path, text in document.odd_text.items():
        if path[: len(block)] == block:
            message = f"{text} is text here; write true or false for a truth value, or put it in quotes"
            findings.warnings.append(document.mistake(path, message))


def check_repeats(task: TaskConfig, model: ModelConfig | None, document: Document, findings: Findings) -> None:
    """Several runs need a place each, and make sense only if answers vary."""
    if not task.distributed.enabled or task.distributed.num_runs == 1:
        return
    if "run_index" not in placeholders_in(task.data.output_folder):
        message = "distributed.num_runs is above 1, so it must hold {run_index}"
        findings.mistakes.append(document.mistake(("data", "output_folder"), message))
    if model is not None and model.completions_params.get("temperature") == 0:
        message = "runs are repeated at temperature 0, where answers hardly vary"
        findings.warnings.append(document.mistake(("distributed", "num_runs"), message))


def check_columns(task: TaskConfig, document: Document, findings: Findings) -> None:
    """A column stands in the output once, and only a Parquet file has a schema."""
    doubled = [name for name, count in Counter(task.data.output_columns or ()).items() if count > 1]
    if doubled:
        message = f"{', '.join(doubled)} stands there more than once"
        findings.mistakes.append(document.mistake(("data", "output_columns"), message))
    if task.data.unify_schema and task.data.output_format != "parquet":
        message = (
            f"is for Parquet: JSON Lines have no schema; leave it out, or data.output_format: {task.data.output_format}"
        )
        findings.mistakes.append(document.mistake(("data", "unify_schema"), message))


def settle_paths(
    document: Document, environment: Environment, *, root: str | None, fs: str | None, findings: Findings
) -> TaskPaths | None:
    """Resolve the data paths and look whether the input is there."""
    data = document.block("data").data
    written = [data.get(key) for key in ("input_folder", "output_folder", "stat_folder", "root", "fs")]
    texts = [value if isinstance(value, str) and value and not is_remote(value) else None for value in written]
    if texts != written or None in texts[:2] or texts[-1] not in (None, "local"):
        return None  # the other checks have said why
    source, target, stat, task_root, task_fs = texts
    try:
        base = data_root(environment=environment, root=root, fs=fs, task_root=task_root, task_fs=task_fs)
    except ConfigError as error:
        findings.mistakes.append(document.mistake(("data",), error.message))
        return None
    resolved = [text and local_path(text, root=base, environment=environment) for text in (source, target, stat)]
    paths = TaskPaths(resolved[0] or "", resolved[1] or "", resolved[2])
    _check_placeholders(document, findings)
    _check_input(paths, document, findings)
    return paths


def _check_placeholders(document: Document, findings: Findings) -> None:
    data = document.block("data").data
    for name in unknown_placeholders(str(data.get("output_folder", ""))):
        message = f"{{{name}}} is no placeholder and stays as it is{did_you_mean(name, PLACEHOLDERS)}"
        findings.warnings.append(document.mistake(("data", "output_folder"), message))
    for key in ("input_folder", "stat_folder"):
        if placeholders_in(str(data.get(key, ""))):
            message = "placeholders are filled in output_folder only; here the braces stay"
            findings.warnings.append(document.mistake(("data", key), message))


def _check_input(paths: TaskPaths, document: Document, findings: Findings) -> None:
    if os.path.isdir(paths.input):  # noqa: PTH112  a path that was never made a Path
        if _is_within(fixed_prefix(paths.output), paths.input):
            message = "lies in the input folder, so results would be read as input; choose a folder beside it"
            findings.mistakes.append(document.mistake(("data", "output_folder"), message))
    elif not os.path.exists(paths.input) and not _matches(paths.input):  # noqa: PTH110  as above
        what = "no file matches" if is_glob(paths.input) else "there is no file or folder"
        message = f"{what} {paths.input}; check the path, and --root if it is relative"
        findings.missing.append(document.mistake(("data", "input_folder"), message))


def _matches(path: str) -> bool:
    return is_glob(path) and next(glob.iglob(path, recursive=True), None) is not None  # noqa: PTH207  as above


def _is_within(path: str, folder: str) -> bool:
    real, base = os.path.realpath(path), os.path.realpath(folder)
    return os.path.commonpath([real, base]) == base
