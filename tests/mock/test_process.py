"""The server in a process of its own."""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest

from modelcall.errors import ConfigError
from modelcall.mock.faults.rules import parse_faults
from modelcall.mock.options import MockOptions
from modelcall.mock.process import EmbeddedServer
from tests.mock.client import payload

PARENT = """
import sys, time
from modelcall.mock.process import EmbeddedServer
with EmbeddedServer() as server:
    print(server.pid, server.port, flush=True)
    {}
    time.sleep(60)
"""
RUN = """
import sys
from modelcall.mock.options import MockOptions
from modelcall.mock.serving import run_forever
report = run_forever(MockOptions(), lambda server: print(server.base_url, flush=True), lifetime={})
print(report.requests)
"""


def post(base_url: str, label: str) -> int:
    connection = http.client.HTTPConnection(base_url.split("/")[2], timeout=10)
    try:
        connection.request("POST", "/v1/chat/completions", payload(), {"x-request-id": label})
        return connection.getresponse().status
    finally:
        connection.close()


def wait_until_gone(pid: int, port: int) -> None:
    """The process has ended (init reaps it) and nobody listens."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0 and not is_running(pid):
                return
        time.sleep(0.01)
    raise AssertionError(f"process {pid} still serves port {port}")


def is_running(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
        return stat.rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_server_of_ones_own() -> None:
    options = MockOptions(faults=parse_faults(["server_error=1,once"]), latency=0.001)
    with EmbeddedServer(options) as server:
        assert server.base_url == f"http://127.0.0.1:{server.port}/v1"
        assert [post(server.base_url, f"row-{attempt}") for attempt in (1, 2)] == [500, 200]
        report = server.referee()
        assert (report.requests, report.answered_rows, report.faults) == (2, 1, {"server_error": 1})
        assert server.rows()["row"]["attempts"] == [1, 2]
        server.set_faults({"no_balance": 1})
        assert post(server.base_url, "row-3") == 402
        with pytest.raises(ConfigError, match='did you mean "reset"'):
            server.set_faults(["rset=1"])
        server.reset()
        assert server.referee().requests == 0
        pid, port = server.pid, server.port
    wait_until_gone(pid, port)


def test_a_taken_port_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"cannot use port {port}"), EmbeddedServer(MockOptions(port=port)):
            raise AssertionError


@pytest.mark.parametrize(
    "extra",
    ["", "import os; child = os.fork(); time.sleep(60) if not child else print(child, flush=True)"],
    ids=["alone", "with a forked child that holds the pipe"],
)
def test_the_child_dies_with_its_parent(extra: str) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT.format(extra)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, port = map(int, parent.stdout.readline().split())
        forked = int(parent.stdout.readline()) if extra else None
        assert is_running(pid)
        parent.kill()
        wait_until_gone(pid, port)
        if forked is not None:
            os.kill(forked, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_a_server_that_runs_for_ever(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", RUN.format(None)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        base_url = process.stdout.readline().strip()
        assert post(base_url, "row-1") == 200
        process.send_signal(number)
        assert process.stdout.readline() == "1\n"
        assert process.wait(10) == 0


def test_a_lifetime_ends_a_server() -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(0.05)], capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout.splitlines()[1] == "0"


def test_https_is_controlled_too() -> None:
    with EmbeddedServer(MockOptions(tls="self_signed")) as server:
        assert server.base_url.startswith("https://")
        assert server.referee().requests == 0


async def test_it_serves_an_event_loop_that_is_busy_elsewhere() -> None:
    with EmbeddedServer() as server:
        assert await asyncio.to_thread(post, server.base_url, "row-1") == 200
        assert orjson.loads(orjson.dumps(server.referee().to_json()))["requests"] == 1
