"""Completions in all shapes that servers send."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcall.llm.replies import ShapeError, add_usage, parse_reply, parse_usage
from modelcall.types import Usage
from tests.llm.kit import completion


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("x", "x"),
        ("", ""),
        (None, None),
        ([{"type": "text", "text": "a"}, {"text": "b"}, "c"], "abc"),
        ([{"type": "output_text", "text": {"value": "v"}}], "v"),
        ([{"type": "image_url", "image_url": "u"}], None),
        ([], None),
        ({"type": "text", "text": "a"}, "a"),
        (7, None),
    ],
)
def test_content(content: Any, text: str | None) -> None:
    assert parse_reply(completion(content)).content == text


def test_a_whole_reply() -> None:
    reply = parse_reply(completion("x", model="m-1", finish_reason="length", message={"reasoning_content": "hm"}))
    assert (reply.content, reply.reasoning, reply.finish_reason, reply.model) == ("x", "hm", "length", "m-1")
    assert reply.usage == Usage(prompt_tokens=9, completion_tokens=4)
    assert not reply.has_tool_calls


@pytest.mark.parametrize(
    ("message", "field", "value"),
    [
        ({"reasoning": "r"}, "reasoning", "r"),
        ({"reasoning_content": "", "reasoning": "r"}, "reasoning", "r"),
        ({"refusal": "no"}, "refusal", "no"),
        ({"tool_calls": [{"id": "1"}]}, "has_tool_calls", True),
        ({"tool_calls": []}, "has_tool_calls", False),
    ],
)
def test_what_stands_beside_the_content(message: dict[str, Any], field: str, value: Any) -> None:
    assert getattr(parse_reply(completion(None, message=message)), field) == value


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"choices": None},
        {"choices": []},
        {"choices": {}},
        {"choices": [None]},
        {"choices": [{}]},
        {"choices": [{"message": None}]},
        {"choices": [{"message": "x"}]},
    ],
)
def test_what_is_no_completion(data: Any) -> None:
    with pytest.raises(ShapeError):
        parse_reply(data)


@pytest.mark.parametrize(
    ("data", "usage"),
    [
        (None, None),
        ("x", None),
        ({}, None),
        ({"prompt_tokens": -1, "completion_tokens": True}, None),
        ({"prompt_tokens": 9.0, "completion_tokens": "4"}, Usage(9, 4)),
        ({"prompt_tokens": "x", "completion_tokens": 4.7}, Usage(None, 4)),
        ({"prompt_tokens": float("nan"), "completion_tokens": 1e300}, None),
        ({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 3}}, Usage(9, None, 3)),
        ({"prompt_tokens": 9, "prompt_cache_hit_tokens": 3}, Usage(9, None, 3)),
        ({"prompt_tokens": 9, "prompt_tokens_details": None}, Usage(9)),
        ({"completion_tokens": 4, "completion_tokens_details": {"reasoning_tokens": 2}}, Usage(None, 4, None, 2)),
    ],
)
def test_usage(data: Any, usage: Usage | None) -> None:
    assert parse_usage(data) == usage


def test_usage_is_summed_and_unknown_counts_stay_unknown() -> None:
    assert add_usage(None, None) is None
    assert add_usage(Usage(1, 2), None) == Usage(1, 2)
    assert add_usage(Usage(1, 2, None, 5), Usage(10, None, 3, 5)) == Usage(11, 2, 3, 10)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "content", "usage", "text", "type", "prompt_tokens", "model"]), inner
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_no_json_breaks_it(data: Any) -> None:
    try:
        reply = parse_reply(data)
    except ShapeError:
        return
    assert reply.content is None or isinstance(reply.content, str)
