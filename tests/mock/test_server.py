"""The server as clients meet it: HTTP, limits, latency, the referee."""

from __future__ import annotations

import asyncio
import ssl
import statistics
import time
from typing import Any, Literal

import aiohttp
import openai
import orjson
import pytest

from modelcall.mock.faults.plan import Ask
from modelcall.mock.limits import Bucket, Latency, Queue
from modelcall.mock.options import MockOptions
from modelcall.mock.referee import RefereeReport, key_print
from modelcall.mock.serving import serve
from tests.mock.client import CONTENT, Reply, ask, connected, fixed_server, get, payload, request_bytes


async def test_a_good_reply_is_that_of_openai() -> None:
    async with fixed_server() as server:
        reply = await ask(server, label="row-1")
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-request-id"] == "row-1"
    body = reply.json
    assert body.pop("created") > 1_700_000_000
    assert body == {
        "id": "chatcmpl-row-1",
        "object": "chat.completion",
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": CONTENT, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13},
    }


async def test_connections_are_kept_and_requests_may_be_pipelined() -> None:
    async with fixed_server(latency=0.002) as server, connected(server) as raw:
        raw.send(b"".join(request_bytes(label=f"row{n}-1") for n in range(20)))
        labels = [(await raw.reply()).headers["x-request-id"] for _ in range(20)]
        assert labels == [f"row{n}-1" for n in range(20)]
        report = server.referee.report()
    assert (report.requests, report.max_in_flight, report.connections) == (20, 1, 1)


async def test_http_1_0_and_connection_close_are_honoured() -> None:
    async with fixed_server() as server:
        for line, version in (("Connection: close\r\n", b"HTTP/1.1"), ("", b"HTTP/1.0")):
            async with connected(server) as raw:
                raw.send(request_bytes(headers=line).replace(b"HTTP/1.1", version))
                data = await raw.to_end()
            assert data.startswith(b"HTTP/1.1 200 OK\r\nconnection: close\r\n")
            assert CONTENT.replace('"', '\\"').encode() in data


async def test_who_expects_continue_gets_it() -> None:
    async with fixed_server() as server, connected(server) as raw:
        whole = request_bytes(headers="Expect: 100-continue\r\n")
        raw.send(whole[: -len(payload())])
        assert (await raw.reply()).status == 100
        raw.send(payload())
        assert (await raw.reply()).status == 200


async def test_other_routes() -> None:
    async with fixed_server() as server:
        assert (await get(server, "/health")).json == {"status": "ok"}
        assert (await get(server, "/v1/models")).json["data"][0]["object"] == "model"
        assert (await get(server, "/chat/completions?x=1", method="POST", body=payload())).status == 200
        wrong = await get(server, "/v1/chat/completions")
        assert (wrong.status, wrong.headers["allow"]) == (405, "POST")
        assert (await get(server, "/v1/models", method="POST")).headers["allow"] == "GET, HEAD"
        assert (await get(server, "/nothing")).status == 404
        async with connected(server) as raw:
            raw.send(b"HEAD /health HTTP/1.1\r\nHost: h\r\n\r\nGET /health HTTP/1.1\r\nHost: h\r\n\r\n")
            data = await raw.until(lambda data: data.endswith(b"}"))
            assert data.count(b'{"status":"ok"}') == 1
            assert data.count(b"content-length: 15\r\n") == 2


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\n\r\n", 505),
        (b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: 101\r\n\r\n", 413),
        (b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    ],
)
async def test_broken_http_is_refused_and_the_connection_closed(data: bytes, status: int) -> None:
    async with fixed_server(max_body=100) as server, connected(server) as raw:
        raw.send(data)
        assert (await raw.to_end()).startswith(f"HTTP/1.1 {status} ".encode())
        assert server.referee.in_flight == 0


