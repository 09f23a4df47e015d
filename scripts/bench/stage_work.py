"""What the stages of stages.py work on, and how their CPU is counted."""

from __future__ import annotations

import gc
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson
from scored_task import PARAMETERS, write_input, write_task

from modelcall.config.loading import LoadedTask, load_task
from modelcall.formats.base import NO_ROWS
from modelcall.formats.opening import open_source
from modelcall.fs.local import LocalFileSystem
from modelcall.llm.settings import Adaptive, ClientSettings
from modelcall.pipeline.columns import ResultPlan
from modelcall.scorers.llm import JudgeSpec
from modelcall.types import Outcome, RowRef, Usage

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from cProfile import Profile
    from pathlib import Path

    from modelcall.types import Row

_CHUNK_ROWS: Final = 100
ANSWER: Final = (
    '{"score": 4, "quality_tags": ["clear", "useful"], "main_languages": ["en"], "recommended_use_case": "general"}'
)
"""That of the instant server."""


@dataclass(slots=True)
class Meter:
    """Counts the CPU of this process in blocks, and profiles them if there is a profile."""

    profile: Profile | None = None
    cpu: float = 0.0

    @contextmanager
    def on(self) -> Iterator[None]:
        """Count what happens in the block. Of threads only their CPU is seen, no profile."""
        gc.collect()
        began = time.process_time()
        if self.profile is not None:
            self.profile.enable()
        try:
            yield
        finally:
            if self.profile is not None:
                self.profile.disable()
            self.cpu += time.process_time() - began


@dataclass(frozen=True, slots=True)
class Work:
    """What the stages work on."""

    inputs: Path
    folder: Path
    """For what a stage writes; a new one each time."""
    url: str
    arguments: argparse.Namespace

    @property
    def count(self) -> int:
        """Rows."""
        rows: int = self.arguments.rows
        return rows

    def input(self, suffix: str) -> Path:
        """Return the input in a format."""
        path = self.inputs / f"rows.{suffix}"
        if not path.exists():
            write_input(path, self.count, self.arguments.chars)
        return path

    def task(self) -> LoadedTask:
        """Return the task that a run over the input is."""
        inputs, in_flight = self.input("jsonl"), self.arguments.in_flight
        return load_task(write_task(self.folder, inputs=inputs, base_url=self.url, in_flight=in_flight))

    def spec(self) -> JudgeSpec:
        """Return what its judge is made from."""
        prompt = self.task().prompt
        assert prompt is not None  # noqa: S101  the task has one
        adaptive = Adaptive(enabled=False)
        settings = ClientSettings((self.url,), "instant", completions_params=PARAMETERS, adaptive=adaptive)
        return JudgeSpec(prompt, "bench", settings, self.arguments.in_flight, frozenset())

    def plan(self) -> ResultPlan:
        """Return the columns that the run adds."""
        return ResultPlan(self.spec().prompt.columns(), is_judge=True)

    def chunks(self, suffix: str) -> Iterator[list[tuple[int, Any]]]:
        """Read the input as a run does."""
        path = self.input(suffix)
        source = open_source(lambda: LocalFileSystem().open(str(path)), name=path.name)
        wanted = ["text", *sorted(self.plan().names())]
        return source.rows_left(wanted, recorded=NO_ROWS, chunk_rows=_CHUNK_ROWS)

    def rows(self) -> list[tuple[RowRef, Row]]:
        """Return all rows, read."""
        return [
            (RowRef("rows.jsonl", index, f"{index:016x}"), row) for some in self.chunks("jsonl") for index, row in some
        ]

    def outcome(self) -> Outcome:
        """Return what becomes of a row."""
        usage = Usage(prompt_tokens=512, completion_tokens=42)
        values = orjson.loads(ANSWER)
        return Outcome(values, raw=ANSWER, model="instant", finish_reason="stop", usage=usage, seconds=0.01)
