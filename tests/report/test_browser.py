"""The report in a real browser: it asks for nothing, runs nothing, complains of nothing, and fits the screen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from modelcall.report.page.elements import harmless
from tests.report.browser import browser, chromium
from tests.report.markup import check_inert, page_of
from tests.report.payloads import PAYLOADS
from tests.report.runs import number_of, prepare, report, scored, write_rows

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.shell import Shell

NEEDED = pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine")


async def look(path: Path, profile: Path, *, picture: Path | None = None) -> None:
    """Open a report as three readers do; nothing may happen."""
    program = chromium()
    assert program is not None
    async with browser(program, profile) as tab:
        for width, dark in ((1280, False), (390, False), (1280, True)):
            tab.requests.clear()
            await tab.open(path, width=width, dark=dark)
            assert [url for url in tab.requests if not url.startswith(("file:///", "data:,"))] == []
            assert {url for url in tab.requests if url.startswith("file:")} == {path.as_uri()}
            assert tab.complaints == []
            assert await tab.value("window.pwned === undefined && document.scripts.length === 0") is True
            assert await tab.value("document.documentElement.scrollWidth <= window.innerWidth") is True
            assert await tab.value("getComputedStyle(document.querySelector('.cards')).display") == "grid"
            ground = await tab.value("getComputedStyle(document.body).backgroundColor")
            assert (ground == "rgb(18, 20, 28)") is dark
            if picture is not None:
                await tab.picture(picture.with_stem(f"{picture.stem}-{width}{'-dark' if dark else ''}"))
        assert await tab.value("[...document.querySelectorAll('svg text')].every(t => t.getBBox().width >= 0)") is True
        await tab.value("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert await tab.value("document.documentElement.scrollWidth <= window.innerWidth") is True
        assert tab.complaints == []


@NEEDED
async def test_the_report_of_twenty_thousand_rows_in_a_browser(shell: Shell, tmp_path: Path) -> None:
    prepare(shell)
    write_rows(shell, 20_000, files=4)
    scored(shell)
    page, done = report(shell)
    assert "rows    20,000: " in done.out
    path = shell.folder / "r.html"
    assert path.stat().st_size < 1_000_000
    assert {"scores", "by-0", "by-1", "tags", "failures", "time", "samples"} <= set(page.sections)
    picture = tmp_path / "report.png"
    await look(path, tmp_path / "profile", picture=picture)
    assert all(found.stat().st_size > 20_000 for found in tmp_path.glob("report-*.png"))
    assert len(list(tmp_path.glob("report-*.png"))) == 3


def failing(payload: str) -> str:
    """A text with a payload in it for which the scorer of the tests raises."""
    return next(text for at in range(1000) if number_of(text := f"{payload} {at}") % 10 == 0)


def hostile_run(shell: Shell) -> Path:
    """Two hundred payloads, each in a row, a tag, a group, an error, an answer; some in names of files and columns."""
    cycle = "str(item['text'])"
    task = {
        "task_name": PAYLOADS[8],
        "description": PAYLOADS[1],
        "data": {"input_folder": "./in", "output_folder": "./out"},
        "scorer": {"name": "counting:Counting"},
        "options": {"max_failed_ratio": 1},
        "logging": {"batch_size": 20, "language": "en"},
    }
    prepare(shell, reason=cycle, tags=f"[{cycle}]")
    (shell.folder / "task.yaml").write_text(json.dumps(task))
    for old in (shell.folder / "in").iterdir():
        old.unlink()
    hostile_column = "<img src=x onerror=window.pwned=1>"
    files = {
        "<svg onload=window.pwned=1>.jsonl": PAYLOADS,
        "'\" autofocus onfocus=window.pwned=1 x='.jsonl": [failing(payload) for payload in PAYLOADS],
    }
    for name, texts in files.items():
        rows = [
            {"id": text, "text": text, "language": text, "source": text, hostile_column: text, "lang": "en"}
            for text in texts
        ]
        (shell.folder / "in" / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    scored(shell)
    _poison_logs(shell)
    return shell.folder


def _poison_logs(shell: Shell) -> None:
    """Put payloads where an endpoint's words may come to stand."""
    for path in (shell.folder / "logs").glob("*_batch_details.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line, payload in zip(lines, PAYLOADS, strict=False):
            line["retries"] = {payload: 3}
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for path in (shell.folder / "logs").glob("*_final_stats.json"):
        stats = json.loads(path.read_text())
        path.write_text(
            json.dumps({**stats, "reason": PAYLOADS[0], "exit_code": PAYLOADS[1], "job_index": PAYLOADS[2]})
        )


def test_two_hundred_hostile_payloads_stay_text(shell: Shell) -> None:
    folder = hostile_run(shell)
    assert len(set(PAYLOADS)) == 200
    by = ["--by", "<img src=x onerror=window.pwned=1>", "--by", "text"]
    page, _ = report(shell, "task.yaml", *by, "--samples", "50", "--card")
    shown = page.text
    scored_ones = [payload for payload in PAYLOADS if number_of(payload) % 10]
    assert len(scored_ones) > 170
    assert [payload for payload in scored_ones if harmless(payload) not in shown] == []
    assert "\\x00<svg onload=window.pwned=1>\\u202e" in shown
    assert shown.count("window.pwned=1") > 1000
    assert "\x1b" not in page.written
    assert "\u202e" not in page.written
    card = (folder / "r.md").read_text()
    assert "<script" not in card.replace("\\<script", "").partition("\n# ")[2]
    assert "](javascript" not in card.partition("\n# ")[2].replace("\\](javascript", "")


@NEEDED
async def test_two_hundred_hostile_payloads_do_nothing_in_a_browser(shell: Shell, tmp_path: Path) -> None:
    folder = hostile_run(shell)
    by = ["--by", "<img src=x onerror=window.pwned=1>", "--by", "text"]
    report(shell, "task.yaml", *by, "--samples", "50")
    await look(folder / "r.html", tmp_path / "profile")


@NEEDED
async def test_the_browser_notices_what_a_page_must_not_do(tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<!DOCTYPE html><meta http-equiv=Content-Security-Policy content=\"default-src 'none'\">"
        "<p style='color:red'>x<img src=http://127.0.0.1:9/x.png><script>window.pwned=1</script>"
    )
    program = chromium()
    assert program is not None
    async with browser(program, tmp_path / "profile") as tab:
        await tab.open(bad)
        assert len(tab.complaints) >= 3
        assert await tab.value("document.scripts.length") == 1
    with pytest.raises(AssertionError):
        check_inert(page_of(bad.read_bytes()))
