"""What is known of a task's scorer before it is made: enough to decide which run a start belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from modelcall.types import Columns, RowScorer


@dataclass(frozen=True, slots=True)
class ScorerPlan:
    """A scorer that is not made yet."""

    columns: Columns | None
    is_judge: bool
    identity: Mapping[str, str]
    needed: str | None
    """The input column without which no row can be scored."""
    make: Callable[[frozenset[str], tuple[str, ...]], RowScorer]
    """Make the scorer from the names of the input columns and, if the run serves the model itself, its URLs."""
    unknown: Callable[[frozenset[str]], Mapping[str, str | None]] = lambda _: {}
    """Names in braces in a prompt that no input column has, each with the nearest column."""
