"""What is known of a task's scorer before it is made: enough to decide which run a start belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from modelcall.types import Columns, RowScorer


class MakeScorer(Protocol):
    """Makes a scorer from the names of the input columns and, if the run serves the model itself, its URLs."""

    def __call__(self, columns: frozenset[str], base_urls: tuple[str, ...], *, retry: bool = False) -> RowScorer:
        """With ``retry`` the rows have failed before: that most of them fail again speaks against them alone."""


@dataclass(frozen=True, slots=True)
class ScorerPlan:
    """A scorer that is not made yet."""

    columns: Columns | None
    is_judge: bool
    identity: Mapping[str, str]
    needed: str | None
    """The input column without which no row can be scored."""
    make: MakeScorer
    unknown: Callable[[frozenset[str]], Mapping[str, str | None]] = lambda _: {}
    """Names in braces in a prompt that no input column has, each with the nearest column."""


async def settled(scorer: RowScorer, known: Mapping[str, str] | None) -> tuple[RowScorer, Mapping[str, str]]:
    """Open a scorer and settle it; whatever happens before it is settled closes it again."""
    try:
        await scorer.open()
        return scorer, await scorer.settle(known)
    except BaseException:
        await scorer.close()
        raise
