"""The contract of scorers as a test suite: subclass it beside your scorer and run pytest.

::

    from modelcall.scorers.contract import ScorerContract

    class TestMyScorer(ScorerContract):
        def make_scorer(self):
            return MyScorer(threshold=3)

        items = [{"text": "a document"}, {"text": ""}]
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

from modelcall.permits import Permits
from modelcall.scorers.custom import CustomScorer
from modelcall.types import RowRef, Scorer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelcall.types import Outcome, Row

_AT_ONCE = 4


class ScorerContract:
    """What every scorer must hold to. Give :meth:`make_scorer`, and rows of your own in ``items``."""

    items: ClassVar[Sequence[Row]] = (
        {"text": "A plain document."},
        {"text": ""},
        {"text": "混合 text, with \x00 and { braces }"},
    )
    """Rows that your scorer must be able to score."""

    def make_scorer(self) -> Scorer:
        """Return a new scorer."""
        raise NotImplementedError

    def test_has_a_score_method(self) -> None:
        """A scorer has ``score(item)``."""
        _expect(isinstance(self.make_scorer(), Scorer), "the scorer has no method score(self, item)")

    def test_scores_every_item(self) -> None:
        """Each row comes back whole, with columns added whose values a column can hold."""
        for item, outcome in zip(self.items, self._outcomes(self.items), strict=True):
            _expect(outcome.error_type is None, f"{item!r}: {outcome.error_type}: {outcome.fail_reason}")
            _expect(bool(outcome.values), f"{item!r}: nothing was added")

    def test_adds_the_same_columns_to_every_row(self) -> None:
        """All rows of a file have one set of columns."""
        added = [sorted(outcome.values or ()) for outcome in self._outcomes(self.items)]
        _expect(all(names == added[0] for names in added), f"columns differ from row to row: {added}")

    def test_leaves_its_input_alone(self) -> None:
        """A row that came from elsewhere does not change behind its owner's back."""
        before = repr(self.items)
        self._outcomes(self.items)
        _expect(repr(self.items) == before, "the items changed")

    def test_scores_do_not_depend_on_what_runs_beside_them(self) -> None:
        """Many rows are scored at once, a sync scorer's in threads; each gets what it gets alone."""
        alone = [self._outcomes([item])[0].values for item in self.items]
        together = [outcome.values for outcome in self._outcomes([*self.items] * _AT_ONCE)]
        _expect(together == alone * _AT_ONCE, f"alone {alone}, together {together}")

    def _outcomes(self, items: Sequence[Row]) -> list[Outcome]:
        return asyncio.run(_score_all(self.make_scorer(), items))


async def _score_all(scorer: Any, items: Sequence[Row]) -> list[Outcome]:  # noqa: ANN401  a user's object
    rows = CustomScorer(scorer, Permits(_AT_ONCE), identity={})
    await rows.open()
    try:
        return await asyncio.gather(*(_score_one(rows, item, index) for index, item in enumerate(items)))
    finally:
        await rows.close()


async def _score_one(rows: CustomScorer, item: Row, index: int) -> Outcome:
    permit = await rows.permits.take()
    try:
        return await rows.score(
            item, RowRef(file="contract", row_index=index, request_id=f"{index:08x}-0000-8000-8000"), permit
        )
    finally:
        permit.release()


def _expect(condition: bool, message: str) -> None:  # noqa: FBT001  reads as an assertion
    if not condition:
        raise AssertionError(message)
