"""The files a task is made of: the task itself, and its model and prompt, each a file, inline keys, or both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from pydantic import BaseModel

from modelcall.config.checking import check
from modelcall.config.document import Document, KeyPath
from modelcall.config.paths import find_config, scheme
from modelcall.config.suggest import nearest
from modelcall.config.task import TaskConfig
from modelcall.config.unsupported import refusal
from modelcall.config.yaml_loader import load_document
from modelcall.errors import ConfigError

if TYPE_CHECKING:
    from modelcall.config.environment import Environment
    from modelcall.config.findings import Findings

B = TypeVar("B", bound=BaseModel)

_SWITCHED: Final = ("preprocess", "debug", "distributed")
"""Blocks that are ignored whole while they are switched off."""
_SHARED: Final = ("model", "prompt")


def without_disabled(document: Document) -> Document:
    """Return the task without what stands in blocks that say ``enabled: false``."""
    for key in _SWITCHED:
        block = document.data.get(key)
        if isinstance(block, dict) and is_off(block.get("enabled")):
            document = document.with_value((key,), {"enabled": False}, where=document.mistake((key,), "").where)
    return document


def warn_of_forgotten_switch(document: Document, findings: Findings) -> None:
    """Warn about a block that is filled in and has no ``enabled``: it is off."""
    for key in _SWITCHED:
        block = document.data.get(key)
        if isinstance(block, dict) and block and "enabled" not in block:
            message = "is ignored: it does not say `enabled: true`"
            findings.warnings.append(document.mistake((key,), message))


def is_off(value: object) -> bool:
    """Whether a switch is written as off."""
    return value is False or (isinstance(value, str) and value.lower() in ("no", "off", "false"))


def read_task(document: Document, findings: Findings) -> TaskConfig | None:
    """Check the task file itself; of model and prompt only ``config_path``, the rest is checked as their file."""
    data = dict(document.data)
    for key in _SHARED:
        if isinstance(data.get(key), dict):
            data[key] = {"config_path": data[key].get("config_path")}
    task, mistakes = check(Document(data, document.places), TaskConfig)
    findings.mistakes += mistakes
    return task


def read_part(
    document: Document, key: str, model: type[B], *, folder: Path, environment: Environment, findings: Findings
) -> tuple[B | None, Document, str | None]:
    """Check the model or the prompt of a task.

    Returns:
        The block, its document, and the file's path; the first is None if it is absent or wrong.
    """
    inline = document.block(key).without("config_path")
    path = document.block(key).data.get("config_path")
    if path is None and not inline.data:
        return None, inline, None
    if path is None:
        block, mistakes = check(inline, model)
        findings.mistakes += mistakes
        return block, inline, None
    try:
        found = _found(document, (key, "config_path"), folder=folder, environment=environment)
        written = load_document(found, shown=str(path)) if found else Document()
    except ConfigError as error:
        findings.mistakes += error.mistakes
        return None, inline, None
    if found is None:  # no text at all: the task's own check says so
        return None, inline, None
    whole = inline.over(written)
    block, mistakes = check(whole, model)
    findings.mistakes += [*written.slips, *mistakes]
    return block, whole, str(path)


def _found(document: Document, path: KeyPath, *, folder: Path, environment: Environment) -> Path | None:
    written = document.block(str(path[0])).data["config_path"]
    if not isinstance(written, str) or not written:
        return None
    if scheme(written):
        sentence = refusal("model and prompt files elsewhere than on the local disk", "copy the file here")
        raise _mistake(document, path, sentence)
    found = find_config(written, task_folder=folder, environment=environment)
    if found is None:
        raise _mistake(document, path, _not_found(written, folder=folder, environment=environment))
    return found


def _mistake(document: Document, path: KeyPath, message: str) -> ConfigError:
    mistake = document.mistake(path, message)
    return ConfigError(str(mistake), mistakes=[mistake])


def _not_found(written: str, *, folder: Path, environment: Environment) -> str:
    beside = [environment.cwd / Path(written).parent, environment.cwd / folder / Path(written).parent]
    names = [path.name for place in beside if place.is_dir() for path in place.glob("*.y*ml")]
    like = nearest(Path(written).name, names)
    hint = f'; did you mean "{Path(written).parent / like}"?' if like else ""
    return f"there is no file {written!r}, neither from the current folder nor beside the task file{hint}"
