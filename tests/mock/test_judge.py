"""The judge: a pure function of the request."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
import yaml

from modelcall.mock.asking import BadAsk, ChatAsk, read_ask
from modelcall.mock.judge import JUDGES, _facts, document
from modelcall.mock.judge import rule_judge as judge
from modelcall.scorers.quality import quality
from tests.mock.client import payload

PROMPT = "Rate the code from 0 to 5.\n<text>\n{}\n</text>\nAnswer in JSON."
CODE = "def add(a: int, b: int) -> int:\n    # the sum\n    return a + b\n"


def ask(text: str, **fields: object) -> ChatAsk:
    return read_ask(payload(text, **fields))


def test_the_score_is_that_of_the_quality_rules() -> None:
    answer = orjson.loads(judge(ask(PROMPT.format(CODE))).content)
    report = quality(CODE.strip())
    assert answer["score"] == report.score
    assert answer["quality_tags"] == list(report.tags)
    assert answer["main_languages"] == [report.language]
    assert set(answer) == {"score", "quality_tags", "main_languages", "recommended_use_case", "reason"}


def test_feedback_of_a_retry_changes_no_score() -> None:
    first = [{"role": "system", "content": "You are a judge."}, {"role": "user", "content": CODE}]
    retry = [*first, {"role": "assistant", "content": "Sure!"}, {"role": "user", "content": "That was no JSON. " * 50}]
    answers = [judge(read_ask(orjson.dumps({"model": "m", "messages": turns}))).content for turns in (first, retry)]
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("no tags", "no tags"),
        ("x\n<text>\na </text> b\n</text>\ny", "a </text> b"),
        ("the text between <text> and </text>:\n<text>doc</text>", "doc"),
        ("<code>\nx = 1\n</code>", "x = 1"),
        ("<text> never closed", "<text> never closed"),
        ("<b>\nother\n</b>", "<b>\nother\n</b>"),
    ],
)
def test_the_document_stands_between_tags(message: str, expected: str) -> None:
    assert document(message) == expected


def test_a_schema_is_followed() -> None:
    schema = {
        "type": "object",
        "properties": {"stars": {"type": "integer", "minimum": 1, "maximum": 10}},
        "required": ["stars"],
    }
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    answer = orjson.loads(judge(ask(PROMPT.format(CODE), response_format=form)).content)
    assert answer == {"stars": round(1 + 9 * quality(CODE.strip()).score / 5)}


def test_the_use_is_one_of_the_shipped_prompts() -> None:
    prompt = yaml.safe_load(Path("configs/prompts/en_corpus_rating_v0.1.yaml").read_text(encoding="utf-8"))
    schema = prompt["output_config"]["json_schema"]
    allowed = schema["properties"]["recommended_use_case"]["enum"]
    assert {_facts(score, [])["recommended_use_case"] for score in range(6)} <= set(allowed)
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    answer = orjson.loads(judge(ask("", response_format=form)).content)
    assert (answer["score"], answer["recommended_use_case"]) == (0, "discard")


def test_usage_follows_the_lengths() -> None:
    answer = judge(ask("x" * 400))
    assert answer.prompt_tokens == 100
    assert answer.completion_tokens == -(-len(answer.content) // 4)
    assert judge(ask("中" * 400)).prompt_tokens == 300


def test_a_token_limit_cuts_the_answer() -> None:
    whole, cut = judge(ask(CODE)), judge(ask(CODE, max_tokens=5))
    assert (cut.finish_reason, cut.completion_tokens, cut.content) == ("length", 5, whole.content[:20])
    assert judge(ask(CODE, max_tokens=1000)) == whole


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b"[]", None),
        (payload(stream=True), "stream"),
        (payload(n=2), "n"),
        (payload(model=""), "model"),
        (payload(messages=[]), "messages"),
        (payload(messages=["x"]), "messages[0]"),
        (payload(messages=[{"role": "user", "content": None}]), "messages[0].content"),
        (payload(max_tokens=0), "max_tokens"),
        (payload(max_completion_tokens=True), "max_completion_tokens"),
        (payload(response_format={"type": "xml"}), "response_format"),
        (payload(response_format={"type": "json_schema", "json_schema": {}}), "response_format"),
        (payload(response_format="json"), "response_format"),
    ],
)
def test_bad_requests_name_the_field(body: bytes, param: str | None) -> None:
    with pytest.raises(BadAsk) as caught:
        read_ask(body)
    assert caught.value.param == param


def test_parts_are_joined() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert read_ask(payload(messages=[{"role": "user", "content": parts}])).question == "ab"


def test_the_instant_judge_is_a_function_of_the_document_too() -> None:
    scores = [orjson.loads(JUDGES["instant"](ask(PROMPT.format(f"text {n}"))).content)["score"] for n in range(200)]
    assert set(scores) == set(range(6))
    assert scores[7] == orjson.loads(JUDGES["instant"](ask("<text>\ntext 7\n</text>")).content)["score"]
