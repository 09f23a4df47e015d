import pytest

from modelcall.state import outcomes
from modelcall.state.outcomes import fold, may_succeed
from modelcall.state.row_set import RowSet
from modelcall.types import ErrorType, Outcome, Usage

SCORED = Outcome(values={"score": 1}, attempts=1, usage=Usage(1, 2, None, None))
LATER = Outcome(values={"score": 2}, attempts=1, usage=Usage(1, 2, 3, None))
CUT = Outcome(error_type=ErrorType.CUT, attempts=4, usage=Usage(10, 20, 5, None))
REFUSED = Outcome(error_type=ErrorType.REFUSED, attempts=2, usage=None)


@pytest.mark.parametrize(
    ("recorded", "counts", "superseded"),
    [
        ([CUT], (CUT, 4, Usage(10, 20, 5, None)), []),
        ([CUT, SCORED], (SCORED, 5, Usage(11, 22, 5, None)), [(CUT, 4, CUT.usage)]),
        ([SCORED, CUT], (SCORED, 5, Usage(11, 22, 5, None)), [(CUT, 5, Usage(11, 22, 5, None))]),
        ([CUT, REFUSED], (REFUSED, 6, CUT.usage), [(CUT, 4, CUT.usage)]),
        ([SCORED, LATER], (SCORED, 2, Usage(2, 4, 3, None)), []),
        (
            [REFUSED, CUT, LATER],
            (LATER, 7, Usage(11, 22, 8, None)),
            [(REFUSED, 2, None), (CUT, 6, CUT.usage)],
        ),
    ],
)
def test_a_scored_outcome_counts_else_the_last_and_attempts_and_tokens_add_up(
    recorded: list[Outcome], counts: tuple[Outcome, int, Usage], superseded: list[tuple[Outcome, int, Usage]]
) -> None:
    whole, failures = fold(recorded)
    assert (whole.values, whole.error_type) == (counts[0].values, counts[0].error_type)
    assert (whole.attempts, whole.usage) == counts[1:]
    assert [(failure.error_type, failure.attempts, failure.usage) for failure in failures] == [
        (outcome.error_type, attempts, usage) for outcome, attempts, usage in superseded
    ]


def test_only_failures_of_rows_that_can_be_asked_may_succeed() -> None:
    told = {kind: may_succeed(outcomes.encode(Outcome(error_type=kind, fail_reason='[null,"'))) for kind in ErrorType}
    assert told == {kind: kind is not ErrorType.BAD_ROW for kind in ErrorType}
    assert not may_succeed(outcomes.encode(SCORED))
    assert not may_succeed(outcomes.encode(Outcome()))


@pytest.mark.parametrize("rows", [[], [0], [7, 8], [3, 1000, 999], list(range(0, 5000, 3))])
def test_a_row_set_survives_its_text(rows: list[int]) -> None:
    ours = RowSet()
    for row in rows:
        ours.add(row)
    read = RowSet.load(ours.dump())
    assert read.count == len(rows)
    assert [row for row in range(5010) if row in read] == sorted(rows)
