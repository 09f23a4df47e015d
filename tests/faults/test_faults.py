"""Every fault of the catalogue, over real sockets, on both lanes: the right end, after the right number of requests."""

import asyncio
from collections.abc import Callable
from typing import get_args

import pytest

from modelcall.errors import FatalError
from modelcall.llm.exchange import Completion
from modelcall.llm.settings import Lane
from modelcall.mock.faults.catalogue import FAULTS
from modelcall.scorers.quality import quality
from tests.faults.play import EXTRA, MIX_CEILING, MIX_ROWS, At, Mixed, Played, expected, play, play_mix

LANES: tuple[Lane, ...] = get_args(Lane)
CHAT = [name for name, fault in FAULTS.items() if fault.target == "chat"]
AT_ONCE = 24
UNCHARGED = 4
"""Failures that no row is charged with: a stale connection, and those of a moment in which no row succeeds."""


@pytest.fixture(scope="module", params=LANES)
def played(request: pytest.FixtureRequest) -> dict[str, Played]:
    """Each fault at a row's first attempt, many rows at a time."""

    async def all_of_them() -> dict[str, Played]:
        room = asyncio.Semaphore(AT_ONCE)

        async def one(name: str) -> Played:
            async with room:
                return await play(name, request.param, at="first")

        return dict(zip(CHAT, await asyncio.gather(*map(one, CHAT)), strict=True))

    return asyncio.run(all_of_them())


@pytest.mark.parametrize("name", CHAT)
def test_a_fault_gets_its_verdict(played: dict[str, Played], name: str) -> None:
    assert played[name].told in expected(name, "first")
    assert played[name].in_use == 0


@pytest.mark.long
@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("at", ["last", "every"])
@pytest.mark.parametrize("name", [name for name in CHAT if not FAULTS[name].early])
def test_a_fault_at_other_attempts_gets_its_verdict(
    record_property: Callable[[str, object], None], name: str, at: At, lane: Lane
) -> None:
    played = asyncio.run(play(name, lane, at=at))
    record_property("faults", 1)
    record_property("requests", played.requests)
    assert played.told in expected(name, at)
    assert played.in_use == 0


def check_mix(mixed: Mixed) -> None:
    """Every row ends, accepted ones with their own score; no budget, ceiling or permit is overdrawn."""
    assert len(mixed.ends) == MIX_ROWS
    assert not [end for end in mixed.ends.values() if isinstance(end, FatalError)]
    for name, end in mixed.ends.items():
        if isinstance(end, Completion):
            assert end.values == {"score": quality(mixed.texts[name]).score}
    assert max(mixed.requests.values()) <= 1 + 3 * EXTRA + UNCHARGED
    assert mixed.most_in_flight <= MIX_CEILING
    assert mixed.in_use == 0


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("seed", range(10))
def test_a_mix_of_faults_invents_no_score_and_loses_no_row(seed: int, lane: Lane) -> None:
    check_mix(asyncio.run(play_mix(seed, lane)))


@pytest.mark.long
@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("seed", range(10, 100))
def test_many_mixes_of_faults_invent_no_score_and_lose_no_row(
    record_property: Callable[[str, object], None], seed: int, lane: Lane
) -> None:
    mixed = asyncio.run(play_mix(seed, lane))
    check_mix(mixed)
    record_property("rows", MIX_ROWS)
    record_property("requests", sum(mixed.requests.values()))
