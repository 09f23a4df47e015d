from __future__ import annotations

from typing import Any

import pytest

from modelcall.config.checking import check
from modelcall.config.document import Document, Place
from modelcall.config.model import ModelConfig


def checked(**keys: Any) -> ModelConfig | str:
    document = Document({"provider": "x", "model_name": "m", **keys}, {(): Place("m.yaml", ())})
    model, mistakes = check(document, ModelConfig)
    return model if model is not None else "\n".join(map(str, mistakes))


def model(**keys: Any) -> ModelConfig:
    found = checked(**keys)
    assert isinstance(found, ModelConfig), found
    return found


def test_defaults() -> None:
    found = model()

    assert (found.client, found.structured, found.adaptive.enabled, found.completions_params) == (
        *("aiohttp", "auto"),
        *(True, {}),
    )


def test_everything_loads() -> None:
    found = model(
        base_url=["http://a/v1/", "http://b", "http://a/v1"],
        api_key_env="MY_KEY",
        client="openai",
        structured="schema",
        headers={"X-Team": "blue"},
        proxy="http://proxy:3128",
        max_requests_per_minute=600,
        max_tokens_per_minute=1e6,
        hedge_after="1m30s",
        adaptive={"min": 2, "start": 8},
        prices={"prompt": 0.27, "completion": 1.1, "cached": 0.07},
        completions_params={"temperature": 0, "extra_body": {"top_k": 5}, "stop": ["\n"], "stream": False},
    )

    assert found.base_url == ("http://a/v1", "http://b")
    assert found.hedge_after == 90.0
    assert (found.adaptive.min, found.adaptive.start) == (2, 8)
    assert found.prices is not None
    assert found.prices.currency == "USD"


def test_one_url_is_a_pool_of_one() -> None:
    assert model(base_url="http://a/v1").base_url == ("http://a/v1",)


@pytest.mark.parametrize(
    ("written", "enabled"), [(True, True), (False, False), ("off", False), (None, True), ({}, True)]
)
def test_adaptive_is_a_switch_or_a_block(written: object, enabled: bool) -> None:
    assert model(adaptive=written).adaptive.enabled is enabled


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("50ms", 0.05), ("2s", 2.0), ("30m", 1800.0), ("1h 30m", 5400.0), ("0.5s", 0.5), (0.25, 0.25), (3, 3.0)],
)
def test_times_are_seconds_or_carry_their_unit(written: object, seconds: float) -> None:
    assert model(hedge_after=written).hedge_after == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["skip_special_tokens", "basic", "task-specific-instructions", "a@b.example"])
def test_ordinary_words_are_no_credentials(text: str) -> None:
    assert model(completions_params={"stop": [text]}).completions_params == {"stop": [text]}


def test_embedded_needs_a_provider_only() -> None:
    found, mistakes = check(
        Document({"provider": "embedded", "embedded": {"latency": "50ms", "faults": {"mix": 0.05}}}), ModelConfig
    )

    assert mistakes == []
    assert found is not None
    assert found.is_embedded
    assert found.embedded is not None
    assert (found.embedded.latency, found.embedded.faults, found.embedded.seed) == (0.05, {"mix": 0.05}, 0)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"api_key": "sk-canary-canary-canary"}, "write `api_key_env: NAME`"),
        ({"token": "x"}, "keys never stand in YAML"),
        ({"api_key_env": "sk-canary-canary-canary"}, "not the key itself"),
        ({"api_key_env": "MY KEY"}, "must be the name of an environment variable"),
        ({"headers": {"Authorization": "Bearer canary-canary-canary"}}, "the header Authorization: keys never stand"),
        ({"headers": {"x-api-key": "canary"}}, "keys never stand"),
        ({"headers": {"X-Custom": "sk-canary-canary-canary"}}, "keys never stand"),
        ({"headers": {"X-A": "a\r\nB: canary"}}, "not a plain name with a value of one line"),
        ({"headers": {"X A": "b"}}, "not a plain name"),
        ({"headers": {"X-N": 5}}, "must be text, got 5; put it in quotes"),
        ({"completions_params": {"extra_headers": {"Authorization": "canary"}}}, "keys never stand"),
        ({"completions_params": {"extra_body": {"k": "sk-canary-canary-canary"}}}, "keys never stand"),
        ({"completions_params": {"temperature": float("nan")}}, "a number that JSON cannot carry"),
        ({"completions_params": {"a": [float("inf")]}}, "a number that JSON cannot carry"),
        ({"completions_params": {"model": "other"}}, "write model_name"),
        ({"completions_params": {"messages": [1]}}, "write a prompt file"),
        ({"completions_params": {"stream": True}}, "answers are never streamed"),
        (
            {"completions_params": {"stream": True, "model": "m", "api_key": "canary"}},
            "write model_name; `stream` cannot be set here: answers are never streamed; `api_key`: keys never stand",
        ),
        ({"completions_params": [1]}, "must be a block of keys, got a list"),
        ({"proxy": "http://user:canary@proxy"}, "must hold no user name or password"),
        ({"proxy": "proxy:3128"}, "must be a URL such as http://HOST:PORT"),
        ({"base_url": "http://user:canary@host/v1"}, "holds a user name or password"),
        ({"base_url": "user:canary@host/v1"}, "has no scheme; write https://HOST/v1"),
        ({"base_url": []}, "must name at least one URL"),
        ({"base_url": ["http://a", "b"]}, "'b' has no scheme"),
        ({"base_url": "http://a", "hosts_file": "h"}, "base_url or hosts_file, not both"),
        ({"embedded": {"seed": 1}}, "goes with `provider: embedded` only"),
        ({"provider": "embedded", "base_url": "http://a"}, "takes no base_url"),
        ({"provider": "embedded", "embedded": {"faults": {"reset": 1.5}}}, "must be at most 1, got 1.5"),
        ({"provider": "embedded", "embedded": {"latency": -1}}, "must be at least 0, got -1"),
        ({"provider": "embedded", "embedded": {"time_scale": 0}}, "must be more than 0, got 0"),
        ({"client": "requests"}, "must be 'aiohttp' or 'openai', got the text 'requests'"),
        ({"structured": "json"}, "must be 'auto', 'schema', 'object' or 'prompt'"),
        ({"max_requests_per_minute": 0}, "must be more than 0, got 0"),
        ({"max_tokens_per_minute": float("nan")}, "must be a finite number"),
        ({"hedge_after": "soon"}, "must be seconds, or a time such as"),
        ({"prices": {"prompt": -1, "completion": 1}}, "must be at least 0, got -1"),
        ({"adaptive": 3}, "must be true or false, got 3"),
        ({"model_name": ""}, "must not be empty"),
        ({"model_name": None}, "must be text, got nothing"),
        ({"base_ur": "x"}, 'did you mean "base_url"?'),
    ],
)
def test_wrong_key_is_told_and_no_credential_shown(keys: dict[str, Any], words: str) -> None:
    found = checked(**keys)

    assert isinstance(found, str)
    assert words in found
    assert "canary" not in found
