"""What a start is made of, planned: all that can be refused before a look at any data, and without Arrow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelcall.config.shard import resolve_shard
from modelcall.errors import ConfigError
from modelcall.pipeline.columns import ResultPlan
from modelcall.registry import BUILT_IN, load
from modelcall.task_manager.places import Places

if TYPE_CHECKING:
    from modelcall.config.loading import LoadedTask
    from modelcall.config.shard import Shard
    from modelcall.llm.exchange import EventHook
    from modelcall.mock.process import EmbeddedServer
    from modelcall.scorers.planning import ScorerPlan
    from modelcall.task_manager.preprocess_plan import PreprocessPlan
    from modelcall.task_manager.summary import Invocation


@dataclass(frozen=True, slots=True)
class Plans:
    """The parts of one start that is not begun."""

    shard: Shard
    scorer: ScorerPlan
    columns: ResultPlan
    places: Places
    preprocess: PreprocessPlan | None
    server: EmbeddedServer | None
    """Not started."""


def plan_task(loaded: LoadedTask, invocation: Invocation, hook: EventHook) -> Plans:
    """Plan a start of a task: what cannot be used is refused before there is a run.

    Raises:
        ConfigError: A module, a schema, a parameter, a tokenizer, a fault or a shard that cannot be.
    """
    shard = shard_of(loaded, invocation)
    scorer = plan_scorer(loaded, hook)
    columns = ResultPlan(
        scorer.columns,
        is_judge=scorer.is_judge,
        keep_raw=loaded.task.options.keep_raw,
        prefix=loaded.task.data.output_prefix,
    )
    places = Places(loaded)
    preprocess = _preprocess(loaded)
    if loaded.task.data.unify_schema:
        _require_declared(scorer)
    return Plans(shard, scorer, columns, places, preprocess, _embedded_server(loaded))


def shard_of(loaded: LoadedTask, invocation: Invocation) -> Shard:
    """Settle which shard of a task a start is.

    Raises:
        ConfigError: The numbers do not go together.
    """
    return resolve_shard(
        loaded.task.distributed,
        loaded.environment,
        job_index=invocation.job_index,
        world_size=invocation.world_size,
    )


def plan_scorer(loaded: LoadedTask, hook: EventHook) -> ScorerPlan:
    """Plan the scorer that a task names; ``hook`` is told what its client does.

    Raises:
        ConfigError: It cannot be used.
    """
    name = loaded.scorer if loaded.scorer in BUILT_IN["scorer plans"] else "custom"
    plan: ScorerPlan = load("scorer plans", name).target(loaded, hook)
    return plan


def _require_declared(scorer: ScorerPlan) -> None:
    """Refuse to unify schemas if the scorer's columns, which belong to them, are not known.

    Raises:
        ConfigError: They are not.
    """
    if scorer.columns is None:
        raise ConfigError(
            "data.unify_schema: the columns of this scorer are settled file by file, and may differ",
            hint='Declare them on it: columns = {"score": "float"}; or leave out data.unify_schema.',
        )


def _preprocess(loaded: LoadedTask) -> PreprocessPlan | None:
    """Return how the task's input is preprocessed, if it is."""
    if loaded.paths.preprocess is None:
        return None
    planned = load("parts", "preprocess plan").target
    plan: PreprocessPlan = planned(loaded.task.preprocess, loaded.paths.preprocess, loaded.storage, loaded.environment)
    return plan


def _embedded_server(loaded: LoadedTask) -> EmbeddedServer | None:
    """Return the server that the task asks for, if it does."""
    if loaded.endpoint is None or loaded.model is None or not loaded.endpoint.is_embedded:
        return None
    server: EmbeddedServer = load("servers", "embedded").target(loaded.model.embedded)
    return server
