"""A run that was killed half-way, kept as a picture of its folder, and starts of it after something has changed."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from modelcall.mock.process import EmbeddedServer
from modelcall.state.frames import Damage, read_frames
from tests.cli.shell import Done, Shell

ROWS = 60
"""Rows of each of the three files."""

TASK: dict[str, Any] = {
    "task_name": "rivers",
    "data": {"input_folder": "./in", "output_folder": "./out", "output_format": "jsonl"},
    "model": {
        "provider": "test",
        "model_name": "judge",
        "completions_params": {"temperature": 0.5, "max_tokens": 64, "extra_body": {"top_k": 4}},
        "adaptive": {"enabled": False},
    },
    "prompt": {
        "prompt_template": {"system_text": "Rate.", "prompt_text": "{text}"},
        "output_config": {"json_keys": ["score", "tags"], "json_default_values": {"score": 3, "tags": []}},
    },
    "concurrency": {"max_concurrent_requests": 4, "max_concurrent_files": 1},
}


def modelcall(folder: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    """Begin a command in a folder."""
    variables = {name: value for name, value in os.environ.items() if not name.endswith(("_KEY", "_URL"))}  # noqa: TID251
    quiet = subprocess.DEVNULL
    return subprocess.Popen(
        [sys.executable, "-m", "modelcall", *arguments], cwd=folder, env=variables, stdout=quiet, stderr=quiet
    )


def answers(folder: Path) -> int:
    """Rows in the journals of a folder."""
    found = 0
    for path in folder.rglob("journal/*.log"):
        with path.open("rb") as stream:
            found += max(0, len(list(read_frames(stream, size=path.stat().st_size, damage=Damage()))) - 1)
    return found


def task(base_url: str) -> dict[str, Any]:
    """A copy of the task."""
    made: dict[str, Any] = yaml.safe_load(yaml.safe_dump(TASK))
    made["model"]["base_url"] = base_url
    return made


class Picture:
    """Makes the killed run, once: one file published, one with some answers recorded, one not begun."""

    def __init__(self, folder: Path, server: EmbeddedServer) -> None:
        self.folder = folder / "run"
        self.kept = folder / "kept"
        self.whole = folder / "whole"
        self.server = server
        self.folder.mkdir()
        shell = Shell(self.folder, None)  # type: ignore[arg-type]  # it only makes files here
        for name in ("a", "b", "c"):
            shell.rows(f"in/{name}.jsonl", ROWS)
        (self.folder / "task.yaml").write_text(yaml.safe_dump(task(server.base_url)))
        shutil.copytree(self.folder, self.whole)
        self._kill()
        assert modelcall(self.whole, "run-task", "task.yaml").wait(60) == 0

    def _kill(self) -> None:
        first = ("--set", "debug.enabled=true", "--set", "debug.max_files=1")
        assert modelcall(self.folder, "run-task", "task.yaml", *first).wait(60) == 0
        with modelcall(self.folder, "run-task", "task.yaml") as child:
            deadline = time.monotonic() + 60
            while not answers(self.folder) and time.monotonic() < deadline:
                time.sleep(0.005)
            child.kill()
        self.recorded = answers(self.folder)
        assert 0 < self.recorded < ROWS
        assert sorted(path.name for path in (self.folder / "out").iterdir()) == [".modelcall", "a.jsonl"]
        shutil.copytree(self.folder, self.kept)


class Killed:
    """The killed run, put back as it was, and what a user does then."""

    def __init__(self, picture: Picture, shell: Shell) -> None:
        self.picture = picture
        self.shell = shell
        self.folder = shell.folder
        self.task = task(picture.server.base_url)
        for path in list(self.folder.iterdir()):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(picture.kept, self.folder, dirs_exist_ok=True)

    def set(self, path: str, value: Any) -> None:
        *blocks, key = path.split(".")
        target = self.task
        for name in blocks:
            target = target.setdefault(name, {})
        target[key] = value

    def edit(self, name: str, old: str, new: str, *, keep_time: bool = False) -> None:
        """Change the last place of an input file that reads so."""
        path = self.folder / "in" / name
        times = path.stat()
        before, found, after = path.read_text().rpartition(old)
        assert found
        path.write_text(before + new + after)
        if keep_time:
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    def start(self, *options: str) -> Done:
        (self.folder / "task.yaml").write_text(yaml.safe_dump(self.task))
        return self.shell("run-task", "task.yaml", "-q", *options)

    def tree(self) -> dict[str, bytes]:
        """All that the run has written, but for its logs and who held its lock."""
        paths = (path for path in self.folder.rglob("*") if path.is_file())
        names = {path.relative_to(self.folder).as_posix(): path for path in paths}
        ours = {name: path for name, path in names.items() if not name.startswith(("logs/", "in/", "task.yaml"))}
        return {name: path.read_bytes() for name, path in ours.items() if "/locks/" not in name}

    def asked(self) -> int:
        """Requests that the server has seen."""
        return self.picture.server.referee().requests
