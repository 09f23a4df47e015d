from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from modelcall.cli.main import run

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

TEXT = "The river carries silt from the hills to the sea. Farmers on its banks have known this for many years. "

TASK = """\
task_name: rivers
data: {{input_folder: ./in, output_folder: ./out, output_format: jsonl}}
model: {{provider: test, model_name: judge, base_url: "{base_url}", adaptive: {{enabled: false}}}}
prompt:
  prompt_template: {{system_text: Rate., prompt_text: "{{text}}"}}
  output_config: {{json_keys: [score], json_default_values: {{score: 3}}}}
concurrency: {{max_concurrent_requests: 4}}
options: {{grace_seconds: 5}}
"""


@dataclass(frozen=True, slots=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def last(self) -> str:
        return self.err.rstrip().rpartition("\n")[2]


@dataclass(frozen=True, slots=True)
class Shell:
    """A folder in which commands are typed."""

    folder: Path
    captured: pytest.CaptureFixture[str]
    children: list[subprocess.Popen[str]] = field(default_factory=list)

    def __call__(self, *arguments: str) -> Done:
        """Run a command in this process."""
        self.captured.readouterr()
        code = run(arguments)
        out, err = self.captured.readouterr()
        return Done(code, out, err)

    def environment(self, **changes: str) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()  # noqa: TID251  a child's environment
            if name in {"PATH", "HOME", "PYTHONPATH", "TMPDIR"}
        }
        return {**kept, "LANG": "C.UTF-8", "PYTHONUTF8": "1", **changes}

    def start(self, *arguments: str, **changes: str) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, "-m", "modelcall", *arguments],
            cwd=self.folder,
            env=self.environment(**changes),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.children.append(child)
        return child

    def clear(self) -> None:
        """Kill what a failed test left behind."""
        for child in self.children:
            if child.poll() is None:
                child.kill()
                child.communicate()

    def spawn(self, *arguments: str, **changes: str) -> Done:
        """Run a command in a process of its own."""
        with self.start(*arguments, **changes) as child:
            out, err = child.communicate(timeout=60)
        return Done(child.returncode, out, err)

    def rows(self, name: str, count: int, *, text: str = TEXT) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = (json.dumps({"id": number, "text": f"{number}. {text}"}) for number in range(count))
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    def read(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / name).read_text().splitlines()]

    def task(self, base_url: str, *, name: str = "task.yaml", more: str = "") -> Path:
        path = self.folder / name
        path.write_text(TASK.format(base_url=base_url) + more)
        return path
