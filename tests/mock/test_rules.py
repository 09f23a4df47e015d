"""Faults as users write them, and whom they strike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelcall.errors import ConfigError
from modelcall.mock.faults.base import Verdict
from modelcall.mock.faults.catalogue import FAULTS, MIXED
from modelcall.mock.faults.plan import Ask, Plan
from modelcall.mock.faults.rules import FaultRule, parse_faults
from modelcall.mock.options import MockOptions

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("reset", FaultRule("reset")),
        ("reset=0.05", FaultRule("reset", 0.05)),
        ("drip=0.1,once,2s", FaultRule("drip", 0.1, "once", 2.0)),
        ("late=50ms", FaultRule("late", seconds=0.05)),
        ("poison_row=1e-3", FaultRule("poison_row", 0.001)),
        ("reset = 1 , burst:10/100", FaultRule("reset", 1.0, "burst:10/100")),
        ("mix=0.05", FaultRule("mix", 0.05)),
    ],
)
def test_a_text_is_a_rule(text: str, rule: FaultRule) -> None:
    assert parse_faults([text]) == (rule,)


@pytest.mark.parametrize(
    "content",
    [
        "reset: 0.5\ndrip: {rate: 0.1, position: once, seconds: 2s}\n",
        "- {fault: reset, rate: 0.5}\n- {fault: drip, rate: 0.1, position: once, seconds: 2}\n",
        "- reset=0.5\n- drip=0.1,once,2s\n",
        '{"reset": 0.5, "drip": {"rate": 0.1, "position": "once", "seconds": 2}}',
    ],
)
def test_a_file_holds_rules(tmp_path: Path, content: str) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text(content, encoding="utf-8")
    assert parse_faults([str(path)]) == (FaultRule("reset", 0.5), FaultRule("drip", 0.1, "once", 2.0))


def test_a_mapping_holds_rules() -> None:
    assert parse_faults({"reset": 0.5}) == (FaultRule("reset", 0.5),)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("{", encoding="utf-8")
    written = ["rset=0.1", "drip=1.5", "reset=0.1,sometimes", str(tmp_path / "none.yaml"), str(broken)]
    with pytest.raises(ConfigError) as caught:
        parse_faults([*written, {"fault": "reset", "rat": 1}, {"rate": 1}, {"fault": "late", "seconds": "soon"}])
    told = "\n".join(map(str, caught.value.mistakes))
    for part in (
        'unknown fault "rset"; did you mean "reset"?',
        "the rate must be from 0 to 1, got 1.5",
        '"sometimes" is no rate, position or duration',
        "none.yaml: cannot be read",
        "broken.yaml: is not YAML",
        'unknown key "rat"; did you mean "rate"?',
        "lacks the key `fault`",
        "seconds must be 0 or more, or a time such as",
    ):
        assert part in told
    assert len(caught.value.mistakes) == 8


@pytest.mark.parametrize("position", ["at:0", "burst:5/2", "burst:5", "at:x", "twice", "attempts:", ""])
def test_unknown_positions_are_refused(position: str) -> None:
    with pytest.raises(ConfigError, match="unknown position"):
        FaultRule("reset", position=position)


def struck(rule: str, *, seed: int = 1, rows: int = 1000, attempts: int = 1) -> list[tuple[int, int]]:
    """Ask for all rows, attempt by attempt; return (row, attempt) of those struck."""
    plan = Plan(parse_faults([rule]), seed=seed)
    asks = [(row, attempt) for attempt in range(1, attempts + 1) for row in range(1, rows + 1)]
    return [
        (row, attempt)
        for arrival, (row, attempt) in enumerate(asks, 1)
        if plan.strike(Ask(f"row{row}", attempt, arrival)) is not None
    ]


def test_draws_are_a_function_of_seed_request_and_attempt() -> None:
    assert struck("reset=0.3") == struck("reset=0.3")
    assert struck("reset=0.3") != struck("reset=0.3", seed=2)
    first, second = (
        {row for row, attempt in struck("reset=0.3", attempts=2) if attempt == number} for number in (1, 2)
    )
    assert first != second
    plan = Plan(parse_faults(["reset=0.5"]), seed=7)
    assert [plan.strike(Ask("x", n, 1)) is not None for n in range(1, 9)] == [
        plan.strike(Ask("x", n, 99)) is not None for n in range(1, 9)
    ]


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.3])
def test_a_rate_is_a_share_of_the_requests(rate: float) -> None:
    share = len(struck(f"reset={rate}", rows=20_000)) / 20_000
    assert abs(share - rate) < 4 * (rate * (1 - rate) / 20_000) ** 0.5


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        ("every", [(1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (3, 2)]),
        ("row", [(1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (3, 2)]),
        ("once", [(1, 1), (2, 1), (3, 1)]),
        ("attempts:1", [(1, 1), (2, 1), (3, 1)]),
        ("first", [(1, 1)]),
        ("at:4", [(1, 2)]),
        ("from:5", [(2, 2), (3, 2)]),
        ("until:2", [(1, 1), (2, 1)]),
        ("burst:1/3", [(1, 1), (1, 2)]),
    ],
)
def test_positions(position: str, expected: list[tuple[int, int]]) -> None:
    assert struck(f"reset=1,{position}", rows=3, attempts=2) == expected


def test_a_poisoned_row_is_struck_at_every_attempt_and_others_never() -> None:
    hits = struck("poison_row=0.1", rows=500, attempts=4)
    rows = {row for row, _ in hits}
    assert 20 < len(rows) < 90
    assert sorted(hits) == [(row, attempt) for row in sorted(rows) for attempt in range(1, 5)]


def test_the_mix_is_even_retryable_and_over_after_three_attempts() -> None:
    plan = Plan(parse_faults(["mix=1"]), seed=3)
    strikes = [plan.strike(Ask(f"row{row}", 1, row)) for row in range(20_000)]
    names = [strike.fault.name for strike in strikes if strike is not None]
    assert len(names) == 20_000
    assert set(names) == set(MIXED)
    counts = [names.count(name) for name in MIXED]
    assert max(counts) < 1.6 * min(counts)
    assert all(FAULTS[name].verdict not in {Verdict.FATAL, Verdict.PERMANENT, Verdict.ACCEPT} for name in MIXED)
    assert plan.strike(Ask("row1", 4, 1)) is None


def test_a_text_may_be_asked_for() -> None:
    plan = Plan([FaultRule("forbidden", contains="banned")], seed=0)
    assert plan.strike(Ask("a", 1, 1, "some banned word")) is not None
    assert plan.strike(Ask("a", 1, 1, "fine")) is None
    assert plan.strike(Ask("a", 1, 1)) is None


def test_the_first_rule_that_strikes_counts() -> None:
    plan = Plan(parse_faults(["reset=1,once", "closed"]), seed=0)
    strikes = [plan.strike(Ask("a", attempt, attempt)) for attempt in (1, 2)]
    assert [strike.fault.name for strike in strikes if strike] == ["reset", "closed"]


def test_options_tell_all_their_mistakes() -> None:
    with pytest.raises(ConfigError) as caught:
        MockOptions(latency=-1, capacity=0, port=70_000, jitter=0.1)
    for part in ("latency must be at least 0, got -1", "capacity must be above 0, got 0", "port must be at most 65535"):
        assert part in str(caught.value)
    with pytest.raises(
        ConfigError, match=r"judge must be rules or instant, got best; .* got gauss; tls must be self_signed"
    ):
        MockOptions.from_json({"judge": "best", "distribution": "gauss", "tls": "x", "faults": ()})
    with pytest.raises(ConfigError, match="a lognormal jitter needs a latency"):
        MockOptions(jitter=0.1)


def test_options_survive_json() -> None:
    options = MockOptions(latency=0.5, faults=parse_faults(["drip=0.1,once,2s"]), capacity=4)
    assert MockOptions.from_json(options.to_json()) == options
