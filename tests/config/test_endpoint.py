from __future__ import annotations

from typing import Any

import pytest

from modelcall.config.endpoint import Endpoint, Problem, resolve_endpoint
from modelcall.config.environment import Environment
from modelcall.config.model import ModelConfig
from modelcall.config.urls import UrlRefusedError, is_loopback, normal_url

KEYS = {
    "OPENAI_API_KEY": "of-openai",
    "DEEPSEEK_API_KEY": "of-deepseek",
    "ANTHROPIC_API_KEY": "of-anthropic",
    "API_KEY": "of-nobody",
    "MY_KEY": "of-mine",
}


def resolve(env: dict[str, str], **keys: Any) -> tuple[Endpoint | None, list[Problem]]:
    model = ModelConfig.model_validate({"provider": "x", "model_name": "m", **keys})
    return resolve_endpoint(model, Environment(env))


def found(env: dict[str, str], **keys: Any) -> tuple[str, str | None]:
    """The URL and the key, in plain text."""
    endpoint, problems = resolve(env, **keys)
    assert endpoint is not None, problems
    return endpoint.base_urls[0], endpoint.api_key.reveal() if endpoint.api_key else None


def refused(env: dict[str, str], **keys: Any) -> str:
    endpoint, problems = resolve(env, **keys)
    assert endpoint is None
    assert all(problem.kind != "warning" for problem in problems)
    return "\n".join(problem.message for problem in problems)


@pytest.mark.parametrize(
    ("env", "keys", "url"),
    [
        ({"OPENAI_BASE_URL": "http://e/v1", "BASE_URL": "http://f"}, {"base_url": "http://y/v1"}, "http://y/v1"),
        ({"OPENAI_BASE_URL": "http://e/v1/", "BASE_URL": "http://f"}, {}, "http://e/v1"),
        ({"BASE_URL": "http://f/v1/chat/completions"}, {}, "http://f/v1"),
        ({"BASE_URL": "http://f"}, {"provider": "deepseek-ai"}, "http://f"),
        ({"OPENAI_BASE_URL": "your_url", "BASE_URL": "http://f"}, {}, "http://f"),
    ],
)
def test_url_comes_from_the_first_that_has_one(env: dict[str, str], keys: dict[str, str], url: str) -> None:
    assert found(env, **keys)[0] == url


@pytest.mark.parametrize(
    ("provider", "variable", "url"),
    [
        ("openai", "OPENAI_API_KEY", "https://api.openai.com/v1"),
        ("Anthropic", "ANTHROPIC_API_KEY", "https://api.anthropic.com/v1"),
        ("deepseek-ai", "DEEPSEEK_API_KEY", "https://api.deepseek.com/v1"),
        ("ark", "ARK_API_KEY", "https://ark.cn-beijing.volces.com/api/v3"),
        ("siliconflow", "SILICONFLOW_API_KEY", "https://api.siliconflow.cn/v1"),
    ],
)
def test_known_provider_has_a_url_and_needs_its_own_key(provider: str, variable: str, url: str) -> None:
    assert found({variable: "k"}, provider=provider) == (url, "k")
    assert f"${variable} is not set" in refused({"API_KEY": "k"}, provider=provider)
    assert f"${variable} is a placeholder" in refused({variable: "your_key"}, provider=provider)


def test_unknown_provider_without_a_url_is_refused() -> None:
    assert "write base_url in the model file, or set $OPENAI_BASE_URL or $BASE_URL" in refused(KEYS, provider="mine")


def test_key_of_a_provider_follows_its_host_whatever_the_provider_is_called() -> None:
    assert found(KEYS, base_url="https://api.deepseek.com")[1] == "of-deepseek"
    assert found({**KEYS, "BASE_URL": "https://API.OpenAI.com/v1"}, provider="deepseek")[1] == "of-openai"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/v1",
        "https://api.openai.com.evil.example/v1",
        "https://api-openai.com/v1",
        "https://xapi.openai.com/v1",
        "http://localhost:8000/v1",
        "https://volces.com/api/v3",
    ],
)
def test_no_ambient_key_goes_to_a_url_of_the_file(url: str) -> None:
    assert found({**KEYS, "ARK_API_KEY": "of-ark"}, provider="openai", base_url=url) == (url, None)


def test_generic_keys_go_only_with_a_url_from_the_environment() -> None:
    assert found({"BASE_URL": "http://h", "API_KEY": "a", "OPENAI_API_KEY": "o"})[1] == "a"
    assert found({"BASE_URL": "http://h", "OPENAI_API_KEY": "o"})[1] == "o"
    assert found({"BASE_URL": "http://h", "DEEPSEEK_API_KEY": "d"})[1] is None
    assert found({"BASE_URL": "http://h", "API_KEY": "EMPTY"})[1] is None


def test_named_key_beside_a_base_url_is_consent_for_that_host() -> None:
    assert found(KEYS, base_url="http://localhost:1/v1", api_key_env="OPENAI_API_KEY")[1] == "of-openai"


def test_named_key_with_the_default_url_of_a_provider() -> None:
    assert found(KEYS, provider="openai", api_key_env="MY_KEY")[1] == "of-mine"
    assert found(KEYS, provider="deepseek", api_key_env="DEEPSEEK_API_KEY")[1] == "of-deepseek"
    assert "does not belong to api.openai.com" in refused(KEYS, provider="openai", api_key_env="DEEPSEEK_API_KEY")


