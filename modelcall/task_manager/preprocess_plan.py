"""What preprocessing is to do, as it travels to worker processes, and how a worker does it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from modelcall.data_processing.base import BasePreprocessor
from modelcall.data_processing.file import Work, process_file
from modelcall.errors import ConfigError
from modelcall.garbage import leave_pandas_out
from modelcall.pipeline.owning import to_its_end
from modelcall.registry import load, place_of, source_hash
from modelcall.task_manager.stores import Stores
from modelcall.tokens import identity_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence

    from modelcall.config.environment import Environment
    from modelcall.config.paths import PreprocessPaths
    from modelcall.config.preprocess import PreprocessConfig
    from modelcall.config.storage import Storage
    from modelcall.data_processing.report import FileJob, FileReport
    from modelcall.engines.base import Channel

_SHAPING = ("text_key", "max_tokens", "dedupe", "source_name", "field_mapping", "filters", "transformations")
"""Keys of the configuration that decide what a row becomes."""
_OF_ONES_OWN = ("options", "seed")
"""Keys that decide it only if a preprocessor of one's own looks at them."""


@dataclass(frozen=True, slots=True)
class PreprocessPlan:
    """Which files become which, and how. Picklable; its repr shows no credential."""

    config: PreprocessConfig
    paths: PreprocessPaths
    storage: Storage = field(repr=False)
    environment: Environment = field(repr=False)
    settings: Mapping[str, str] = field(default_factory=dict)
    """What shapes the rows, by name: output of others is made anew."""

    @property
    def stat(self) -> str:
        """Folder for what became of each file."""
        return self.paths.stat or f"{self.paths.output}/.modelcall/preprocess"

    @property
    def runs_users_code(self) -> bool:
        """Whether it names a class that is not ours."""
        return self.config.is_users or self.storage.root.plugin is not None

    def make(self, *, listed: Callable[[], Sequence[str]] = list) -> BasePreprocessor:
        """Make the preprocessor.

        Raises:
            ConfigError: There is none of that name, it is no preprocessor, or cannot be made.
        """
        ref = self.config.script_type
        found = load("preprocessors", ref)
        if not (isinstance(found.target, type) and issubclass(found.target, BasePreprocessor)):
            raise ConfigError(f"'{ref}' is no preprocessor", hint="Make it a subclass of BasePreprocessor.")
        try:
            made: BasePreprocessor = found.target(
                self.paths.raw, self.paths.output, self.stat, config=self.config, listed=listed
            )
        except Exception as error:
            raise ConfigError(f"'{ref}' cannot be made: {type(error).__name__}: {error} ({place_of(error)})") from error
        return made


def planned(
    config: PreprocessConfig, paths: PreprocessPaths, storage: Storage, environment: Environment
) -> PreprocessPlan:
    """Plan preprocessing; what cannot be used is refused.

    Raises:
        ConfigError: As :meth:`PreprocessPlan.make`; or there is no such tokenizer.
    """
    plan = PreprocessPlan(config, paths, storage, environment)
    return replace(plan, settings=_settings(config, plan.make()))


def _settings(config: PreprocessConfig, made: BasePreprocessor) -> dict[str, str]:
    own = config.is_users
    values = config.model_dump(mode="json")
    return {
        "script_type": config.script_type,
        "version of the preprocessor": made.version,
        **({"source of the preprocessor": source_hash(type(made))} if own else {}),
        "tokenizer": identity_of(config.tokenizer),
        **{name: _text(values[name]) for name in (*_SHAPING, *(_OF_ONES_OWN if own else ()))},
    }


def _text(value: Any) -> str:  # noqa: ANN401  any JSON value
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


async def preprocess_files(
    jobs: AsyncIterator[FileJob], _: Channel, *, plan: PreprocessPlan
) -> AsyncGenerator[FileReport, None]:
    """Preprocess files one after another: the work that an engine runs, in as many processes as it likes."""
    if not plan.runs_users_code:
        leave_pandas_out()
    stores = Stores(plan.storage, plan.environment)
    stopped = threading.Event()
    work = Work(
        plan.make,
        inputs=stores.at(plan.paths.raw),
        outputs=stores.at(plan.paths.output),
        folder=plan.paths.output,
        settings=plan.settings,
        stopped=stopped.is_set,
    )
    async for job in jobs:
        yield await to_its_end(partial(process_file, job, work), stop=stopped.set)
