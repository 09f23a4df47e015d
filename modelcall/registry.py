"""Names to classes: built-in ones by table, plug-ins by entry point, a user's own as ``package.module:Class``.

Nothing is imported before it is used. A user's module is found among installed packages, on PYTHONPATH, and last in
the current folder; folders with data are never searched.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import sys
import traceback
from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from modelcall.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

Kind: TypeAlias = Literal[
    "scorers", "scorer plans", "preprocessors", "engines", "filesystems", "formats", "servers", "parts"
]


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """Where a built-in lives, and what to install if its import fails."""

    ref: str
    hint: str = "Reinstall ModelCall: `uv sync`, or `pip install -e .`."


BUILT_IN: Mapping[str, Mapping[str, BuiltIn]] = {
    "scorers": {
        "llm": BuiltIn("modelcall.scorers.llm:JudgeScorer"),
        "quality": BuiltIn("modelcall.scorers.quality.scorer:QualityScorer"),
    },
    "scorer plans": {
        "llm": BuiltIn("modelcall.scorers.judge_plan:plan"),
        "quality": BuiltIn("modelcall.scorers.rule_plan:plan_quality"),
        "custom": BuiltIn("modelcall.scorers.rule_plan:plan_custom"),
    },
    "preprocessors": {
        "github_raw_code": BuiltIn("modelcall.data_processing.github_raw_code:GithubRawCode"),
        "universal": BuiltIn("modelcall.data_processing.universal:Universal"),
    },
    "parts": {  # of our own, that not every command needs
        "run": BuiltIn("modelcall.cli.running:run_loaded"),
        "preprocess": BuiltIn("modelcall.cli.preprocessing:run_preprocess"),
        "preprocess plan": BuiltIn("modelcall.task_manager.preprocess_plan:planned"),
        "preprocess run": BuiltIn("modelcall.task_manager.preprocess_run:PreprocessRun"),
        "live view": BuiltIn("modelcall.cli.live:live_view"),
        "watch": BuiltIn("modelcall.cli.live:watch"),
    },
    "servers": {"embedded": BuiltIn("modelcall.mock.embedded:embedded_server")},
    "engines": {
        "inline": BuiltIn("modelcall.engines.inline:InlineEngine"),
        "processes": BuiltIn("modelcall.engines.processes:ProcessEngine"),
    },
    "filesystems": {
        "local": BuiltIn("modelcall.fs.local:LocalFileSystem"),
        "tos": BuiltIn("modelcall.fs.tos.filesystem:TosFileSystem"),
        "fsspec": BuiltIn("modelcall.fs.remote:RemoteFileSystem"),
    },
    "formats": {
        "jsonl": BuiltIn("modelcall.formats.jsonl:JsonlSource"),
        "parquet": BuiltIn("modelcall.formats.parquet:ParquetSource"),
    },
}


@dataclass(frozen=True, slots=True)
class Found:
    """What a name led to."""

    target: Any
    """The class (or function) itself."""
    ref: str
    """``package.module:Class``."""
    origin: str
    """For the log: ``built-in``, ``entry point of <package>``, or the file it was read from."""
    in_current_folder: bool = False


def load(kind: Kind, name: str) -> Found:
    """Find and import a built-in, an entry point of the group ``modelcall.<kind>``, or ``package.module:Class``.

    Raises:
        ConfigError: Unknown name, no such module or class, or an import that fails: with file and line of the error.
    """
    if ":" in name:
        return _load_reference(kind, name)
    if built_in := BUILT_IN[kind].get(name):
        return _load_built_in(kind, name, built_in)
    for entry in entry_points(group=f"modelcall.{kind}", name=name):
        module = _imported(entry.module, what=f"{_singular(kind)} '{name}'")
        package = entry.dist.name if entry.dist else entry.module
        return Found(_attribute(module, entry.attr, entry.value), entry.value, f"entry point of {package}")
    raise _unknown(kind, name)


def names(kind: Kind) -> list[str]:
    """All names that can be loaded without a module: built in, and by entry point."""
    return sorted({*BUILT_IN[kind], *entry_points(group=f"modelcall.{kind}").names})


def _unknown(kind: Kind, name: str) -> ConfigError:
    known = names(kind)
    return ConfigError(
        f"There is no {_singular(kind)} '{name}'{_suggestion(name, known)}",
        hint=f"Known: {', '.join(known)}. One of your own is written package.module:Class.",
    )


def _load_built_in(kind: Kind, name: str, built_in: BuiltIn) -> Found:
    module_name, _, attribute = built_in.ref.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigError(f"The {_singular(kind)} '{name}' cannot be used: {error}.", hint=built_in.hint) from error
    return Found(_attribute(module, attribute, built_in.ref), built_in.ref, "built-in")


def _load_reference(kind: Kind, ref: str) -> Found:
    module_name, _, attribute = ref.partition(":")
    parts = [*module_name.split("."), *attribute.split(".")]
    if not all(part.isidentifier() for part in parts):
        raise ConfigError(f"'{ref}' names no class.", hint="Write package.module:Class, without slashes and .py.")
    package = module_name.partition(".")[0]
    _make_findable(package)
    module = _imported(module_name, what=f"{_singular(kind)} '{ref}'")
    origin = getattr(module, "__file__", None) or module_name
    return Found(_attribute(module, attribute, ref), ref, origin, _is_in_current_folder(sys.modules[package]))


def _make_findable(package: str) -> None:
    """Search the current folder too, last of all, if nothing else has the package."""
    importlib.invalidate_caches()
    if package not in sys.modules and find_spec(package) is None:
        here = str(Path.cwd())
        sys.path.append(here)
        if find_spec(package) is None:
            sys.path.pop()


def _is_in_current_folder(package: ModuleType) -> bool:
    file = getattr(package, "__file__", None)
    places = [*getattr(package, "__path__", ())] or ([file] if file else [])
    return any(Path(place).parent == Path.cwd() for place in places)


def _imported(module_name: str, *, what: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise ConfigError(
                f"The {what} was not found: there is no module '{error.name}'.",
                hint="Install its package, put its folder on PYTHONPATH, or start from the folder that holds it.",
            ) from None
        raise _import_failed(module_name, what, error) from error
    except (Exception, SystemExit) as error:
        raise _import_failed(module_name, what, error) from error


def _import_failed(module_name: str, what: str, error: BaseException) -> ConfigError:
    return ConfigError(
        f"The {what} cannot be imported: {type(error).__name__}: {error} ({place_of(error)}).",
        hint=f"`python -c 'import {module_name}'` shows the whole traceback.",
    )


def place_of(error: BaseException) -> str:
    """Return ``file:line`` of the code that raised; of the text itself for a syntax error."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    ours = str(Path(__file__).parent)
    theirs = [frame for frame in frames if not frame.filename.startswith(ours)]
    last = (theirs or frames)[-1:]
    return f"{last[0].filename}:{last[0].lineno}" if last else "unknown place"


def source_hash(target: Any) -> str:  # noqa: ANN401  a class or function
    """Return a digest of the module that a user's class stands in: another code is another result."""
    file = getattr(sys.modules[target.__module__], "__file__", None)
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else "unknown"


def _attribute(module: ModuleType, attribute: str, ref: str) -> Any:  # noqa: ANN401  any class
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            public = [name for name in dir(found) if not name.startswith("_")]
            raise ConfigError(
                f"'{ref}' was not found: {module.__name__} has no '{part}'{_suggestion(part, public)}",
                hint=f"Looked in {getattr(module, '__file__', None) or module.__name__}.",
            )
        found = getattr(found, part)
    return found


def _suggestion(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else "."


def _singular(kind: Kind) -> str:
    return kind.removesuffix("s")