@pytest.mark.parametrize("variable", ["DEEPSEEK_API_KEY", "MY_KEY"])
def test_named_key_without_a_base_url_stays_home(variable: str) -> None:
    message = refused({**KEYS, "BASE_URL": "http://evil.example"}, api_key_env=variable)

    assert f"the key of ${variable} does not belong to evil.example ($BASE_URL)" in message
    assert "write the base_url" in message


def test_named_generic_key_goes_with_a_url_from_the_environment() -> None:
    assert found({**KEYS, "BASE_URL": "http://h"}, api_key_env="API_KEY")[1] == "of-nobody"
    assert "does not belong" in refused({**KEYS, "BASE_URL": "https://api.deepseek.com"}, api_key_env="API_KEY")


@pytest.mark.parametrize("value", [None, "", "your_key", "<key>", "sk-xxx", "YOUR-API-KEY"])
def test_named_key_that_is_missing_is_refused(value: str | None) -> None:
    env = {} if value is None else {"MY_KEY": value}

    assert "$MY_KEY is" in refused(env, base_url="http://h", api_key_env="MY_KEY")


def test_broken_key_is_refused_unseen() -> None:
    message = refused({"MY_KEY": "sk-canary canary"}, base_url="http://h", api_key_env="MY_KEY")

    assert "copy it again" in message
    assert "canary" not in message


def test_pool_has_one_key() -> None:
    pool = ["https://api.openai.com/v1", "https://api.deepseek.com/v1"]

    assert "do not share a key" in refused(KEYS, base_url=pool)
    assert "do not share a key" in refused(KEYS, base_url=["https://api.openai.com/v1", "http://h"])
    assert found(KEYS, base_url=pool, api_key_env="MY_KEY")[1] == "of-mine"


def test_hosts_file_has_no_key_unless_named() -> None:
    endpoint, _ = resolve(KEYS, hosts_file="h")
    assert endpoint == Endpoint((), None, "h", url_source="hosts_file")
    endpoint, _ = resolve(KEYS, hosts_file="h", api_key_env="MY_KEY")
    assert endpoint is not None
    assert endpoint.key_source == "MY_KEY"


def test_embedded_needs_nothing() -> None:
    endpoint, problems = resolve({}, provider="embedded")

    assert endpoint is not None
    assert (endpoint.is_embedded, problems) == (True, [])


@pytest.mark.parametrize(
    ("url", "warned"),
    [("http://10.0.0.5/v1", True), ("http://127.0.0.1:8/v1", False), ("http://[::1]/v1", False), ("https://h", False)],
)
def test_key_over_plain_http_is_warned_about(url: str, warned: bool) -> None:
    endpoint, problems = resolve(KEYS, base_url=url, api_key_env="MY_KEY")

    assert endpoint is not None
    assert [problem.kind for problem in problems] == (["warning"] if warned else [])


def test_repr_shows_no_key() -> None:
    endpoint, _ = resolve({"MY_KEY": "canary"}, base_url="http://localhost", api_key_env="MY_KEY")

    assert "canary" not in repr(endpoint)
    assert "canary" not in str(endpoint)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h/v1/", "http://h/v1"),
        ("http://h/v1//", "http://h/v1"),
        ("http://h/v1/chat/completions", "http://h/v1"),
        ("http://h/v1/chat/completions/", "http://h/v1"),
        ("http://h", "http://h"),
        ("http://h:8000/", "http://h:8000"),
        (" https://h/api/v3 ", "https://h/api/v3"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
    ],
)
def test_url_in_its_normal_form(url: str, expected: str) -> None:
    assert normal_url(url) == expected


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("localhost:8000/v1", "write http://localhost:8000/v1"),
        ("10.1.2.3:8000/v1", "write http://10.1.2.3:8000/v1"),
        ("node-7:8000/v1", "write http://node-7:8000/v1"),
        ("api.openai.com/v1", "write https://api.openai.com/v1"),
        ("//h/v1", "write https://h/v1"),
        ("ftp://h/v1", "must begin with https:// or http://"),
        ("file:///etc/passwd", "must begin with"),
        ("http://", "names no host"),
        ("http:///v1", "names no host"),
        ("http://h:99999/v1", "is no URL"),
        ("http://h:x/v1", "is no URL"),
        ("http://[::1/v1", "is no URL"),
        ("http://u:canary@h/v1", "user name or password"),
        ("http://canary@h/v1", "user name or password"),
        ("http://h/v1?key=canary", "must end before"),
        ("http://h/v1#x", "must end before"),
        ("http://h/a b", "a space, a backslash or a control character"),
        ("http://h\\x/v1", "a backslash"),
        ("http://169.254.169.254/latest", "link-local or metadata"),
        ("http://169.254.1.1", "link-local or metadata"),
        ("http://2852039166/", "link-local or metadata"),
        ("http://0xa9fea9fe/", "link-local or metadata"),
        ("http://0251.0376.0251.0376/", "link-local or metadata"),
        ("http://[fe80::1]/v1", "link-local or metadata"),
        ("http://[fe80::1%25eth0]/v1", "link-local or metadata"),
        ("http://[::ffff:169.254.169.254]/", "link-local or metadata"),
        ("http://[fd00:ec2::254]/", "link-local or metadata"),
        ("http://metadata.google.internal./", "link-local or metadata"),
        ("http://100.100.100.200/", "link-local or metadata"),
        ("http://100.96.0.96/", "link-local or metadata"),
    ],
)
def test_url_that_no_request_goes_to(url: str, words: str) -> None:
    with pytest.raises(UrlRefusedError) as caught:
        normal_url(url)

    assert words in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:1", True),
        ("http://127.9.9.9", True),
        ("http://[::1]", True),
        ("http://localhost.evil.x", False),
    ],
)
def test_loopback(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected
