from __future__ import annotations

import asyncio
import re

import pytest

from modelcall.observe import Cost, Latency, Phase, RunState, Snapshot
from modelcall.observe.metrics import metrics_server, metrics_text

LATENCY = Latency()
for seconds in (0.5, 0.5, 2.0):
    LATENCY.add(seconds)
STATE = RunState(
    "rivers",
    Snapshot(
        files_total=3,
        files_done=1,
        rows_scored=90,
        rows_failed=10,
        rows_total=200,
        rate=10.0,
        in_flight=7,
        limit=8,
        ceiling=64,
        attempts=120,
        retries={"http 429": 12},
        failures={"cut": 10},
        latency=LATENCY,
    ),
    phase=Phase.PAUSED,
    cost=Cost(1.25, "USD"),
)
SAMPLE = re.compile(r'[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-z]+="(\\.|[^"\\\n])*",?)*\})? -?[0-9][0-9.e+-]*')


def test_the_text_is_as_prometheus_reads_it() -> None:
    lines = metrics_text(STATE, {"task": 'a"b\\c\nd'}).splitlines()
    assert all(line.startswith(("# HELP modelcall_", "# TYPE modelcall_")) or SAMPLE.fullmatch(line) for line in lines)
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(names) == len(set(names)), "each metric is described once"
    assert 'modelcall_requests_in_flight{task="a\\"b\\\\c\\nd"} 7' in lines


@pytest.mark.parametrize(
    "line",
    [
        'modelcall_phase{task="r",phase="paused"} 1',
        'modelcall_phase{task="r",phase="running"} 0',
        'modelcall_rows_total{task="r",state="failed"} 10',
        'modelcall_rows_left{task="r"} 100',
        'modelcall_eta_seconds{task="r"} 10',
        'modelcall_attempts_total{task="r"} 120',
        'modelcall_cost_total{task="r"} 1.25',
        'modelcall_retries_total{task="r",cause="http 429"} 12',
        'modelcall_failures_total{task="r",kind="cut"} 10',
        'modelcall_request_seconds_count{task="r"} 3',
        'modelcall_request_seconds_sum{task="r"} 3',
    ],
)
def test_the_numbers_are_the_run_s(line: str) -> None:
    assert line in metrics_text(STATE, {"task": "r"}).splitlines()


def test_what_is_unknown_is_left_out() -> None:
    text = metrics_text(RunState("r", Snapshot()), {"task": "r"})
    assert "cost_total" not in text
    assert "eta_seconds" not in text
    assert "None" not in text


async def get(where: str, request: bytes) -> bytes:
    host, _, port = where.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    await writer.drain()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_it_is_served_on_loopback_to_those_who_ask_rightly() -> None:
    async with metrics_server(lambda: "x 1\n", host="127.0.0.1", port=0) as where:
        assert where.startswith("127.0.0.1:")
        head, _, body = (await get(where, b"GET /metrics?x=1 HTTP/1.1\r\nHost: x\r\n\r\n")).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"text/plain; version=0.0.4" in head
        assert body == b"x 1\n"
        assert (await get(where, b"HEAD /metrics HTTP/1.1\r\n\r\n")).endswith(b"Connection: close\r\n\r\n")
        assert (await get(where, b"GET / HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 404 ")
        assert (await get(where, b"POST /metrics HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 405 ")
        assert await get(where, b"GET /" + b"x" * 70_000 + b"\r\n\r\n") == b"", "too long to be a question"
