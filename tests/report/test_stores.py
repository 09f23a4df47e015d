"""Outputs that are elsewhere, and reports that are written elsewhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.report.markup import check_inert, page_of
from tests.report.runs import write_rows
from tests.stores.conftest import desk, memory, tos

if TYPE_CHECKING:
    from modelcall.mock.tos.thread import LocalTos
    from tests.stores.kit import Desk

__all__ = ["desk", "memory", "tos"]


def test_an_output_in_tos_is_reported_there_and_here(desk: Desk, tos: LocalTos) -> None:
    shell = desk.shell
    output = f"tos://{tos.options.buckets[0]}/tagged"
    write_rows(shell, 40)
    task = {"task_name": "t", "data": {"input_folder": "./in", "output_folder": output}, "scorer": {"name": "quality"}}
    (shell.folder / "task.yaml").write_text(json.dumps(task))
    assert shell("run-task", "task.yaml", "-q").code == 0
    done = shell("report", output, "--json")
    assert done.code == 0
    assert done.json["report"] == f"{output}/.modelcall/report.html"
    assert shell("report", "task.yaml", "--output", "r.html").code == 0
    page = page_of((shell.folder / "r.html").read_bytes())
    check_inert(page)
    assert "\nRows\n40\n2 of 2 published\n" in page.text
    assert "Document " in page.section("samples")
    assert "time" in page.sections
