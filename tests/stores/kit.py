"""Tasks whose data are in stores, typed as users do."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import yaml

if TYPE_CHECKING:
    from pathlib import Path

    from modelcall.fs.base import FileSystem
    from tests.cli.shell import Done, Shell

TEXTS = [
    f"{number}. The river carries silt from the hills to the sea, as it has for many years." for number in range(12)
]

MINIMUM = '''\
"""A store with the five methods that are needed, over a folder of this machine."""

from pathlib import Path

from modelcall.fs.base import FileSystem


class Elsewhere(FileSystem):
    def open(self, path, mode="rb"):
        return self._at(path).open(mode)

    def exists(self, path):
        return self._at(path).exists()

    def listdir(self, path):
        return sorted(found.name + "/" * found.is_dir() for found in self._at(path).iterdir())

    def makedirs(self, path):
        self._at(path).mkdir(parents=True, exist_ok=True)

    def remove(self, path):
        self._at(path).unlink()

    def _at(self, path):
        return Path("elsewhere").absolute() / path.removeprefix("elsewhere://").lstrip("/")
'''


def lines(texts: list[str]) -> bytes:
    return b"".join(json.dumps({"id": number, "text": text}).encode() + b"\n" for number, text in enumerate(texts))


@dataclass(frozen=True, slots=True)
class Desk:
    """A folder in which tasks are started; what they record here of runs elsewhere is below ``work``."""

    shell: Shell

    @property
    def folder(self) -> Path:
        return self.shell.folder

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def task(self, base_url: str, *, data: dict[str, Any], **blocks: Any) -> None:
        task = {
            "task_name": "rivers",
            "data": data,
            "model": {"provider": "test", "model_name": "judge", "base_url": base_url},
            "prompt": {
                "prompt_template": {"system_text": "Rate.", "prompt_text": "{text}"},
                "output_config": {"json_keys": ["score"], "json_default_values": {"score": 3}},
            },
            **blocks,
        }
        (self.folder / "task.yaml").write_text(yaml.safe_dump(task))

    def run(self, *options: str) -> Done:
        return self.shell("run-task", "task.yaml", "-q", *options)

    def lose_machine(self) -> None:
        """Go on as another machine would."""
        shutil.rmtree(self.work)


def scored(fs: FileSystem, path: str) -> list[tuple[str, str, int]]:
    """Return text, status and score of each row of an output."""
    rows = pq.read_table(io.BytesIO(fs.read_bytes(path))).to_pylist()
    return [(row["text"], row["api_status"], row["score"]) for row in rows]
