"""The columns a run adds: the scorer's, then the bookkeeping, typed before row one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelcall.types import INT, STRING, ColumnType, Outcome, Usage

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from modelcall.types import Columns

_NO_USAGE = Usage()


@dataclass(frozen=True, slots=True)
class ResultPlan:
    """Which columns are added, under which names."""

    scorer: Columns | None
    """Columns of the scorer; None: settled over each file."""
    is_judge: bool
    keep_raw: bool = True
    prefix: str = ""

    def names(self) -> list[str]:
        """Names of all added columns that are known before row one."""
        return list(self.columns(self.scorer or {}))

    def columns(self, scorer: Columns) -> dict[str, ColumnType]:
        """Return all added columns by their name in the output, in order."""
        return {self.prefix + name: kind for name, kind in {**scorer, **self._bookkeeping()}.items()}

    def _bookkeeping(self) -> dict[str, ColumnType]:
        columns = {"api_status": STRING, "api_fail_reason": STRING, "api_error_type": STRING}
        if self.keep_raw:
            columns["api_return"] = STRING
        columns["api_attempts"] = INT
        if self.is_judge:
            columns |= {"api_model": STRING, "api_finish_reason": STRING}
            columns |= {f"api_{kind}_tokens": INT for kind in ("prompt", "completion", "cached", "reasoning")}
        return columns

    def values(self, outcomes: Sequence[Outcome], scorer: Columns) -> dict[str, list[Any]]:
        """Return the added columns of some rows as lists; a failed row has null in every column of the scorer."""
        columns: dict[str, list[Any]] = {
            self.prefix + name: [None if outcome.values is None else outcome.values.get(name) for outcome in outcomes]
            for name in scorer
        }
        columns[self.prefix + "api_status"] = [
            "success" if outcome.error_type is None else "error" for outcome in outcomes
        ]
        columns[self.prefix + "api_fail_reason"] = [outcome.fail_reason for outcome in outcomes]
        columns[self.prefix + "api_error_type"] = [outcome.error_type for outcome in outcomes]
        if self.keep_raw:
            columns[self.prefix + "api_return"] = [outcome.raw for outcome in outcomes]
        columns[self.prefix + "api_attempts"] = [outcome.attempts for outcome in outcomes]
        if self.is_judge:
            columns |= self._judge_values(outcomes)
        return columns

    def _judge_values(self, outcomes: Sequence[Outcome]) -> dict[str, list[Any]]:
        usages = [outcome.usage or _NO_USAGE for outcome in outcomes]
        return {
            self.prefix + "api_model": [outcome.model for outcome in outcomes],
            self.prefix + "api_finish_reason": [outcome.finish_reason for outcome in outcomes],
            self.prefix + "api_prompt_tokens": [usage.prompt_tokens for usage in usages],
            self.prefix + "api_completion_tokens": [usage.completion_tokens for usage in usages],
            self.prefix + "api_cached_tokens": [usage.cached_tokens for usage in usages],
            self.prefix + "api_reasoning_tokens": [usage.reasoning_tokens for usage in usages],
        }


def clash(plan: ResultPlan, input_columns: Collection[str]) -> str | None:
    """Return what is wrong if an added column has the name of an input column, else None."""
    both = [name for name in plan.names() if name in input_columns]
    if not both:
        return None
    return (
        f"the input already has the column(s) {', '.join(both)}; set data.output_prefix to name the added columns apart"
    )
