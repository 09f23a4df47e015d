"""One run as a user starts it, and everything that came of it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pyarrow.parquet as pq
import yaml

from scripts.interop.servers import MODELCALL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

KEY_NAME: Final = "INTEROP_KEY"
_LONGEST: Final = 600
"""Seconds a run may take."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is run."""

    name: str
    model: Mapping[str, Any]
    """The model file, without the key."""
    prompt: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    key: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Further blocks of the task file."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of it."""

    exit_code: int
    told: str
    """What it said on stderr."""
    report: Mapping[str, Any]
    """What it said on stdout."""
    verdict: Mapping[str, Any]
    """What ``modelcall verify`` said."""
    rows: Sequence[Mapping[str, Any]]
    """The output; empty if none was published."""


def run(folder: Path, job: Job) -> Ran:
    """Run a job in a folder of its own, or go on with it if it has run there, then verify its output and read it."""
    home = folder / job.name
    if not home.exists():  # an input that is written again has changed
        (home / "in").mkdir(parents=True)
        (home / "in/rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in job.rows), encoding="utf-8")
    (home / "task.yaml").write_text(yaml.safe_dump(_task(job)), encoding="utf-8")
    (home / ".env").write_text(f"{KEY_NAME}={job.key}\n", encoding="utf-8")
    ran = _modelcall(home, "run-task", "task.yaml", "--json", "--quiet")
    verified = _modelcall(home, "verify", "out", "--json")
    output = home / "out/rows.parquet"
    return Ran(
        exit_code=ran.returncode,
        told=ran.stderr,
        report=_document(ran.stdout),
        verdict=_document(verified.stdout),
        rows=pq.read_table(output).to_pylist() if output.exists() else [],
    )


def _task(job: Job) -> dict[str, Any]:
    return {
        "task_name": job.name,
        "data": {"input_folder": "./in", "output_folder": "./out"},
        "model": {**job.model, "api_key_env": KEY_NAME},
        "prompt": dict(job.prompt),
        "logging": {"language": "en"},
        **job.settings,
    }


def _modelcall(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MODELCALL, *arguments], cwd=home, capture_output=True, text=True, timeout=_LONGEST, check=False
    )


def _document(text: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(text) if text.strip() else {}
    return document
