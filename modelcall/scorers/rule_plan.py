"""A task's scorer that asks no model, planned: the built-in rules, or a user's own class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcall.config.record import secrets_of
from modelcall.permits import Permits
from modelcall.scorers import custom
from modelcall.scorers.planning import ScorerPlan
from modelcall.scorers.quality.scorer import QualityScorer

if TYPE_CHECKING:
    from modelcall.config.loading import LoadedTask
    from modelcall.llm.exchange import EventHook
    from modelcall.types import RowScorer


def plan_quality(loaded: LoadedTask, hook: EventHook) -> ScorerPlan:
    """Plan the built-in rules over the task's text column."""
    del hook
    permits = Permits(loaded.task.concurrency.max_concurrent_requests)
    scorer = QualityScorer(permits, input_key=loaded.task.data.input_key)
    return _plan(scorer, needed=loaded.task.data.input_key)


def plan_custom(loaded: LoadedTask, hook: EventHook) -> ScorerPlan:
    """Plan a user's scorer with its own options.

    Raises:
        ConfigError: Not found, not importable, no scorer, or options it does not take.
    """
    del hook
    options = loaded.task.scorer.options if loaded.task.scorer else {}
    most = loaded.task.concurrency.max_concurrent_requests
    scorer = custom.build(loaded.scorer, options, max_concurrent=most, secrets=secrets_of(loaded))
    return _plan(scorer, needed=None)


def _plan(scorer: RowScorer, *, needed: str | None) -> ScorerPlan:
    return ScorerPlan(
        scorer.columns, is_judge=scorer.is_judge, identity=scorer.identity, needed=needed, make=lambda *_, **__: scorer
    )
