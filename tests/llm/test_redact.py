"""Secrets do not survive in text."""

from __future__ import annotations

import pytest

from modelcall.redact import credentials_in, mask, maskable, redact

CANARY = "CANARY-KEY-9f8e7d6c"


@pytest.mark.parametrize(
    "text",
    [
        f"Incorrect API key provided: {CANARY}.",
        f"authorization: Bearer {CANARY}",
        f'{{"api_key": "{CANARY}"}}',
        f"https://user:{CANARY}@host/v1",
        f"https://host/v1?api-key={CANARY}&x=1",
        f"https://host/v1?token={CANARY}",
        f"Secret_Key={CANARY}",
        f"Authorization: Basic {CANARY}",
    ],
)
def test_known_and_unknown_secrets_are_masked(text: str) -> None:
    assert CANARY not in redact(text, [CANARY])
    if "provided" not in text:
        assert CANARY not in redact(text)


def test_what_is_short_would_mask_words_and_what_stands_in_another_comes_after_it() -> None:
    secrets = maskable(["x", "abcd", "abcd-efgh"])
    assert mask("extra: abcd-efgh, abcd", secrets) == "extra: ***, ***"


def test_headers_hold_credentials_with_and_without_their_scheme() -> None:
    assert credentials_in(["Bearer abcdefgh", "short", "Bearer abcdefgh"]) == ["Bearer abcdefgh", "abcdefgh"]


@pytest.mark.parametrize("text", ["sk-proj-abcdef123456", "ak-0123456789ab", "AKLTabcdef0123456789"])
def test_keys_are_known_by_their_shape(text: str) -> None:
    assert text not in redact(f"key {text} is wrong")


@pytest.mark.parametrize(
    "text",
    [
        "This model's maximum context length is 8192 tokens.",
        "no answer within 300 s from one:8000",
        "risk-averse desk-bound task-oriented",
        "http://host:8000/v1",
        "",
    ],
)
def test_plain_text_stays(text: str) -> None:
    assert redact(text, ["", "abc"]) == text


def test_the_longer_secret_wins() -> None:
    assert redact("abcd-efgh", ["abcd", "abcd-efgh"]) == "***"
