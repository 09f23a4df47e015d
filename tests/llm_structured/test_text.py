from __future__ import annotations

import json
import random
import time
from typing import Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelcall.llm.structured.text import MAX_CHARS, UnreadableError, read_answer
from tests.llm_structured import fuzz

KEYS = ("score",)
SEVEN = {"score": 7}


def cause(text: str) -> str:
    with pytest.raises(UnreadableError) as caught:
        read_answer(text, KEYS)
    return caught.value.cause


@pytest.mark.parametrize(
    "text",
    [
        '{"score": 7}',
        '  \n{"score": 7}\n\n',
        '\ufeff{"score": 7}',
        '```json\n{"score": 7}\n```',
        'Here you are:\n```\n{"score": 7}\n```\nAnything else?',
        'My verdict is {"score": 7}. It is good code.',
        'int main() { if (x) { return 0; } }  {"score": 7}',
        'x = {} and y = {1, 2}, so {"score": 7}',
        '{"note": "an aside"} {"score": 7}',
        '{"score": 7}\n{"score": 7}',
        '<think>maybe {"score": 3}</think>\n\n```json\n{"score": 7}\n```',
        'maybe {"score": 3}</think>{"score": 7}',
        '<think>{"score": 3}</think> no <think>{"score": 4}</think>{"score": 7}',
        '<thinking>{"score": 3}</thinking>{"score": 7}',
        '<think>an unclosed { brace and "quote</think>{"score": 7}',
        '{"score": 7, "score": 7}',
    ],
)
def test_understands_what_models_write_around_an_answer(text: str) -> None:
    assert read_answer(text, KEYS).value == SEVEN


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"score": 7, "r": "has </think> inside"}', {"score": 7, "r": "has </think> inside"}),
        ('ok {"score": 7, "r": "has <think> inside"}', {"score": 7, "r": "has <think> inside"}),
        (
            '```\n{"r": "</think>", "d": {"score": 3}, "score": 7}\n```',
            {"r": "</think>", "d": {"score": 3}, "score": 7},
        ),
        ('hm "</think> no </think> ok {"r": "a \\" </think>", "score": 7}', {"r": 'a " </think>', "score": 7}),
        ('ok {"score": 7, "r": "a } brace, a \\" quote: {"}', {"score": 7, "r": 'a } brace, a " quote: {'}),
        ('{"score": 12345678901234567890123}', {"score": 12345678901234567890123}),
        ('{"a": {"b": 1}, "c": {"b": 1}}', {"a": {"b": 1}, "c": {"b": 1}}),
    ],
)
def test_reads_every_value_exactly(text: str, value: dict[str, Any]) -> None:
    assert read_answer(text, KEYS).value == value


@pytest.mark.parametrize(
    "text",
    [
        "No JSON at all.",
        "7",
        "null",
        '"{\\"score\\": 7}"',
        '[{"score": 7}]',
        '["x", {"score": 7}]',
        'Scores: [{"score": 7}, {"score": 7}]',
        "{'score': 7}",
        "{score: 7}",
        '{"score": 7,}',
        '{"score": 7, "d": {"score": 3},}',
        'Braces { } } do not match {"score": 7}',
        "{'a': {\"score\": 7}}",
        '{{"score": 7}}',
        '{"score": 7, "d": {"score": 3}',
        '{"score": 7',
        '{"score": NaN}',
        '{"score": -Infinity}',
        '{"score": 1e400}',
        '{"score": 7, "score": 8}',
        '{"score": 1, "score": true}',
        '{"score": 1, "score": 1.0}',
        '{"score" :7, "d": [{"x": {"y":1, "y" : 2}}]}',
        '{"sc\\u006fre": 7, "score": 8}',
        '{"score": 7, "r": "a: b", "r": "a: c"}',
        '{"score": "\\ud800"}',
        '{"score": 7} and {"score": 8,}',
        '"detail": {"score": 3}, "score": 7}',
        'ok {"reason": "</think>", "detail": {"score": 3}',
        'ok ["</think>", {"score": 3}',
        'ok {"reason": "</think>", "more": [1, {"score": 3}], "score": 7,}',
        '{"r": "a raw\nline} {"score": 7}',
        '{"a": ' * 65 + "1" + "}" * 65,
        '{"a": ' + "[" * 900 + "1" + "]" * 900 + ', "a": 1}',
    ],
)
def test_refuses_what_is_not_one_strict_object(text: str) -> None:
    assert cause(text) == "not_json"


