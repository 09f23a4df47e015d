"""Nothing is printed a thousand times."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from modelcall.log import LogSettings, Message, Said, say, setup
from modelcall.log.counting import FIRST, WINDOW, Counter

if TYPE_CHECKING:
    from pathlib import Path


def record(at: float, message: Message = Message.RETRY, **facts: object) -> logging.LogRecord:
    said = Said(message, {"cause": "connect", "message": "connection refused", **facts})
    made = logging.LogRecord("modelcall", message.value.level, "", 0, said, None, None)
    made.created = at
    return made


def texts(records: list[logging.LogRecord]) -> list[str]:
    return [made.getMessage() for made in records]


def test_five_a_minute_and_then_a_count() -> None:
    counter = Counter()
    passed = [made for i in range(1000) for made in counter.admit(record(i * 0.05))]
    assert len(passed) == FIRST == 5
    later = texts(counter.admit(record(WINDOW + 1)))
    assert later == [
        "… and 995 more of this kind: 🔁 Request failed, trying again: connection refused",
        "🔁 Request failed, trying again: connection refused",
    ]


def test_any_later_record_brings_the_count() -> None:
    counter = Counter()
    for i in range(7):
        counter.admit(record(i))
    (count, news) = counter.admit(record(WINDOW, Message.FILES_FOUND, count=1))
    assert count.levelno == logging.WARNING
    assert count.created == WINDOW
    assert "2 more" in count.getMessage()
    assert news.levelno == logging.INFO
    assert counter.drain() == []


def test_causes_are_counted_apart() -> None:
    counter = Counter()
    for i in range(5):
        counter.admit(record(i))
    assert counter.admit(record(6)) == []
    assert len(counter.admit(record(6, cause="http 503"))) == 1


def test_a_cause_gets_its_five_again_after_its_minute() -> None:
    counter = Counter()
    for i in range(5):
        counter.admit(record(i))
    assert [len(counter.admit(record(WINDOW + i))) for i in range(6)] == [1, 1, 1, 1, 1, 0]


def test_news_and_errors_are_never_held_back() -> None:
    counter = Counter()
    for message in (Message.FILES_FOUND, Message.FILE_FAILED):
        passed = [counter.admit(record(0, message, count=1, file="a", reason="b")) for _ in range(20)]
        assert all(len(records) == 1 for records in passed)


def test_the_counter_forgets_causes_that_are_over() -> None:
    counter = Counter()
    for i in range(500):
        counter.admit(record(float(i), cause=f"cause {i}"))
    assert len(counter._windows) <= WINDOW + 1


def test_closing_writes_what_was_held_back_in_the_language_of_the_sink(tmp_path: Path) -> None:
    with setup(LogSettings(file=tmp_path / "a.log", language="zh", terminal=False)):
        for _ in range(8):
            say(Message.FORMAT_FAULT, cause="missing_keys", message="Missing required keys: {'score'}")
            say(Message.COOLDOWN, endpoint="a", seconds=2, cause="http 429")
    lines = [line.split(" | ", 2)[2] for line in (tmp_path / "a.log").read_text("utf-8").splitlines()]
    assert lines.count("❌ JSON validation failed: Missing required keys: {'score'}") == 5
    assert lines[-2:] == [
        "… 同类警告另有 3 条: ❌ JSON validation failed: Missing required keys: {'score'}",
        "… 同类警告另有 3 条: 🧊 a 要求等待 2.00 秒 (http 429)",
    ]
