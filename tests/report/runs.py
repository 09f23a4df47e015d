"""Runs to report on, made as users make them, with a scorer whose scores a test can compute."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

from tests.report.markup import check_inert, page_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.shell import Done, Shell
    from tests.report.markup import Page

SCORER = """\
import zlib


class Counting:
    columns = {{"score": "int", "tags": "list<string>", "share": "float", "topic": "string", "more": "json"}}

    async def score(self, item):
        number = zlib.crc32(str(item["text"]).encode("utf-8", "replace"))
        if number % 10 == 0:
            raise ValueError({reason})
        tags = {tags}
        share, topic = number % 1000 / 1000, "odd" if number % 2 else "even"
        return {{**item, "score": number % 6, "tags": tags, "share": share, "topic": topic, "more": {{"n": number}}}}
"""
TASK = """\
task_name: counted
description: A task of the tests
data: {input_folder: ./in, output_folder: ./out}
scorer: {name: "counting:Counting"}
options: {max_failed_ratio: 1}
logging: {batch_size: 20, language: en}
"""


def number_of(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "replace"))


def write_rows(shell: Shell, rows: int, *, files: int = 2, name: str = "part-{}.jsonl") -> list[dict[str, Any]]:
    """Write input files; return all rows."""
    folder = shell.folder / "in"
    folder.mkdir(exist_ok=True)
    every: list[dict[str, Any]] = []
    for file in range(files):
        of_file = [
            {
                "id": file * rows + row,
                "text": f"Document {file * rows + row} of many.\nSecond line.",
                "language": ("en", "zh", "de", None)[row % 4],
                "source": ("web", "books")[row % 3 == 0],
            }
            for row in range(rows // files)
        ]
        lines = "".join(json.dumps(row) + "\n" for row in of_file)
        (folder / name.format(file)).write_text(lines)
        every += of_file
    return every


def prepare(
    shell: Shell,
    rows: int = 300,
    *,
    task: str = TASK,
    reason: str = 'f"number {number % 3} is not liked"',
    tags: str = '[f"tag{number % 4}", "all"]',
) -> list[dict[str, Any]]:
    (shell.folder / "counting.py").write_text(SCORER.format(reason=reason, tags=tags))
    (shell.folder / "task.yaml").write_text(task)
    return write_rows(shell, rows)


def scored(shell: Shell, *options: str) -> None:
    """Run the task in a process of its own, which has its own copy of the scorer."""
    done = shell.spawn("run-task", "task.yaml", "-q", *options)
    assert done.code == 0, done.err


def report(shell: Shell, *arguments: str, code: int = 0) -> tuple[Page, Done]:
    """Report into ``r.html``; take it apart."""
    done = shell("report", *(arguments or ("task.yaml",)), "--output", "r.html")
    assert done.code == code, done.err
    page = page_of((shell.folder / "r.html").read_bytes())
    check_inert(page)
    return page, done


def finish(path: Path) -> bytes:
    """A report without its only time."""
    text = path.read_text()
    before, _, after = text.partition("<span>As of ")
    return (before + after.partition("</span>")[2]).encode()