async def test_streaming_is_refused_clearly() -> None:
    async with fixed_server() as server:
        reply = await ask(server, payload(stream=True))
        assert (reply.status, reply.json["error"]["param"]) == (400, "stream")
        assert "does not stream" in reply.json["error"]["message"]
        assert server.referee.report().refused == {400: 1}


async def test_a_schema_without_instance_is_refused() -> None:
    form = {"type": "json_schema", "json_schema": {"schema": {"type": "no type"}}}
    async with serve() as server:
        reply = await ask(server, payload(response_format=form))
        assert (reply.status, reply.json["error"]["param"]) == (400, "response_format")


async def chat(client: openai.AsyncOpenAI, **fields: Any) -> Any:
    """Ask with plain dictionaries, which the SDK takes but does not declare."""
    create: Any = client.chat.completions.create
    return await create(**fields)


async def test_the_official_sdk_is_served() -> None:
    async with (
        serve(MockOptions(api_key="right")) as server,
        openai.AsyncOpenAI(base_url=server.base_url, api_key="right", max_retries=0) as client,
    ):
        schema = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}
        answer = await chat(
            client,
            model="m",
            messages=[{"role": "user", "content": "print('hello')"}],
            response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": schema}},
            extra_headers={"x-request-id": "abc-1"},
        )
        assert answer._request_id == "abc-1"
        assert answer.usage is not None
        assert answer.usage.total_tokens > 0
        assert set(orjson.loads(answer.choices[0].message.content or "")) == {"score"}
        assert [model.id async for model in client.models.list()] == ["embedded-judge"]
        with pytest.raises(openai.AuthenticationError):
            await chat(client.with_options(api_key="wrong"), model="m", messages=[])
        report = server.referee.report()
    assert report.keys == {key_print("right"): 1, key_print("wrong"): 1}


async def test_a_hidden_retry_of_the_sdk_is_seen() -> None:
    async with (
        fixed_server("rate_limit_ms=1,first", time_scale=0.001) as server,
        openai.AsyncOpenAI(base_url=server.base_url, api_key="k", max_retries=1) as client,
    ):
        messages = [{"role": "user", "content": "x"}]
        await chat(client, model="m", messages=messages, extra_headers={"x-request-id": "abc-1"})
        report = server.referee.report()
    assert (report.requests, report.rows, report.hidden_retries, report.repeated_attempts) == (2, 1, 1, 1)


async def test_five_hundred_requests_at_once() -> None:
    async with (
        fixed_server(latency=0.05) as server,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client,
    ):

        async def one(row: int) -> str:
            headers = {"x-request-id": f"row{row}-1", "Authorization": "Bearer k"}
            async with client.post(f"{server.base_url}/chat/completions", data=payload(), headers=headers) as reply:
                return str((await reply.json())["id"])

        ids = await asyncio.gather(*(one(row) for row in range(500)))
        report = server.referee.report()
    assert ids == [f"chatcmpl-row{row}-1" for row in range(500)]
    assert (report.requests, report.answered_rows, report.max_in_flight) == (500, 500, 500)
    assert report.requests_per_row == {1: 500}
    assert report.keys == {key_print("k"): 500}


async def test_capacity() -> None:
    async with fixed_server(capacity=3, latency=0.03) as server:
        replies = await asyncio.gather(*(ask(server, label=f"row{n}-1") for n in range(5)))
    assert sorted(reply.status for reply in replies) == [200, 200, 200, 429, 429]


async def test_capacity_changes_while_the_server_runs() -> None:
    async with fixed_server(latency=0.03) as server:
        wrong = await get(server, "/__referee__/capacity", method="POST", body=b"0")
        assert (wrong.status, "capacity must be above 0" in wrong.json["error"]["message"]) == (400, True)
        assert (await get(server, "/__referee__/capacity", method="POST", body=b"2")).json == 2
        replies = await asyncio.gather(*(ask(server, label=f"row{n}-1") for n in range(5)))
    assert sorted(reply.status for reply in replies) == [200, 200, 429, 429, 429]


