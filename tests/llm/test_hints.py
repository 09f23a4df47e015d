"""Retry-After in every form."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcall.llm.hints import CLAMP, duration, wait_hint

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT
REQUESTS = "x-ratelimit-{}-requests"


@pytest.mark.parametrize(
    ("headers", "message", "seconds"),
    [
        ({"retry-after": "7"}, "", 7.0),
        ({"retry-after": " 0.5 "}, "", 0.5),
        ({"retry-after": "20s"}, "", 20.0),
        ({"retry-after": "0"}, "", 0.0),
        ({"retry-after-ms": "350"}, "", 0.35),
        ({"retry-after-ms": "350", "retry-after": "1"}, "", 0.35),
        ({"retry-after-ms": "junk", "retry-after": "1"}, "", 1.0),
        ({"retry-after": "Fri, 15 Jan 2027 08:00:30 GMT"}, "", 30.0),
        ({"retry-after": "Fri, 15 Jan 2027 07:00:00 GMT"}, "", 0.0),
        # The server's clock is an hour ahead; its own Date says what it means.
        ({"retry-after": "Fri, 15 Jan 2027 09:00:30 GMT", "date": "Fri, 15 Jan 2027 09:00:00 GMT"}, "", 30.0),
        ({"retry-after": "Fri, 31 Dec 2027 23:59:59 GMT"}, "", CLAMP),
        ({"retry-after": "99999999999"}, "", CLAMP),
        ({"retry-after": "1382400"}, "", 1_382_400.0),
        ({REQUESTS.format("remaining"): "0", REQUESTS.format("reset"): "1m30s"}, "", 90.0),
        ({REQUESTS.format("remaining"): "0", REQUESTS.format("reset"): "6ms"}, "", 0.006),
        ({REQUESTS.format("remaining"): "9", REQUESTS.format("reset"): "1m30s"}, "", None),
        ({REQUESTS.format("reset"): "2"}, "", 2.0),
        ({REQUESTS.format("reset"): str(NOW + 5)}, "", 5.0),
        (
            {
                "x-ratelimit-remaining-requests": "5",
                "x-ratelimit-reset-requests": "1h",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "6m0s",
            },
            "",
            360.0,
        ),
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2027-01-15T08:00:12Z",
            },
            "",
            12.0,
        ),
        ({}, "have exceeded token rate limit. Please retry after 33 seconds.", 33.0),
        ({}, "Please try again in 20ms.", 0.02),
        ({}, "Please try again in 1m30s. Visit", 90.0),
        ({}, "Limit resets in 16 days", 16 * 86_400.0),
        ({}, "retry after 5", 5.0),
        ({"retry-after": "junk"}, "retry after 5 seconds", 5.0),
        ({"retry-after": "-5"}, "", None),
        ({"retry-after": "nan"}, "", None),
        ({"retry-after": "inf"}, "", None),
        ({"retry-after": ""}, "", None),
        ({}, "try again later", None),
        ({}, "", None),
    ],
)
def test_what_the_server_says(headers: dict[str, str], message: str, seconds: float | None) -> None:
    assert wait_hint(headers, message, wall=NOW) == (None if seconds is None else pytest.approx(seconds))


NAMES = st.sampled_from(
    ["retry-after", "retry-after-ms", "date", "x-ratelimit-reset-requests", "anthropic-ratelimit-tokens-reset"]
)


@given(st.dictionaries(NAMES, st.text(max_size=40)), st.text(max_size=80))
def test_no_header_and_no_text_breaks_it(headers: dict[str, str], message: str) -> None:
    seconds = wait_hint(headers, "retry after " + message, wall=NOW)
    assert seconds is None or 0 <= seconds <= 366 * 86_400


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1h2m3s", 3723.0), ("2 hours, 5 minutes", 7500.0), ("1.5s", 1.5), ("10", None), ("5x", None), ("", None)],
)
def test_durations(text: str, seconds: Any) -> None:
    assert duration(text) == seconds
