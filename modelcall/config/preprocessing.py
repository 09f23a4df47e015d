"""What ``modelcall preprocess`` is given, by options and a file, to everything that preprocessing needs to know."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from modelcall.config.checking import check
from modelcall.config.document import Document, KeyPath, Place
from modelcall.config.environment import Environment
from modelcall.config.paths import PreprocessPaths, data_path, data_root, find_config
from modelcall.config.preprocess import PreprocessConfig
from modelcall.config.storage import storage
from modelcall.config.yaml_loader import load_document
from modelcall.errors import ConfigError, Mistake
from modelcall.tokens import CHARACTERS, EMBEDDED

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from modelcall.config.paths import DataRoot
    from modelcall.config.storage import Storage

_BLOCK: Final = "preprocess"
_NEEDED: Final = {"raw_path": "input_folder", "output_dir": "output_folder"}
_PATHS: Final = {**_NEEDED, "stat_dir": "stat_folder"}
"""Options and the keys they stand for, where their names differ."""
_TASK_KEYS: Final = frozenset({"task_name", "data"})


@dataclass(frozen=True, slots=True)
class LoadedPreprocess:
    """Validated preprocessing. Picklable; its repr shows no credential."""

    config: PreprocessConfig
    paths: PreprocessPaths
    storage: Storage = field(repr=False)
    environment: Environment = field(repr=False)


def load_preprocess(
    options: Mapping[str, object],
    *,
    file: str | None = None,
    environment: Environment | None = None,
    root: str | None = None,
    fs: str | None = None,
) -> LoadedPreprocess:
    """Build preprocessing from options, over a file with the keys of the ``preprocess`` block.

    Args:
        options: Values by the names of keys, ``raw_path``, ``output_dir`` and ``stat_dir``; None: not given.
        file: The keys, bare or under ``preprocess:``; a task file works.
        environment: The variables; default: those of the process and of ``.env``.
        root: ``--root``.
        fs: ``--fs``.

    Raises:
        ConfigError: Holds all mistakes.
    """
    environment = environment or Environment.read()
    written = Document() if file is None else _from_file(environment.cwd / file, shown=file)
    document = _options(options).over(written)
    config, mistakes = check(document, PreprocessConfig)
    base = data_root(environment=environment, root=root, fs=fs, task_root=None, task_fs=None)
    mistakes += [
        *written.slips,
        *(
            document.mistake((key,), f"is required, as --{option}, or in the file")
            for option, key in _NEEDED.items()
            if not document.data.get(key)
        ),
    ]
    if config is None or mistakes:
        raise _refused(mistakes)
    paths = preprocess_paths(config, base, environment)
    stores = storage(environment, base)
    folder = environment.cwd if file is None else (environment.cwd / file).parent
    config = with_found_tokenizer(config, folder=folder, environment=environment)
    return LoadedPreprocess(config, paths, stores, environment)


def preprocess_paths(config: PreprocessConfig, root: DataRoot, environment: Environment) -> PreprocessPaths:
    """Return the data paths of a block that names input and output."""
    raw, output, stat = (
        path and data_path(path, root=root.base, environment=environment)
        for path in (config.input_folder, config.output_folder, config.stat_folder)
    )
    return PreprocessPaths(raw or "", output or "", stat)


def with_found_tokenizer(config: PreprocessConfig, *, folder: Path, environment: Environment) -> PreprocessConfig:
    """Return the block with the path of its tokenizer.json as it was found, from the current folder or the file's."""
    name = config.tokenizer
    if name in {*EMBEDDED, CHARACTERS} or not name.endswith(".json"):
        return config
    found = find_config(name, task_folder=folder, environment=environment)
    return config if found is None else config.model_copy(update={"tokenizer": str(found)})


def _from_file(path: Path, *, shown: str) -> Document:
    whole = load_document(path, shown=shown)
    block = whole.block(_BLOCK)
    if isinstance(whole.data.get(_BLOCK), dict):
        return Document(_with_input(block.data, whole), block.places, block.odd_text, whole.slips)
    if _TASK_KEYS & whole.data.keys():
        mistake = Mistake("this task has no block `preprocess`", where=shown)
        raise ConfigError(str(mistake), mistakes=[mistake])
    return whole


def _with_input(block: Mapping[str, object], task: Document) -> Mapping[str, object]:
    """Return the block of a task file, whose input is the task's unless it says another."""
    data = task.data.get("data")
    source = data.get("input_folder") if isinstance(data, dict) else None
    return {"input_folder": source, **block} if source and "input_folder" not in block else block


def _options(options: Mapping[str, object]) -> Document:
    given = {name: value for name, value in options.items() if value is not None}
    data = {_PATHS.get(name, name): value for name, value in given.items()}
    names = {key: option for option, key in _PATHS.items()}
    places: dict[KeyPath, Place] = {(key,): Place(f"--{names.get(key, key)}", ()) for key in data}
    return Document(data, {(): Place("modelcall preprocess", ()), **places})


def _refused(mistakes: list[Mistake]) -> ConfigError:
    if len(mistakes) == 1:
        return ConfigError(str(mistakes[0]), mistakes=mistakes)
    return ConfigError(f"{len(mistakes)} mistakes; nothing was started", hint="correct them", mistakes=mistakes)