async def test_rate_limit_says_when_to_come_back() -> None:
    async with fixed_server(requests_per_second=2) as server:
        replies = [await ask(server, label=f"row{n}-1") for n in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429]
    assert 300 < float(replies[2].headers["retry-after-ms"]) <= 500


def test_a_bucket_refills() -> None:
    bucket = Bucket(2, now=0)
    assert [bucket.wait(0) for _ in range(3)] == [0, 0, 0.5]
    assert [bucket.wait(0.5), bucket.wait(0.5)] == [0, 0.5]
    assert [bucket.wait(100) for _ in range(3)] == [0, 0, 0.5]


def test_a_queue_lets_others_wait() -> None:
    queue = Queue(1.0)
    assert [queue.wait(0), queue.wait(0), queue.wait(0.5), queue.wait(10)] == [1, 2, 2.5, 1]


async def test_service_rate() -> None:
    async with fixed_server(service_rate=100) as server:
        began = time.monotonic()
        await asyncio.gather(*(ask(server, label=f"row{n}-1") for n in range(5)))
        assert time.monotonic() - began >= 0.05


@pytest.mark.parametrize("distribution", ["lognormal", "uniform"])
def test_latency_is_drawn_around_its_median(distribution: Literal["lognormal", "uniform"]) -> None:
    options = MockOptions(latency=2.0, jitter=1.0, time_scale=0.5, distribution=distribution)
    latency = Latency(options)
    draws = sorted(latency.seconds(Ask(f"row{n}", 1, 1)) for n in range(4000))
    assert statistics.median(draws) == pytest.approx(1.0, rel=0.05)
    assert draws[int(4000 * 0.8413)] == pytest.approx(1.5 if distribution == "lognormal" else 1.34, rel=0.05)
    assert latency.seconds(Ask("x", 1, 1)) == latency.seconds(Ask("x", 1, 50))
    assert latency.seconds(Ask("x", 1, 1)) != latency.seconds(Ask("x", 2, 1))
    assert Latency(MockOptions(latency=2.0)).seconds(Ask("x", 1, 1)) == 2.0


async def test_context_length_and_keys() -> None:
    async with fixed_server(context_length=10, api_key="right") as server:
        right = "Authorization: Bearer right\r\n"
        assert (await ask(server, payload("x" * 40), headers=right)).status == 200
        long = await ask(server, payload("x" * 41), headers=right)
        assert (long.status, long.json["error"]["code"]) == (400, "context_length_exceeded")
        assert (await ask(server)).json["error"]["code"] == "invalid_api_key"


async def test_connections_above_the_limit_are_reset() -> None:
    async with fixed_server(max_connections=1) as server, connected(server) as first:
        first.send(request_bytes())
        assert (await first.reply()).status == 200
        with pytest.raises(ConnectionResetError):
            async with connected(server) as second:
                await second.to_end()
        first.send(request_bytes())
        assert (await first.reply()).status == 200


async def test_idle_connections_are_closed() -> None:
    async with fixed_server(idle_timeout=5, time_scale=0.001) as server, connected(server) as raw:
        raw.send(request_bytes())
        assert (await raw.reply()).status == 200
        assert await raw.to_end() == b""


@pytest.mark.parametrize("kind", ["self_signed", "expired", "wrong_host"])
async def test_certificates_no_client_should_trust(kind: str) -> None:
    async with fixed_server(tls=kind) as server:
        trusting = ssl.create_default_context(cadata=server.certificate)
        strict = ssl.create_default_context()
        outcomes = []
        for context in (strict, trusting):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
                writer.close()
                outcomes.append("trusted")
            except ssl.SSLCertVerificationError as error:
                outcomes.append(error.verify_message)
    assert "self-signed certificate" in outcomes[0] or "expired" in outcomes[0]
    expected = {"self_signed": "trusted", "expired": "has expired", "wrong_host": "IP address mismatch"}[kind]
    assert expected in outcomes[1]


# The referee.


