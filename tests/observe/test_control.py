"""The control socket: private, one line in and one out, and nothing that breaks it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from modelcall.observe.control import ControlError, ask, control_socket

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass
class Run:
    asked: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)

    def status(self) -> Mapping[str, Any]:
        return {"phase": "running"}

    def command(self, name: str, arguments: Mapping[str, Any], *, by: str) -> str:
        self.asked.append((name, dict(arguments), by))
        if name == "refused":
            raise ControlError("no")
        return f"did {name}"


async def asked(path: Path, command: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
    return await asyncio.to_thread(ask, path, command, arguments)


async def test_commands_are_done_and_answered() -> None:
    run = Run()
    async with control_socket(run) as path:
        assert path.parent.parent == Path(tempfile.gettempdir())
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert await asked(path, "set", {"x": 1}) == {"done": "did set"}
        assert await asked(path, "status") == {"status": {"phase": "running"}}
        with pytest.raises(ControlError, match=r"^no$"):
            await asked(path, "refused")
    assert run.asked[0][:2] == ("set", {"x": 1})
    assert run.asked[0][2].endswith(f"(pid {os.getpid()})"), "the kernel says who asks"
    assert not path.parent.exists(), "the folder that was made for it is gone, too"
    with pytest.raises(ControlError, match="does not answer"):
        await asked(path, "status")


LINES = [
    b"\n",
    b"[]\n",
    b"{}\n",
    b'{"command": 1}\n',
    b'{"command": "x", "arguments": 3}\n',
    b"\xff\xfe\n",
    b"x" * 200_000,
]


async def test_nonsense_is_answered_with_an_error_and_breaks_nothing() -> None:
    async with control_socket(Run()) as path:
        for line in LINES:
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(line)
            writer.write_eof()
            answer = await reader.read()
            assert "no question" in json.loads(answer)["error"], line[:20]
            writer.close()
            await writer.wait_closed()
        assert await asked(path, "status") == {"status": {"phase": "running"}}


async def test_one_that_says_nothing_holds_up_neither_others_nor_the_end() -> None:
    async with asyncio.timeout(5), control_socket(Run()) as path:
        silent = socket.socket(socket.AF_UNIX)
        silent.connect(os.fspath(path))
        assert await asked(path, "status") == {"status": {"phase": "running"}}
    silent.close()


async def test_a_deep_folder_for_temporary_files_is_avoided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    async with control_socket(Run()) as path:
        assert len(os.fsencode(path)) < 104
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert await asked(path, "status") == {"status": {"phase": "running"}}
    assert not path.parent.exists()


ASK = """
import os, socket, sys
os.setuid(65534)
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
connection.sendall(b'{"command": "pause"}\\n')
print(connection.recv(1000).decode())
"""


def said_by_nobody(path: Path) -> str:
    return subprocess.check_output([sys.executable, "-c", ASK, path], text=True)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
async def test_another_user_is_refused_even_where_files_would_let_him() -> None:
    run = Run()
    async with control_socket(run) as path:
        path.parent.chmod(0o755)
        path.chmod(0o666)
        said = await asyncio.to_thread(said_by_nobody, path)
    assert json.loads(said) == {"error": "this run belongs to uid 0"}
    assert run.asked == []


@pytest.mark.skipif(os.getuid() == 0, reason="root may steer every run")
async def test_a_run_of_another_user_cannot_be_steered(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run()
    async with control_socket(run) as path:
        monkeypatch.setattr(os, "getuid", lambda: 54321)
        with pytest.raises(ControlError, match="belongs to uid 54321"):
            await asked(path, "pause")
    assert run.asked == []
