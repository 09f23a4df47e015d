"""A million answers: structure-aware cases, and the same with bytes thrown about. Accepted means strictly so."""

import json
import math
import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from modelcall.llm.exchange import FormatFault, Reply
from modelcall.llm.structured.check import AnswerCheck
from modelcall.llm.structured.text import UnreadableError, read_answer
from modelcall.types import FLOAT, STRING, STRING_LIST
from tests.llm_structured import fuzz

pytestmark = pytest.mark.long

CASES = 100_000
"""For each of ten seeds; half of them damaged further."""
CHECK = AnswerCheck({"score": FLOAT, "quality_tags": STRING_LIST, "reason": STRING}, required={"score"}, defaults={})
NOISE = '{}[]":,\\ \n\r\t`<>/score0123think.truefalsn-Ee\u2028\ufeff\x00é'


def thrown_about(rng: random.Random, text: str) -> str:
    """Insert, drop, double or replace some characters."""
    letters = list(text)
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(letters) + 1)
        if rng.random() < 0.5 or at == len(letters):
            letters.insert(at, rng.choice(NOISE))
        elif rng.random() < 0.5:
            del letters[at]
        else:
            letters[at] = rng.choice(NOISE)
    return "".join(letters)


def no_constant(name: str) -> Any:
    raise AssertionError(name)


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        assert found.setdefault(key, value) == value, key
    return found


def parts_of(text: str) -> list[Any]:
    """Every JSON object that a strict parser of another making finds at some brace of the text."""
    decoder = json.JSONDecoder(parse_constant=no_constant, object_pairs_hook=unique)
    found = []
    for at, letter in enumerate(text):
        if letter == "{":
            try:
                found.append(decoder.raw_decode(text, at)[0])
            except (ValueError, AssertionError, RecursionError):
                continue
    return found


@pytest.mark.parametrize("seed", range(10))
def test_a_hundred_thousand_answers(record_property: Callable[[str, object], None], seed: int) -> None:
    rng = random.Random(seed)
    accepted = slowest = 0.0
    for _ in range(CASES):
        case = fuzz.case(rng)
        damaged = rng.random() < 0.5
        text = thrown_about(rng, case.text) if damaged else case.text
        began = time.perf_counter()
        verdict = CHECK(Reply(content=text, finish_reason="stop"))
        slowest = max(slowest, time.perf_counter() - began)
        try:
            value = read_answer(text, fuzz.KEYS).value
        except UnreadableError:
            assert isinstance(verdict, FormatFault), text
            continue
        if not damaged:
            assert value == case.expected, case
        else:
            assert value in parts_of(text), text
        if not isinstance(verdict, FormatFault):
            accepted += 1
            assert math.isfinite(verdict["score"])
            assert verdict["score"] == float(value["score"])
    record_property("answers", CASES)
    assert slowest < 1.0
    assert accepted > CASES / 10
