"""Where data and configuration files are, and how the placeholders of ``output_folder`` are filled.

Relative data paths hang from the data root, which may be a URL; ``/x``, ``./x``, ``../x``, ``~/x`` and URLs are never
re-rooted. Nothing here looks at a disk but :func:`find_config`.
"""

from __future__ import annotations

import hashlib
import os.path
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

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
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
NO_BUCKET: Final = "$TOS_BUCKET"
_BUILT_IN: Final = ("local", "tos")
"""Names for ``--fs`` beside those of plug-ins."""


@dataclass(frozen=True, slots=True)
class PreprocessPaths:
    """The data paths of preprocessing: absolute, or URLs."""

    raw: str
    output: str
    stat: str | None = None
    """None: ``.modelcall/preprocess/`` in the output folder."""


@dataclass(frozen=True, slots=True)
class TaskPaths:
    """The data paths of a task: absolute, or URLs. ``output`` may still hold placeholders."""

    input: str
    output: str
    stat: str | None
    """None: ``.modelcall/`` in the output folder."""
    preprocess: PreprocessPaths | None = None
    """None: the input is scored as it is; else it is what preprocessing brings out."""


@dataclass(frozen=True, slots=True)
class DataRoot:
    """What relative data paths hang from."""

    base: str
    """An absolute local path, or a URL."""
    plugin: str | None = None
    """The file system of one's own that has everything below ``base``: ``package.module:Class``, or its name."""


def is_below(path: str, folder: str) -> bool:
    """Whether a path is a folder, or in it."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def scheme(path: object) -> str | None:
    """Return what stands before ``://``, in small letters; None for a local path, ``file://`` included."""
    found = _SCHEME.match(path) if isinstance(path, str) else None
    return None if found is None or found[1].lower() == "file" else found[1].lower()


def data_root(
    *, environment: Environment, root: str | None, fs: str | None, task_root: str | None, task_fs: str | None
) -> DataRoot:
    """Return what relative data paths hang from.

    ``--root``, else ``--fs``, else ``data.root``, else ``data.fs``, else ``$DATA_ROOT``, else the current folder; where
    ``tos`` means ``tos://$TOS_BUCKET``, ``local`` the current folder, and a plug-in whatever root is given beside it. A
    root that is relative itself hangs from what the file system means.

    Without a TOS_BUCKET its place is held by :data:`NO_BUCKET`.
    """
    name = fs or task_fs
    plugin = name if name is not None and name not in _BUILT_IN else None
    ambient = environment.get("DATA_ROOT")
    if root is None and (fs is None or plugin is not None):
        root = task_root
    if root is None and (name is None or plugin is not None):
        root = ambient
    if root is not None and scheme(root):
        return DataRoot(_trimmed(root), plugin)
    if name == "tos" and not _is_explicit(root):
        bucket = f"tos://{environment.get('TOS_BUCKET') or NO_BUCKET}"
        return DataRoot(bucket if root is None else f"{bucket}/{os.path.normpath(root)}")
    here = str(environment.cwd)
    return DataRoot(here if root is None else _local_path(root, root=here, environment=environment), plugin)


def data_path(path: str, *, root: str, environment: Environment) -> str:
    """Return a data path as an absolute local path or a URL.

    In local paths ``.`` and ``..`` are resolved, by their names alone; in URLs below a root, too.
    """
    if scheme(path):
        return _trimmed(path)
    if scheme(root) and not _is_explicit(path) and not path.lower().startswith("file://"):
        return f"{root}/{os.path.normpath(path)}"
    return _local_path(path, root=root, environment=environment)


def _trimmed(url: str) -> str:
    name, rest = url.split("://", 1)
    return f"{name.lower()}://{rest.rstrip('/')}"


def _is_explicit(path: str | None) -> bool:
    """Whether a path is a local one, whatever the root is."""
    return path is not None and (path in (".", "..", "~") or path.startswith(("/", "./", "../", "~/")))


def _local_path(path: str, *, root: str, environment: Environment) -> str:
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
    if found is None:
        return path
    folder = path[: found.start()].rpartition("/")[0] or "/"
    return f"{folder}/" if folder.endswith(":/") else folder


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
