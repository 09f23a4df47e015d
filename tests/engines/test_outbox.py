"""What is said to a process: in order, as it was then, and without waiting for it to listen."""

from __future__ import annotations

from multiprocessing import Pipe

from modelcall.engines.outbox import Outbox

LARGE = "x" * 4_000_000
"""More than a pipe holds."""


def test_who_speaks_does_not_wait_for_who_listens() -> None:
    ours, theirs = Pipe()
    outbox = Outbox(ours)
    said = ["a", LARGE, "b", "c"]

    outbox.put(said)
    outbox.put(said.pop())
    outbox.close()

    assert theirs.recv() == ["a", LARGE, "b", "c"]
    assert theirs.recv() == "c"
    outbox.join(10)
    assert ours.closed
    theirs.close()


def test_what_is_said_to_the_dead_is_lost() -> None:
    ours, theirs = Pipe()
    outbox = Outbox(ours)
    theirs.close()

    outbox.put(LARGE)
    outbox.put("a")
    outbox.close()

    outbox.join(10)
    assert ours.closed
