"""Stops a run that is hopeless: more than half of its first rows fail for what is the same for all rows.

That is the prompt, if their answers have not the requested form; the parameters, if the endpoint refuses the requests
as wrong ones.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from modelcall.errors import FatalError
from modelcall.llm.structured.excerpt import excerpt
from modelcall.types import ErrorType

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelcall.types import Outcome

FIRST_ROWS = 200
"""Rows of an invocation that are looked at; more than half of them must fail."""
_SHOWN = 3
_FORMAT_FAILURES = frozenset({ErrorType.INVALID_OUTPUT, ErrorType.CUT})
_HINT = "Correct {what}, then start again with --fresh: what changes them is a new run."


class HopelessWatch:
    """Counts such failures among the first rows; with the 101st the verdict is certain.

    The verdict is raised to the rows that have not begun: those in flight still end with their outcomes, recorded.
    """

    def __init__(self) -> None:
        self._begun = 0
        self._answers: list[str] = []
        self._refusals: list[str] = []

    def begin(self) -> bool:
        """Count a row in; whether it is one of the first.

        Raises:
            FatalError: Going on is pointless; three of the answers are shown.
        """
        if (len(self._answers) + len(self._refusals)) * 2 > FIRST_ROWS:
            raise self._verdict()
        self._begun += 1
        return self._begun <= FIRST_ROWS

    def end(self, outcome: Outcome) -> None:
        """Note what became of one of the first rows."""
        if outcome.error_type in _FORMAT_FAILURES:
            self._answers.append(f"[{outcome.fail_reason}] {excerpt(outcome.raw or '')}")
        elif outcome.error_type is ErrorType.REJECTED:
            self._refusals.append(excerpt(outcome.fail_reason or ""))

    def _verdict(self) -> FatalError:
        if len(self._answers) >= len(self._refusals):
            return FatalError(
                f"{len(self._answers)} of the first {FIRST_ROWS} rows got no answer of the requested form: the prompt"
                f" (or the model) is at fault, not the rows. Three of the answers:\n{_listed(self._answers)}",
                hint=_HINT.format(what="the prompt or the model"),
            )
        return FatalError(
            f"{len(self._refusals)} of the first {FIRST_ROWS} rows were refused as wrong requests: the parameters (or"
            f" the model) are at fault, not the rows. The endpoint said:\n{_listed(dict.fromkeys(self._refusals))}",
            hint=_HINT.format(what="completions_params or the model"),
        )


def _listed(texts: Iterable[str]) -> str:
    return "\n".join(f"  {number}. {text}" for number, text in enumerate(islice(texts, _SHOWN), 1))
