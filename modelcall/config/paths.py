"""Where data and configuration files are, and how the placeholders of ``output_folder`` are filled.

Relative data paths hang from the data root; ``/x``, ``./x``, ``../x``, ``~/x`` and URLs are never re-rooted. Nothing
here looks at a disk but :func:`find_config`.
"""

from __future__ import annotations

import hashlib
import os.path
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from modelcall.config.unsupported import REMOTE, is_remote, refusal
from modelcall.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelcall.config.environment import Environment

PLACEHOLDERS: Final = ("timestamp", "task_name", "run_index")
"""What ``output_folder`` may hold in braces."""
_PLACEHOLDER: Final = re.compile(r"\{(" + "|".join(PLACEHOLDERS) + r")\}")
_BRACED: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_WILDCARD: Final = re.compile(r"[*?\[]")
_UNSAFE: Final = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\u200b-\u200f\u2028-\u202e\u2066-\u2069]+')
_MAX_NAME_BYTES: Final = 120


@dataclass(frozen=True, slots=True)
class TaskPaths:
    """The data paths of a task, absolute. ``output`` may still hold placeholders."""

    input: str
    output: str
    stat: str | None
    """None: ``.modelcall/`` in the output folder."""


def data_root(
    *, environment: Environment, root: str | None, fs: str | None, task_root: str | None, task_fs: str | None
) -> str:
    """Return the folder relative data paths hang from.

    ``--root``, else ``--fs``, else ``data.root``, else ``data.fs``, else ``$DATA_ROOT``, else the current folder.

    Raises:
        ConfigError: It is no local folder.
    """
    here = str(environment.cwd)
    for source, value, base in (
        ("--root", root, root),
        ("--fs", fs, here),
        ("data.root", task_root, task_root),
        ("data.fs", task_fs, here),
        ("$DATA_ROOT", environment.get("DATA_ROOT"), environment.get("DATA_ROOT")),
    ):
        if value is not None and base is not None:
            _must_be_local(source, value)
            return local_path(base, root=here, environment=environment)
    return here


def _must_be_local(source: str, value: str) -> None:
    if is_remote(value) or (source.endswith("fs") and value != "local"):
        sentence = refusal(REMOTE, f"{source} must be local")
        raise ConfigError(sentence)


def local_path(path: str, *, root: str, environment: Environment) -> str:
    """Return the absolute path of a data path; ``.`` and ``..`` are resolved by their names alone."""
    if path.lower().startswith("file://"):
        path = unquote(urlsplit(path).path) or "/"
    if path == "~" or path.startswith("~/"):
        path = os.path.join(environment.get("HOME") or "~", path[2:])  # noqa: PTH118  globs and placeholders stay text
    explicit = path in (".", "..") or path.startswith(("./", "../"))
    return os.path.normpath(os.path.join(str(environment.cwd) if explicit else root, path))  # noqa: PTH118  as above


def find_config(path: str, *, task_folder: Path, environment: Environment) -> Path | None:
    """Look a configuration file up from the current folder, then from the task file's folder."""
    wanted = Path(environment.get("HOME") or "~", path[2:]) if path.startswith("~/") else Path(path)
    candidates = (environment.cwd / wanted, environment.cwd / task_folder / wanted)
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def placeholders_in(path: str) -> frozenset[str]:
    """The placeholders that a path holds."""
    return frozenset(_PLACEHOLDER.findall(path))


def unknown_placeholders(path: str) -> list[str]:
    """Names in braces that are no placeholder and stay as they are."""
    return [name for name in _BRACED.findall(path) if name not in PLACEHOLDERS]


def fixed_prefix(path: str) -> str:
    """Return the longest folder of an absolute path above its first placeholder: where a run's timestamp is kept."""
    found = _PLACEHOLDER.search(path)
    return path if found is None else path[: found.start()].rpartition("/")[0] or "/"


def is_glob(path: str) -> bool:
    """Whether a path holds wildcards."""
    return _WILDCARD.search(path) is not None


def fill(path: str, values: Mapping[str, str]) -> str:
    """Fill the placeholders in one pass; each value becomes one safe name.

    Raises:
        KeyError: A placeholder of the path has no value.
    """
    return _PLACEHOLDER.sub(lambda found: safe_name(values[found[1]]), path)


def safe_name(text: str) -> str:
    """Return a text as one file name: no separators or control characters, no leading dot or underscore, not long."""
    name = _UNSAFE.sub("_", text).strip().lstrip("._") or "task"
    if len(name.encode()) <= _MAX_NAME_BYTES:
        return name
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return name.encode()[: _MAX_NAME_BYTES - 9].decode(errors="ignore") + "-" + digest
