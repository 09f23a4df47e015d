from __future__ import annotations

import string

import pytest

from modelcall.report.page.figures import duration, money, seconds_of, share, short
from modelcall.report.page.words import TO_DO, Phrase, Words
from modelcall.types import ErrorType


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (9999, "9,999"),
        (12_345, "12.3k"),
        (999_999, "1,000k"),
        (4_560_000, "4.56M"),
        (2.5e9, "2.5G"),
        (0.1234, "0.123"),
    ],
)
def test_short_numbers(value: float, text: str) -> None:
    assert short(value) == text


def test_shares_never_round_to_all_or_nothing() -> None:
    assert [share(part, 100_000) for part in (0, 1, 50_000, 99_999, 100_000)] == [
        "0.0 %",
        "< 0.1 %",
        "50.0 %",
        "> 99.9 %",
        "100.0 %",
    ]
    assert share(0, 0) == "–"


def test_times_and_money() -> None:
    assert [duration(seconds) for seconds in (0.25, 61, 3600, 200_000)] == [
        "0.25 s",
        "1:01 min",
        "01:00:00",
        "2 d 07:33:20",
    ]
    assert [seconds_of(seconds) for seconds in (0, 0.226, 3.08)] == ["0 s", "226 ms", "3.08 s"]
    assert [money(amount, "USD") for amount in (6.211, 1234.5, 0.000314)] == [
        "6.21 USD",
        "1,234.50 USD",
        "0.000314 USD",
    ]


@pytest.mark.parametrize("phrase", [*Phrase], ids=lambda phrase: phrase.name)
def test_both_languages_say_the_same_facts(phrase: Phrase) -> None:
    def facts(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    assert facts(phrase.value.en) == facts(phrase.value.zh)
    assert phrase.value.en
    assert phrase.value.zh


def test_something_can_be_done_about_every_failure() -> None:
    assert set(TO_DO) == set(ErrorType)
    assert Words("zh").to_do("cut").startswith("调大 max_tokens")
    assert Words("en").to_do("nobody knows") == ""
