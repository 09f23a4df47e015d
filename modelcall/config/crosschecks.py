"""Checks that need more than one block: prompt against task, paths, repeated runs."""

from __future__ import annotations

import glob
import os.path
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from modelcall.config.output_checks import output_mistakes, output_warnings
from modelcall.config.parts import is_off
from modelcall.config.paths import (
    PLACEHOLDERS,
    PreprocessPaths,
    TaskPaths,
    data_path,
    data_root,
    fixed_prefix,
    is_glob,
    placeholders_in,
    scheme,
    unknown_placeholders,
)
from modelcall.config.storage import HINT, is_strange, missing_package, missing_variables, storage
from modelcall.config.suggest import did_you_mean

if TYPE_CHECKING:
    from modelcall.config.document import Document, KeyPath
    from modelcall.config.environment import Environment
    from modelcall.config.findings import Findings
    from modelcall.config.model import ModelConfig
    from modelcall.config.paths import DataRoot
    from modelcall.config.prompt import PromptConfig
    from modelcall.config.storage import Storage
    from modelcall.config.task import TaskConfig
    from modelcall.config.template import Template
    from modelcall.errors import Mistake

DEFAULT_KEY: Final = "text"
_FORMAT_KEY: Final[KeyPath] = ("data", "prompt_format_key")
_COMMON: Final = ("tos", "s3", "gs", "az", "hf", "file")
"""URLs that are likely to be meant."""
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
) -> tuple[TaskPaths, Storage] | None:
    """Resolve the data paths, and look whether they can be reached and the input is there."""
    data = document.block("data").data
    written = {key: data.get(key) for key in ("input_folder", "output_folder", "stat_folder", "root", "fs")}
    texts = {key: value if isinstance(value, str) and value else None for key, value in written.items()}
    base = data_root(environment=environment, root=root, fs=fs, task_root=texts.pop("root"), task_fs=texts.pop("fs"))
    stores = storage(environment, base)
    places: dict[str, str | None] = {}
    for key, text in texts.items():
        places[key] = text and data_path(text, root=base.base, environment=environment)
        _check_reach(places[key] or "", stores, document.mistake(("data", key), ""), environment, findings)
    source, target = places["input_folder"], places["output_folder"]
    before = _settle_preprocess(document, base, stores, environment, findings)
    if not source or not target or any(written[key] not in {text, None} for key, text in texts.items()):
        return None  # the other checks have said why
    paths = TaskPaths(source if before is None else before.output, target, places["stat_folder"], before)
    _check_placeholders(document, findings)
    raw = source if before is None else before.raw
    if stores.kind(raw) == "local":
        own = before is not None and document.block("preprocess").data.get("input_folder")
        _check_input(raw, document, findings, path=("preprocess" if own else "data", "input_folder"))
    if stores.kind(paths.input) == stores.kind(target) == "local":
        _check_apart(paths, document, findings)
    return paths, stores


def _settle_preprocess(
    document: Document, root: DataRoot, stores: Storage, environment: Environment, findings: Findings
) -> PreprocessPaths | None:
    """Resolve the data paths of preprocessing; None if there is none, or a mistake stands in it."""
    block = document.block("preprocess").data
    if not block or is_off(block.get("enabled", False)):
        return None
    source = block.get("input_folder") or document.block("data").data.get("input_folder")
    written = {"input_folder": source, **{key: block.get(key) for key in ("output_folder", "stat_folder")}}
    if not written["output_folder"]:
        message = "is required: the folder of the result, which is what is scored"
        findings.mistakes.append(document.mistake(("preprocess", "output_folder"), message))
    if not all(isinstance(value, str) for value in written.values() if value is not None):
        return None  # the other checks have said why
    paths = {key: text and data_path(text, root=root.base, environment=environment) for key, text in written.items()}
    for key, path in paths.items():
        _check_reach(path or "", stores, document.mistake(("preprocess", key), ""), environment, findings)
        if placeholders_in(path or ""):
            message = "placeholders are filled in data.output_folder only; here the braces stay"
            findings.warnings.append(document.mistake(("preprocess", key), message))
    if not paths["input_folder"] or not paths["output_folder"]:
        return None
    return PreprocessPaths(paths["input_folder"], paths["output_folder"], paths["stat_folder"])


def _check_reach(path: str, stores: Storage, where: Mistake, environment: Environment, findings: Findings) -> None:
    name = scheme(path)
    if stores.kind(path) != "plugin" and is_strange(name):
        message = f"there is no storage for {name}:// URLs{did_you_mean(name or '', _COMMON)}"
        findings.mistakes.append(replace(where, message=message))
    elif name is not None and stores.kind(path) == "url" and (package := missing_package(name)):
        findings.missing.append(replace(where, message=f"{name}:// URLs need a package: {package}"))
    if names := ", ".join(missing_variables(path, environment)):
        findings.missing.append(replace(where, message=f"{path} needs {names}, not set; {HINT}"))


def _check_placeholders(document: Document, findings: Findings) -> None:
    data = document.block("data").data
    for name in unknown_placeholders(str(data.get("output_folder", ""))):
        message = f"{{{name}}} is no placeholder and stays as it is{did_you_mean(name, PLACEHOLDERS)}"
        findings.warnings.append(document.mistake(("data", "output_folder"), message))
    for key in ("input_folder", "stat_folder"):
        if placeholders_in(str(data.get(key, ""))):
            message = "placeholders are filled in output_folder only; here the braces stay"
            findings.warnings.append(document.mistake(("data", key), message))


def _check_input(source: str, document: Document, findings: Findings, *, path: KeyPath) -> None:
    if not os.path.exists(source) and not _matches(source):  # noqa: PTH110  a path that was never made a Path
        what = "no file matches" if is_glob(source) else "there is no file or folder"
        message = f"{what} {source}; check the path, and --root if it is relative"
        findings.missing.append(document.mistake(path, message))


def _check_apart(paths: TaskPaths, document: Document, findings: Findings) -> None:
    is_folder = paths.preprocess is not None or os.path.isdir(paths.input)  # noqa: PTH112  as above
    if is_folder and _is_within(fixed_prefix(paths.output), paths.input):
        message = "lies in the input folder, so results would be read as input; choose a folder beside it"
        findings.mistakes.append(document.mistake(("data", "output_folder"), message))


def _matches(path: str) -> bool:
    return is_glob(path) and next(glob.iglob(path, recursive=True), None) is not None  # noqa: PTH207  as above


def _is_within(path: str, folder: str) -> bool:
    real, base = os.path.realpath(path), os.path.realpath(folder)
    return os.path.commonpath([real, base]) == base
