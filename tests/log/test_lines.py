"""What is said becomes one clean line, in the file and on stderr."""

from __future__ import annotations

import logging
import re
import stat
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcall.log import LOGGER, LogSettings, Message, Said, log_path, say, setup
from modelcall.log.catalogue import placeholders
from modelcall.log.inert import capped, inert
from modelcall.log.setup import file_stem, locale_language
from modelcall.log.sink import LINE_CHARS, LineFormatter

if TYPE_CHECKING:
    from collections.abc import Iterator

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \| [A-Z]+ \| ")
CANARY = "canary/k3y+value=="


@pytest.fixture(autouse=True)
def untouched_logger() -> Iterator[None]:
    yield
    assert (LOGGER.handlers, LOGGER.propagate, LOGGER.level) == ([], True, logging.NOTSET)


def settings(folder: Path, **changes: object) -> LogSettings:
    given = {"file": folder / "logs" / "run.log", "language": "zh", "terminal": False, **changes}
    return LogSettings(**given)  # type: ignore[arg-type]


def written(folder: Path) -> list[str]:
    """The messages of the log file, times checked and cut off."""
    lines = (folder / "logs" / "run.log").read_text("utf-8").splitlines()
    assert all(LINE.match(line) for line in lines), lines
    return [line.split(" | ", 1)[1] for line in lines]


@pytest.mark.parametrize("message", list(Message), ids=lambda message: message.name)
def test_both_texts_take_the_same_facts(message: Message) -> None:
    text = message.value
    assert placeholders(text.zh) == placeholders(text.en) == text.facts
    facts = dict.fromkeys(text.facts, 1)
    assert "{" not in Said(message, facts).text("zh") + Said(message, facts).text("en")


def test_the_lines_users_know() -> None:
    known: list[tuple[Message, dict[str, object], str]] = [
        (Message.TASK_STARTED, {"task": "github_code_rating"}, "🚀 任务启动: github_code_rating"),
        (Message.SHARD, {"index": 0, "world_size": 5}, "🌐 分布式配置: Job 0/5"),
        (Message.FILES_FOUND, {"count": 50}, "📁 找到 50 个文件需要处理"),
        (Message.FILE_STARTED, {"file": "data_001.parquet"}, "🟢 开始处理文件: data_001.parquet"),
        (
            Message.BATCH_DONE,
            {"rows": 100, "scored": 95, "failed": 5, "rate": 0.95},
            "📊 批量处理完成: 100 项, 成功 95, 失败 5, 成功率 95.0%",
        ),
        (Message.PROGRESS, {"batch": 10, "rate": 0.942}, "进度: 批次 10, 成功率 94.2%"),
        (Message.FILE_DONE, {"file": "data_001.parquet"}, "✅ 文件处理完成: data_001.parquet"),
        (Message.FILE_RATE, {"scored": 950, "total": 1000, "rate": 0.95}, "   总体成功率: 950/1000 (95.0%)"),
        (
            Message.FORMAT_FAULT,
            {"message": "Missing required keys: {'score'}"},
            "❌ JSON validation failed: Missing required keys: {'score'}",
        ),
    ]
    assert [Said(message, facts).text("zh") for message, facts, _ in known] == [line for *_, line in known]


def test_the_form_of_a_line() -> None:
    record = logging.LogRecord("modelcall", logging.INFO, "", 0, Said(Message.TASK_STARTED, {"task": "t"}), None, None)
    record.created = datetime(2024, 12, 1, 14, 30, 22).timestamp()  # noqa: DTZ001  logs are in local time
    formatter = LineFormatter(language="zh", secrets=(), tracebacks=False)
    assert formatter.format(record) == "2024-12-01 14:30:22 | INFO | 🚀 任务启动: t"


def test_file_and_terminal_get_the_same_line_and_stdout_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with setup(settings(tmp_path, terminal=True, language="en")):
        say(Message.FILES_FOUND, count=3)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (tmp_path / "logs" / "run.log").read_text("utf-8")
    assert written(tmp_path) == ["INFO | 📁 Found 3 files to process"]


def test_the_level_decides_what_is_taken(tmp_path: Path) -> None:
    with setup(settings(tmp_path)):
        say(Message.FORMAT_VALID, keys=["score"])
    with setup(settings(tmp_path, level="DEBUG")):
        say(Message.FORMAT_VALID, keys=["score", "quality_tags"])
    assert written(tmp_path) == ["DEBUG | ✅ Valid JSON response received with keys: ['score', 'quality_tags']"]


def test_a_missing_fact_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(TypeError, match=r"FILE_FAILED needs the facts \['reason'\]"):
        say(Message.FILE_FAILED, file="a")


