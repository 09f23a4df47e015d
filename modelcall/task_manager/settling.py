"""A task's scorer: planned from what the user wrote, and settled before row one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcall.registry import BUILT_IN, load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelcall.config.loading import LoadedTask
    from modelcall.llm.exchange import EventHook
    from modelcall.scorers.planning import ScorerPlan
    from modelcall.types import RowScorer


def plan_scorer(loaded: LoadedTask, hook: EventHook) -> ScorerPlan:
    """Plan the scorer that a task names; ``hook`` is told what its client does.

    Raises:
        ConfigError: It cannot be used.
    """
    name = loaded.scorer if loaded.scorer in BUILT_IN["scorer plans"] else "custom"
    plan: ScorerPlan = load("scorer plans", name).target(loaded, hook)
    return plan


async def settled(scorer: RowScorer, known: Mapping[str, str] | None) -> tuple[RowScorer, Mapping[str, str]]:
    """Open a scorer and settle it; whatever happens before it is settled closes it again."""
    try:
        await scorer.open()
        return scorer, await scorer.settle(known)
    except BaseException:
        await scorer.close()
        raise
