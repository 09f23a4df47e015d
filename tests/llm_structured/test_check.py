from __future__ import annotations

from typing import Any

import pytest

from modelcall.errors import ConfigError
from modelcall.llm.exchange import FormatFault, Reply
from modelcall.llm.structured.check import AnswerCheck, TextCheck
from modelcall.types import INT, JSON, STRING, STRING_LIST

COLUMNS = {"score": INT, "quality_tags": STRING_LIST, "extra": JSON}
CHECK = AnswerCheck(COLUMNS, required=("score",), defaults={"quality_tags": ["none"], "extra": {}})
SCHEMA = {
    "type": "object",
    "properties": {
        "score": {"type": "integer", "minimum": 1, "maximum": 5},
        "label": {"enum": ["good", "bad", None]},
    },
    "required": ["score", "why"],
}
SCHEMA_CHECK = AnswerCheck(
    {"score": INT, "label": STRING, "tags": STRING_LIST},
    required=("score",),
    defaults={"tags": []},
    json_schema=SCHEMA,
    nullable=("score", "label"),
)


def fault(reply: Reply | str, check: AnswerCheck | TextCheck = CHECK) -> FormatFault:
    verdict = check(Reply(reply, finish_reason="stop") if isinstance(reply, str) else reply)
    assert isinstance(verdict, FormatFault), verdict
    return verdict


def test_every_column_has_a_value_and_unasked_keys_are_ignored() -> None:
    values = CHECK(Reply('{"unasked": 1, "score": "4"}'))
    assert values == {"score": 4, "quality_tags": ["none"], "extra": "{}"}
    assert list(values) == list(COLUMNS)


def test_defaults_are_not_shared_with_what_the_answer_gives() -> None:
    assert CHECK(Reply('{"score": 1, "quality_tags": ["a"], "extra": [1]}')) == {
        "score": 1,
        "quality_tags": ["a"],
        "extra": "[1]",
    }


def test_missing_required_keys_are_named_with_emphasis() -> None:
    found = fault('{"quality_tags": []}')
    assert found.cause == "missing_keys"
    assert found.message == "JSON validation failed: Missing required keys: {'score'}"
    assert found.feedback[0] == {"role": "assistant", "content": '{"quality_tags": []}'}
    assert 'MUST have "score"' in found.feedback[1]["content"]


def test_a_wrong_type_on_an_optional_key_is_a_fault_too_and_all_are_told() -> None:
    found = fault('{"score": 4.5, "quality_tags": "clear"}')
    assert found.cause == "wrong_type"
    assert found.message == (
        "JSON validation failed: Wrong types or values: 'score' must be int, got 4.5; "
        "'quality_tags' must be list<string>, got \"clear\""
    )
    assert "'score' must be int" in found.feedback[1]["content"]


def test_the_error_of_broken_json_is_fed_back() -> None:
    found = fault("{'score': 4}")
    assert found.cause == "not_json"
    assert found.message.startswith("JSON validation failed: not valid JSON: ")
    assert [turn["role"] for turn in found.feedback] == ["assistant", "user"]
    assert "exactly one valid JSON object" in found.feedback[1]["content"]


def test_a_long_answer_is_echoed_in_part_only() -> None:
    assert len(fault("no " * 5000).feedback[0]["content"]) == 1000


def test_two_verdicts_are_ambiguous() -> None:
    assert fault('{"score": 4} {"score": 5}').cause == "ambiguous"


@pytest.mark.parametrize("content", [None, "", " \n "])
def test_an_empty_answer(content: str | None) -> None:
    found = fault(Reply(content, finish_reason="stop"))
    assert (found.cause, found.more_tokens) == ("empty", False)
    assert found.feedback[-1]["role"] == "user"


def test_a_tool_call_is_no_answer() -> None:
    assert fault(Reply(None, has_tool_calls=True)).message == "JSON validation failed: A tool call instead of an answer"


def test_reasoning_in_its_own_field_is_no_answer() -> None:
    assert fault(Reply(None, reasoning='{"score": 7}', finish_reason="stop")).cause == "reasoning_only"
    assert fault(Reply('<think>{"score": 7}', finish_reason="stop")).cause == "reasoning_only"