@pytest.mark.parametrize(
    "text",
    ['{"score": 7} {"score": 8}', '{"score": 7}, no: {"score": 7, "r": "x"}', '</think>{"score": 1} {"score": true}'],
)
def test_two_different_verdicts_are_none(text: str) -> None:
    assert cause(text) == "ambiguous"


@pytest.mark.parametrize("text", ['<think>{"score": 7}', "<think>hm", '{"score": 7} <think>or rather'])
def test_thinking_that_never_ends_is_no_answer(text: str) -> None:
    assert cause(text) == "reasoning_only"


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ('{"score": 7}', True),
        ('```json\n{"score": 7}\n```', True),
        ('ok {"score": 7}  \n', True),
        ('{"score": 7} Wait', False),
    ],
)
def test_says_whether_anything_follows(text: str, ends: bool) -> None:
    assert read_answer(text, KEYS).ends_text is ends


def test_depth_within_the_limit_is_fine() -> None:
    text = '{"score": 7, "d": ' + "[" * 60 + "]" * 60 + "}"
    assert read_answer(text, KEYS).value["score"] == 7


def test_the_longest_answer_is_bounded() -> None:
    assert cause(" " * MAX_CHARS + '{"score": 7}') == "not_json"


@pytest.mark.parametrize(
    "unit",
    ["{", "{}", '{"', '{"a":', '{"a":[', '\\"', '{\\"', '{"a" "b" ', '"{', '{"\n', '{ " \\', "<think>", "</think>", "[",
     '{"a":{}, ', '{"score":', '{"score":1}', "{ } score "],
)  # fmt: skip
@pytest.mark.parametrize("head", ["", "{", '{"', '{"score":'])
def test_hostile_text_costs_no_more_than_its_length(head: str, unit: str) -> None:
    text = head + (unit * (MAX_CHARS // len(unit)))[: MAX_CHARS - len(head)]
    assert min(_refusal_seconds(text) for _ in range(2)) < 0.1


def _refusal_seconds(text: str) -> float:
    began = time.process_time()
    with pytest.raises(UnreadableError):
        read_answer(text, KEYS)
    return time.process_time() - began


def test_a_clean_answer_is_read_in_microseconds() -> None:
    text = '{"score": 7, "quality_tags": ["clear", "documented"], "reason": "Good code"}'
    best = min(_timed(text) for _ in range(20))
    assert best < 50e-6


def _timed(text: str) -> float:
    began = time.perf_counter()
    for _ in range(100):
        read_answer(text, KEYS)
    return (time.perf_counter() - began) / 100


@settings(max_examples=1500, deadline=None)
@given(st.integers(min_value=0))
def test_every_shape_of_answer_gets_its_verdict(seed: int) -> None:
    case = fuzz.case(random.Random(seed))
    try:
        found = read_answer(case.text, fuzz.KEYS).value
    except UnreadableError:
        # Beside prose, a think tag inside a string may end what came before: refused, never misread.
        assert case.expected is None or "think>" in json.dumps(case.expected), case
        return
    assert found == case.expected, case


@settings(max_examples=500, deadline=None)
@given(st.text(st.sampled_from('{}[]":,\\ \n`<>/score0123think.truefalsn-Ee'), max_size=60))
def test_what_is_accepted_strict_json_agrees_with(noise: str) -> None:
    text = f'{{"score": 7{noise}'
    try:
        found = read_answer(text, KEYS)
    except UnreadableError:
        return
    assert found.value == json.loads(_object_in(text), parse_constant=_refused, object_pairs_hook=_unique)


def _object_in(text: str) -> str:
    value, end = json.JSONDecoder().raw_decode(text)
    assert isinstance(value, dict)
    return text[:end]


def _refused(name: str) -> NoReturn:
    raise AssertionError(name)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert all(json.dumps(dict(pairs)[key]) == json.dumps(value) for key, value in pairs)
    return dict(pairs)