def test_facts_are_not_scanned_again(tmp_path: Path) -> None:
    with setup(settings(tmp_path)):
        say(Message.NOTE, text="{task} %s {0.__class__}")
    assert written(tmp_path) == ["INFO | {task} %s {0.__class__}"]


def test_foreign_records_are_taken_too(tmp_path: Path) -> None:
    with setup(settings(tmp_path)):
        logging.getLogger("modelcall.plugin").warning("disk %s", "slow\nvery")
    assert written(tmp_path) == ["WARNING | disk slow\\nvery"]


@pytest.mark.parametrize(
    "text",
    [
        f"key {CANARY} refused",
        f"retry Bearer {CANARY}",
        "wrong key sk-proj-abcdefghijkl123456",
        "https://user:hunter2secret@host/v1",
        "GET https://host/v1?x=1&key=hunter2secret&y=2",
        "https://host/?access_token=hunter2secret",
        "api_key=hunter2secret",
        'api-key: "hunter2secret"',
    ],
)
def test_no_secret_reaches_the_sink(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with setup(settings(tmp_path, secrets=(CANARY,), terminal=True)):
        say(Message.NOTE, text=text)
        LOGGER.error("failed", exc_info=RuntimeError(text))
    everything = (tmp_path / "logs" / "run.log").read_text("utf-8") + capsys.readouterr().err
    assert "***" in everything
    assert not re.search(r"canary|abcdefghijkl|hunter2secret", everything)


def test_the_settings_do_not_print_their_secrets(tmp_path: Path) -> None:
    assert CANARY not in repr(settings(tmp_path, secrets=(CANARY,)))


def test_a_traceback_is_one_line_of_the_file_and_absent_from_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with setup(settings(tmp_path, terminal=True)):
        try:
            int("broken")
        except ValueError:
            LOGGER.exception("it failed")
    (line,) = written(tmp_path)
    assert line.startswith("ERROR | it failed | Traceback (most recent call last):\\n")
    assert line.endswith("ValueError: invalid literal for int() with base 10: 'broken'")
    assert "Traceback" not in capsys.readouterr().err


def test_hostile_text_is_escaped() -> None:
    assert inert("a\nb\r\tc\x1b[31m\x9b\u202ed\u2028e\ud800") == ("a\\nb\\r\\tc\\x1b[31m\\x9b\\u202ed\\u2028e\\ud800")
    assert inert("\U000e0041") == "\\U000e0041"
    assert inert("中文 🚀 é {x} ⏸️ \\n") == "中文 🚀 é {x} ⏸️ \\n"


@given(st.text(st.characters(exclude_categories=[])))
def test_any_text_is_one_line_that_encodes(text: str) -> None:
    line = inert(text)
    assert len(f"{line}x".splitlines()) == 1
    assert line.encode("utf-8") or not text
    assert not re.search("[\x00-\x1f\x7f-\x9f]", line)


def test_long_messages_are_cut_and_say_so(tmp_path: Path) -> None:
    with setup(settings(tmp_path, secrets=("s" * 40,))):
        say(Message.NOTE, text="x" * (LINE_CHARS + 7))
        say(Message.NOTE, text="y" * (LINE_CHARS - 20) + "s" * 40)
    long, cut_secret = written(tmp_path)
    assert long == f"INFO | {'x' * LINE_CHARS}… (+7 chars)"
    assert cut_secret.endswith("yyy***")
    assert capped("abc", 3) == "abc"


def test_the_file_belongs_to_its_owner_and_is_appended_to(tmp_path: Path) -> None:
    for count in (1, 2):
        with setup(settings(tmp_path)):
            say(Message.FILES_FOUND, count=count)
    assert len(written(tmp_path)) == 2
    assert stat.S_IMODE((tmp_path / "logs" / "run.log").stat().st_mode) == 0o600


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full device")
def test_a_full_disk_is_reported_once(capsys: pytest.CaptureFixture[str]) -> None:
    with setup(LogSettings(file=Path("/dev/full"), terminal=False)):
        for count in range(3):
            say(Message.FILES_FOUND, count=count)
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith("The log file /dev/full cannot be written: [Errno 28]")


def test_names_of_the_main_log() -> None:
    started = datetime(2024, 12, 1, 14, 30, 22)  # noqa: DTZ001  local time
    folder = Path("logs")
    assert log_path(folder, task="rating", started=started) == Path("logs/rating_20241201_143022.log")
    assert log_path(folder, task="rating", started=started, job_index=0).name == "rating_20241201_143022_job000.log"
    assert file_stem("../a b/评分") == "_a_b_评分"


@pytest.mark.parametrize(
    ("name", "language"), [("zh_CN", "zh"), ("de_DE", "en"), (None, "en"), ("Chinese_China", "zh")]
)
def test_the_locale_chooses_the_language(name: str | None, language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locale.getlocale", lambda: (name, "UTF-8"))
    assert locale_language() == language