@pytest.mark.parametrize(
    "reply",
    [
        Reply('{"score": 4, "quality_tags": ["a', finish_reason="length"),
        Reply("<think>so many thoughts", finish_reason="length"),
        Reply(None, reasoning="so many thoughts", finish_reason="length"),
        Reply("", finish_reason="length"),
        Reply('{"score": 4} Wait, on second thou', finish_reason="length"),
    ],
)
def test_a_cut_answer_asks_for_more_tokens_and_is_never_repaired(reply: Reply) -> None:
    found = fault(reply)
    assert (found.cause, found.more_tokens, found.feedback) == ("cut", True, ())


def test_a_whole_object_at_the_length_limit_is_whole() -> None:
    assert CHECK(Reply('{"score": 4}', finish_reason="length")) == CHECK(Reply('{"score": 4}'))


@pytest.mark.parametrize(
    ("content", "finish"),
    [('{"score":' + 8000 * "\n ", "length"), (" \n" * 500, "length"), ('{"a": \t' + " " * 300, "stop")],
)
def test_a_whitespace_loop_is_asked_without_the_grammar(content: str, finish: str) -> None:
    found = fault(Reply(content, finish_reason=finish))
    assert (found.cause, found.without_grammar, found.more_tokens) == ("whitespace_loop", True, False)


def test_white_space_after_a_whole_object_does_no_harm() -> None:
    assert CHECK(Reply('{"score": 4}' + "\n " * 8000, finish_reason="length")) == CHECK(Reply('{"score": 4}'))


def test_the_schema_is_enforced_before_types() -> None:
    assert SCHEMA_CHECK(Reply('{"score": 4.0, "why": "", "label": null}')) == {"score": 4, "label": None, "tags": []}
    found = fault('{"score": 9, "why": "x", "label": "fair"}', SCHEMA_CHECK)
    assert found.cause == "wrong_type"
    assert "'score': 9 is greater than the maximum of 5" in found.message
    assert "'label': " in found.message
    assert fault('{"score": "4", "why": "x"}', SCHEMA_CHECK).cause == "wrong_type"


def test_null_needs_the_schema_to_allow_it() -> None:
    assert fault('{"score": null, "why": "x"}', SCHEMA_CHECK).cause == "wrong_type"
    assert fault('{"score": 4, "why": "x", "tags": null}', SCHEMA_CHECK).cause == "wrong_type"


def test_keys_only_the_schema_requires_are_missing_keys_too() -> None:
    assert fault('{"label": "good"}', SCHEMA_CHECK).message == (
        "JSON validation failed: Missing required keys: {'score', 'why'}"
    )
    assert fault('{"score": 4}', SCHEMA_CHECK).message == "JSON validation failed: Missing required keys: {'why'}"


def test_additional_properties_only_where_the_schema_lets_them() -> None:
    closed = {"type": "object", "properties": {"score": {"type": "integer"}}, "additionalProperties": False}
    check = AnswerCheck({"score": INT}, required=("score",), defaults={}, json_schema=closed, nullable=("score",))
    assert check(Reply('{"score": 1}')) == {"score": 1}
    assert fault('{"score": 1, "x": 2}', check).cause == "wrong_type"


@pytest.mark.parametrize(
    "schema", [{"type": "intt"}, {"$ref": "http://127.0.0.1:9/schema"}, {"$ref": "file:///etc/hosts"}]
)
def test_a_schema_that_cannot_be_used_is_a_configuration_error(schema: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="json_schema"):
        AnswerCheck({"score": INT}, required=("score",), defaults={}, json_schema=schema)


def test_a_default_of_the_wrong_type_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match=r"json_default_values: 'score' must be int, got \"x\""):
        AnswerCheck({"score": INT}, required=(), defaults={"score": "x"})


def test_hostile_answers_leave_one_clean_line() -> None:
    found = fault('{"score": "\\u001b[31m\\r\\n\\u202e"}')
    assert (
        found.message
        == "JSON validation failed: Wrong types or values: 'score' must be int, got \"\\u001b[31m\\r\\n\\u202e\""
    )


def test_free_text_needs_some_text() -> None:
    check = TextCheck()
    assert check(Reply("Any answer.")) == {}
    assert check(Reply("cut in the mid", finish_reason="length")) == {}
    assert fault(Reply(" "), check).cause == "empty"
    assert fault(Reply("<think>hm</think> \n"), check).cause == "empty"
    assert fault(Reply("<think>hm"), check).cause == "reasoning_only"
    assert fault(Reply("<think>hm", finish_reason="length"), check).cause == "cut"
