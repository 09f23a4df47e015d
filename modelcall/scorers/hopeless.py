"""Stops a run whose prompt is broken: more than half of its first rows fail on the form of their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcall.errors import FatalError
from modelcall.llm.structured.excerpt import excerpt
from modelcall.types import ErrorType

if TYPE_CHECKING:
    from modelcall.types import Outcome

FIRST_ROWS = 200
"""Rows of an invocation that are looked at; more than half of them must fail."""
_SHOWN = 3
_FORMAT_FAILURES = frozenset({ErrorType.INVALID_OUTPUT, ErrorType.CUT})


class FormatWatch:
    """Counts format failures among the first rows; with the 101st the verdict is certain.

    The verdict is raised to the rows that have not begun: those in flight still end with their outcomes, recorded.
    """

    def __init__(self) -> None:
        self._begun = 0
        self._failed = 0
        self._answers: list[str] = []

    def begin(self) -> bool:
        """Count a row in; whether it is one of the first.

        Raises:
            FatalError: The prompt is broken; three answers are shown.
        """
        if self._failed * 2 > FIRST_ROWS:
            raise self._verdict()
        self._begun += 1
        return self._begun <= FIRST_ROWS

    def end(self, outcome: Outcome) -> None:
        """Note what became of one of the first rows."""
        if outcome.error_type in _FORMAT_FAILURES:
            self._failed += 1
            if len(self._answers) < _SHOWN:
                self._answers.append(f"[{outcome.fail_reason}] {excerpt(outcome.raw or '')}")

    def _verdict(self) -> FatalError:
        shown = "\n".join(f"  {number}. {answer}" for number, answer in enumerate(self._answers, 1))
        return FatalError(
            f"{self._failed} of the first {FIRST_ROWS} rows got no answer of the requested form: the prompt (or the"
            f" model) is at fault, not the rows. Three of the answers:\n{shown}",
            hint="Correct the prompt or the model, then start again with --fresh: what changes them is a new run.",
        )