async def test_the_referee_counts_rows_attempts_and_repeats() -> None:
    async with fixed_server("server_error=1,once") as server:
        for label in ("a-1", "a-2", "b-1", "b-2", "b-2", "b-3"):
            await ask(
                server, label=label, headers="idempotency-key: k\r\n" if label < "b-2" else "idempotency-key: l\r\n"
            )
        report = RefereeReport.from_json((await get(server, "/__referee__")).json)
        rows = (await get(server, "/__referee__/rows")).json
        log = (await get(server, "/__referee__/log")).json
    assert (report.requests, report.rows, report.answered, report.answered_rows) == (6, 2, 4, 2)
    assert (report.after_answer, report.repeated_attempts) == (2, 1)
    assert report.requests_per_row == {2: 1, 4: 1}
    assert report.attempts == {1: 2, 2: 3, 3: 1}
    assert report.faults == {"server_error": 2}
    assert (report.idempotency_keys, report.idempotency_broken) == (6, 1)
    assert (report.in_flight, report.max_in_flight, report.unlabelled) == (0, 1, 0)
    assert rows["b"]["attempts"] == [1, 2, 2, 3]
    assert (rows["b"]["answered"], rows["b"]["after_answer"], rows["b"]["faults"]) == (3, 2, ["server_error"])
    assert [(entry["stem"], entry["attempt"], entry["fault"]) for entry in log[:2]] == [
        ("a", 1, "server_error"),
        ("a", 2, None),
    ]
    assert len({entry["body_sha256"] for entry in log}) == 1


async def test_without_labels_equal_bodies_are_one_row() -> None:
    async with fixed_server() as server:
        for text in ("x", "x", "y"):
            await ask(server, payload(text), label=None)
        report = server.referee.report()
    assert (report.rows, report.unlabelled, report.attempts) == (2, 3, {1: 2, 2: 1})


async def test_a_client_that_leaves_is_seen() -> None:
    async with fixed_server(latency=60) as server:
        async with connected(server) as raw:
            raw.send(request_bytes())
            while not server.referee.in_flight:
                await asyncio.sleep(0)
        while server.referee.in_flight:
            await asyncio.sleep(0)
        report = server.referee.report()
    assert (report.requests, report.answered, report.abandoned) == (1, 0, 1)


async def test_faults_change_while_the_server_runs() -> None:
    async with fixed_server() as server:

        async def post(path: str, value: object) -> Reply:
            return await get(server, f"/__referee__{path}", method="POST", body=orjson.dumps(value))

        assert (await ask(server, label="a-1")).status == 200
        assert (await post("/faults", {"server_error": 1})).json[0]["fault"] == "server_error"
        assert (await ask(server, label="a-2")).status == 500
        wrong = await post("/faults", ["servererror"])
        assert wrong.status == 400
        assert 'did you mean "server_error"?' in wrong.json["error"]["message"]
        assert (await post("/faults", [1])).status == 400
        assert (await post("/faults", [])).json == []
        assert (await ask(server, label="a-3")).status == 200
        assert (await post("/reset", None)).json == {}
        assert (await get(server, "/__referee__")).json["requests"] == 0
        assert (await post("/outage", {"seconds": "2"})).status == 400
        assert (await get(server, "/__referee__/nothing")).status == 404
        assert (await get(server, "/__referee__", method="PUT")).status == 405


async def test_the_same_seed_plays_the_same_faults() -> None:
    async def statuses(seed: int) -> list[int]:
        async with fixed_server("server_error=0.5", seed=seed) as server:
            return [(await ask(server, label=f"row{n}-1")).status for n in range(40)]

    assert await statuses(1) == await statuses(1)
    assert await statuses(1) != await statuses(2)


async def test_with_four_attempts_every_row_survives_the_mix() -> None:
    async with fixed_server("mix=1", time_scale=1e-4) as server:
        assert (await ask(server, label="a-4")).message["content"] == CONTENT
