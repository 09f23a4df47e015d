"""A server that goes away and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import orjson
import pytest
import uvloop

from modelcall.errors import ConfigError
from modelcall.mock.serving import serve
from tests.mock.client import PATIENCE, Raw, ask, connected, fixed_server, get, options, request_bytes

if TYPE_CHECKING:
    from modelcall.mock.serving import RunningServer


async def is_refused(server: RunningServer) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False


async def test_an_outage_drops_connections_refuses_new_ones_and_ends() -> None:
    async with fixed_server() as server, connected(server) as raw:
        raw.send(request_bytes())
        assert (await raw.reply()).status == 200
        body = orjson.dumps({"seconds": 0.05})
        assert (await get(server, "/__referee__/outage", method="POST", body=body)).json == {
            "seconds": 0.05,
            "how": "refuse",
        }
        with pytest.raises(ConnectionResetError):
            await raw.to_end()
        assert await is_refused(server)
        while await is_refused(server):
            await asyncio.sleep(0.005)
        assert (await ask(server)).status == 200


async def test_connections_wait_in_a_full_backlog() -> None:
    async with fixed_server() as server:
        server.listener.down(60, "ignore")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.03):
                await asyncio.open_connection("127.0.0.1", server.port)
        server.listener.up()
        assert (await ask(server)).status == 200


async def test_the_port_stays_ours_while_down() -> None:
    async with fixed_server() as server:
        server.listener.down(60)
        with pytest.raises(ConfigError, match=f"cannot use port {server.port}"):
            async with serve(options(port=server.port)):
                raise AssertionError


async def test_the_server_may_start_late() -> None:
    async with fixed_server(starts_after=20, time_scale=0.001) as server:
        assert await is_refused(server)
        while await is_refused(server):
            await asyncio.sleep(0.002)
        assert (await ask(server)).status == 200


async def test_restarts() -> None:
    async with fixed_server(restart_every=10, restart_for=10, time_scale=0.001) as server:
        seen: set[object] = set()
        while seen != {200, "down"}:
            with contextlib.suppress(ConnectionResetError):
                try:
                    seen.add((await ask(server)).status)
                except ConnectionRefusedError:
                    seen.add("down")
            await asyncio.sleep(0.001)


def test_leaving_ends_while_connections_are_arriving() -> None:
    stop = threading.Event()

    def knock(port: int) -> None:
        while not stop.is_set():
            with socket.socket() as probe:
                probe.connect_ex(("127.0.0.1", port))

    async def serve_and_leave() -> RunningServer:
        async with fixed_server() as server:
            thread = threading.Thread(target=knock, args=(server.port,))
            thread.start()
            while server.referee.connections < 50:
                await asyncio.sleep(0)
        stop.set()
        thread.join()
        return server

    left = uvloop.run(asyncio.wait_for(serve_and_leave(), PATIENCE))
    assert left.server.connections == set()


async def test_leaving_drops_everything_and_frees_the_port() -> None:
    before = asyncio.all_tasks()
    async with fixed_server("silence") as server:
        raws = [Raw(*await asyncio.open_connection("127.0.0.1", server.port)) for _ in range(3)]
        raws[0].send(request_bytes())
        while not server.referee.in_flight:
            await asyncio.sleep(0)
    assert server.server.connections == set()
    assert asyncio.all_tasks() == before
    async with serve(options(port=server.port)) as again:
        assert again.port == server.port
    for raw in raws:
        with pytest.raises(ConnectionResetError):
            await raw.to_end()
        raw.writer.close()
