"""What happens in a worker is told to its owner's listeners as if it had happened here."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

from modelcall.observe.relay import Relay, retell
from modelcall.types import ErrorType, FileCounts, Outcome, RowRef, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping


class Heard:
    def __init__(self) -> None:
        self.events: list[Any] = []

    def file_started(self, file: str, *, recorded: int) -> None:
        self.events.append(("started", file, recorded))

    def row_done(self, ref: RowRef, outcome: Outcome) -> None:
        self.events.append((ref, outcome, outcome.seconds))

    def file_done(self, file: str, counts: FileCounts) -> None:
        self.events.append(("done", file, counts))

    def file_failed(self, file: str, reason: str) -> None:
        self.events.append(("failed", file, reason))

    def client_event(self, name: str, facts: Mapping[str, Any]) -> None:
        self.events.append((name, facts))


SCORED = Outcome({"score": 4, "tags": ["a"]}, attempts=2, usage=Usage(10, 5, None, 0), seconds=0.25)
FAILED = Outcome(None, ErrorType.CUT, "cut by its length", raw='{"sc', attempts=3, seconds=1.5)


def tell(listener: Relay | Heard) -> None:
    listener.file_started("a.jsonl", recorded=3)
    listener.row_done(RowRef("a.jsonl", 3, "id3"), SCORED)
    listener.client_event("retry", {"cause": "timeout", "request_id": "id4"})
    listener.row_done(RowRef("a.jsonl", 4, "id4"), FAILED)
    listener.file_failed("b.jsonl", "damaged")
    listener.file_done("a.jsonl", FileCounts(5, 4, 1))


def test_everything_is_told_again_in_order() -> None:
    relay, heard, expected = Relay(), Heard(), Heard()
    tell(relay)
    tell(expected)
    assert retell(pickle.loads(pickle.dumps(relay.taken())), heard) == 2  # noqa: S301  as it comes from a worker of ours
    assert heard.events == expected.events
    assert type(heard.events[3][1].error_type) is ErrorType
    assert relay.taken() == []


def test_of_a_scored_row_the_answer_stays_where_it_is() -> None:
    relay, heard = Relay(), Heard()
    relay.row_done(RowRef("a", 0, "x"), Outcome({"score": 1}, raw="long", model="m", finish_reason="stop"))
    retell(relay.taken(), heard)
    assert heard.events[0][1] == Outcome({"score": 1})
