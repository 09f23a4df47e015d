"""Which shard of a task this is: the command line, else the task file, else the launcher's variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from modelcall.errors import ConfigError, Mistake

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelcall.config.environment import Environment
    from modelcall.config.task import DistributedConfig

CLI: Final = "the command line"
TASK: Final = "the task file"
DEFAULT: Final = "the default"


@dataclass(frozen=True, slots=True)
class Shard:
    """A share of a task's files."""

    job_index: int = 0
    world_size: int = 1
    source: str = DEFAULT
    """Where the two numbers came from, for the log."""


@dataclass(frozen=True, slots=True)
class _Given:
    """A number and where it came from."""

    value: int
    source: str


@dataclass(frozen=True, slots=True)
class _Launch:
    """What a launcher says; it may know the index alone."""

    index: _Given
    world: _Given | None


def resolve_shard(
    distributed: DistributedConfig,
    environment: Environment,
    *,
    job_index: int | None = None,
    world_size: int | None = None,
) -> Shard:
    """Settle the shard; ``job_index`` and ``world_size`` are the command line's.

    Raises:
        ConfigError: More than one shard and no index, an index outside the shards, or broken launcher variables.
    """
    launch = _launch(environment) if distributed.enabled else None
    world = _first(_given(world_size, CLI), _task_world(distributed), launch.world if launch else None)
    index = _first(_given(job_index, CLI), _task_index(distributed), launch.index if launch else None)
    _check(index, world)
    known = [given.source for given in (index, world) if given is not None]
    return Shard(
        job_index=index.value if index else 0,
        world_size=world.value if world else 1,
        source=" and ".join(dict.fromkeys(known)) or DEFAULT,
    )


def _check(index: _Given | None, world: _Given | None) -> None:
    mistakes = []
    if world is not None and world.value < 1:
        mistakes.append(f"world_size must be at least 1, got {world.value} (from {world.source})")
    if index is not None and index.value < 0:
        mistakes.append(f"job_index must be at least 0, got {index.value} (from {index.source})")
    if not mistakes:
        mistakes = _misfits(index, world)
    if mistakes:
        found = [Mistake(message, path="distributed") for message in mistakes]
        raise ConfigError("; ".join(mistakes), hint="pass --job_index and --world_size", mistakes=found)


def _misfits(index: _Given | None, world: _Given | None) -> list[str]:
    if index is None:
        several = world is not None and world.value > 1
        return (
            [f"world_size is {world.value} (from {world.source}), but no job_index is set"] if world and several else []
        )
    if world is None and (index.value > 0 or index.source not in (CLI, TASK)):
        return [f"job_index is {index.value} (from {index.source}), but no world_size is set"]
    if world is not None and index.value >= world.value:
        sources = "from " + " and ".join(dict.fromkeys((index.source, world.source)))
        return [f"job_index {index.value} must be below world_size {world.value} ({sources})"]
    return []


def _first(*given: _Given | None) -> _Given | None:
    return next((number for number in given if number is not None), None)


def _given(value: int | None, source: str) -> _Given | None:
    return None if value is None else _Given(value, source)


def _task_world(distributed: DistributedConfig) -> _Given | None:
    if not distributed.enabled or "world_size" not in distributed.model_fields_set:
        return None
    return _Given(distributed.world_size, TASK)


def _task_index(distributed: DistributedConfig) -> _Given | None:
    return _given(distributed.job_index, TASK) if distributed.enabled else None


def _launch(environment: Environment) -> _Launch | None:
    launches = (read(environment) for read in _LAUNCHERS)
    return next((launch for launch in launches if launch is not None), None)


def _slurm(environment: Environment) -> _Launch | None:
    """A Slurm array: task ids run from MIN to MAX by STEP."""
    task = _number(environment, "SLURM_ARRAY_TASK_ID")
    if task is None:
        return None
    low = _number(environment, "SLURM_ARRAY_TASK_MIN") or 0
    step = max(1, _number(environment, "SLURM_ARRAY_TASK_STEP") or 1)
    high, count = _number(environment, "SLURM_ARRAY_TASK_MAX"), _number(environment, "SLURM_ARRAY_TASK_COUNT")
    span = None if high is None else (high - low) // step + 1
    if (task - low) % step or (span is not None and count is not None and span != count):
        raise ConfigError(
            "the ids of this Slurm array are not evenly spaced, so they name no shards",
            hint="pass --job_index and --world_size",
        )
    world = count if count is not None else span
    return _Launch(_Given((task - low) // step, "SLURM_ARRAY_TASK_ID"), _given(world, "the Slurm array"))


def _kubernetes(environment: Environment) -> _Launch | None:
    """An indexed Kubernetes job: it knows its index, not how many there are."""
    index = _given(_number(environment, "JOB_COMPLETION_INDEX"), "JOB_COMPLETION_INDEX")
    return None if index is None else _Launch(index, None)


def _torchrun(environment: Environment) -> _Launch | None:
    rank, world = _number(environment, "RANK"), _number(environment, "WORLD_SIZE")
    if rank is None or world is None:
        return None
    return _Launch(_Given(rank, "RANK"), _Given(world, "WORLD_SIZE"))


_LAUNCHERS: Final[tuple[Callable[[Environment], _Launch | None], ...]] = (_slurm, _kubernetes, _torchrun)
"""In this order: a pod of an indexed job may carry RANK as well."""


def _number(environment: Environment, name: str) -> int | None:
    text = environment.get(name)
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise ConfigError(f"${name} must be a whole number, got {text[:40]!r}") from None
