"""Bodies of attempts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modelcall.errors import ConfigError
from modelcall.llm.payload import Payload, TextError
from tests.llm.kit import with_settings

ASK = [{"role": "user", "content": 'a "quoted" 文'}]


def body(params: dict[str, Any], *, grammar: Any = None, more_tokens: bool = False) -> Any:
    payload = Payload(with_settings(completions_params=params))
    return json.loads(payload.build(ASK, grammar, more_tokens=more_tokens))


def test_parameters_are_sent_as_they_are() -> None:
    params = {
        "temperature": 0.1,
        "stop": ["x"],
        "extra_body": {"top_k": 5},
        "extra_headers": {"a": "b"},
        "stream": False,
    }
    sent = {"model": "m", "temperature": 0.1, "stop": ["x"], "top_k": 5, "stream": False, "messages": ASK}
    assert body(params) == sent


def test_more_tokens_doubles_the_limit_that_is_set() -> None:
    assert body({"max_tokens": 100}, more_tokens=True)["max_tokens"] == 200
    assert body({"extra_body": {"max_completion_tokens": 7}}, more_tokens=True)["max_completion_tokens"] == 14
    assert "max_tokens" not in body({}, more_tokens=True)
    assert body({"max_tokens": 100})["max_tokens"] == 100


def test_each_grammar_is_sent_and_none_is_left_out() -> None:
    payload = Payload(with_settings())
    one, two = {"type": "json_object"}, {"type": "json_schema"}
    sent = [json.loads(payload.build(ASK, grammar)).get("response_format") for grammar in (one, two, None, one)]
    assert sent == [one, two, None, one]


def test_lone_surrogates_cannot_be_sent() -> None:
    with pytest.raises(TextError, match="surrogates"):
        Payload(with_settings()).build([{"role": "user", "content": "\ud800"}], None)


def test_all_parameters_that_cannot_be_used_are_named() -> None:
    with pytest.raises(ConfigError) as caught:
        Payload(with_settings(completions_params={"stream": True, "n": 3, "extra_body": {"messages": []}}))
    assert [mistake.path.rpartition(".")[2] for mistake in caught.value.mistakes] == ["messages", "stream", "n"]


def test_parameters_that_are_no_json_are_named() -> None:
    with pytest.raises(ConfigError, match="no JSON"):
        Payload(with_settings(completions_params={"x": object()}))
