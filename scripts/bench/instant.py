"""The instant server (instant_server.sh) on a free port, for as long as a benchmark takes."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from measuring import processes

if TYPE_CHECKING:
    from types import TracebackType

_SCRIPT = Path(__file__).parent / "instant_server.sh"
_SECONDS = 10.0
_WRK_SECONDS = 5
_POST = """\
wrk.method = "POST"
wrk.body = io.open("{folder}/body.json"):read("*a")
wrk.headers["content-type"] = "application/json"
"""


class InstantServer:
    """A context in which the server answers; its files stand in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        if shutil.which("nginx", path=f"{os.defpath}:/usr/sbin") is None:
            raise SystemExit("the instant server needs Debian's nginx-light and libnginx-mod-http-lua")
        self._script("start")
        until = time.monotonic() + _SECONDS
        while not self._answers():
            if time.monotonic() > until:
                raise SystemExit(f"the instant server does not answer; see {self._folder}")
            time.sleep(0.02)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._script("stop")

    def cpu(self) -> float:
        """Return the CPU seconds of the server so far."""
        pid = int((self._folder / f"instant-server-{self.port}" / "nginx.pid").read_text())
        return sum(map(_cpu, processes(pid)))

    def limit(self, text: str, in_flight: int) -> str | None:
        """Return how often the server can answer about a text at most, by wrk; None without wrk."""
        wrk = shutil.which("wrk")
        if wrk is None:
            return None
        body = {"model": "instant", "messages": [{"role": "user", "content": f"Rate:\n{text}"}]}
        (self._folder / "body.json").write_text(json.dumps(body))
        (self._folder / "post.lua").write_text(_POST.format(folder=self._folder))
        load = ["-t1", f"-c{in_flight}", f"-d{_WRK_SECONDS}s", "-s", str(self._folder / "post.lua")]
        before = self.cpu()
        done = subprocess.run([wrk, *load, f"{self.url}/chat/completions"], capture_output=True, text=True, check=True)
        requests = re.search(r"(\d+) requests in", done.stdout)
        if requests is None:
            raise SystemExit(f"wrk said something else: {done.stdout}")
        each = (self.cpu() - before) / int(requests[1])
        return f"{int(requests[1]) / _WRK_SECONDS:,.0f} requests/s by wrk, {each * 1000:.3f} ms CPU of the server each"

    def _script(self, command: str) -> None:
        environment = {**os.environ, "TMPDIR": str(self._folder)}  # noqa: TID251  of a child
        environment["PATH"] = f"{environment.get('PATH', os.defpath)}:/usr/sbin"
        call = ["/usr/bin/env", "bash", str(_SCRIPT), command, str(self.port)]
        told = subprocess.DEVNULL if command == "stop" else None  # nginx says there that it was told to stop
        subprocess.run(call, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=told)

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
