"""A redeploy in the middle of a large run: refused, answering 502, or silent, for longer than any retry budget."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from modelcall.mock.options import MockOptions
from modelcall.mock.process import EmbeddedServer

pytestmark = pytest.mark.long

ROWS = 100_000
OUTAGE = 45.0
"""Seconds: past the 30 after which asking pauses, so that probes must find the server again."""


def task(folder: Path, base_url: str) -> None:
    """Write input and task."""
    (folder / "in").mkdir()
    lines = (json.dumps({"id": row, "text": f"x = {row}"}) + "\n" for row in range(ROWS))
    (folder / "in/rows.jsonl").write_text("".join(lines))
    values = {
        "task_name": "outage",
        "data": {"input_folder": "./in", "output_folder": "./out"},
        "model": {"provider": "test", "model_name": "judge", "base_url": base_url},
        "prompt": {
            "prompt_template": {"prompt_text": "Rate {text}"},
            "output_config": {"json_keys": ["score"], "json_default_values": {"score": 0}},
        },
        "concurrency": {"max_concurrent_requests": 64},
        "environment": {"timeout": 4},
    }
    (folder / "task.yaml").write_text(yaml.safe_dump(values))


def begin_outage(server: EmbeddedServer, how: str) -> None:
    """Let the server be gone."""
    if how == "502":
        server.set_faults(["bad_gateway=1,every"])
    else:
        server.control("POST", "/outage", {"seconds": OUTAGE, "how": how})


@pytest.mark.parametrize("how", ["refuse", "502", "ignore"])
def test_an_outage_costs_its_time_and_no_row(
    tmp_path: Path, record_property: Callable[[str, object], None], how: str
) -> None:
    with EmbeddedServer(MockOptions(judge="instant")) as server, (tmp_path / "log").open("w") as log:
        task(tmp_path, server.base_url)
        run = subprocess.Popen(
            [sys.executable, "-m", "modelcall", "run-task", "task.yaml", "--json"],
            cwd=tmp_path,
            text=True,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        while server.referee().requests < ROWS // 3 and run.poll() is None:
            time.sleep(0.2)
        begin_outage(server, how)
        if how == "502":
            time.sleep(OUTAGE)
            server.set_faults([])
        out, _ = run.communicate(timeout=600)
        report = server.referee()
    assert run.returncode == 0, (tmp_path / "log").read_text()[-3000:]
    assert json.loads(out)["rows"]["scored"] == ROWS
    record_property("rows", ROWS)
    record_property("requests", report.requests)
    assert report.answered_rows - ROWS in {0, 1}  # one more: the probes of the outage, which share a name
