"""Several endpoints: who is asked, who is left alone, and who comes back."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from modelcall.errors import ConfigError
from modelcall.llm.endpoint import Endpoint
from modelcall.llm.exchange import Completion
from modelcall.llm.hosts import HostsFile, parse_hosts
from modelcall.llm.limits import AdaptiveLimit
from modelcall.llm.pool import Pool
from modelcall.llm.settings import Adaptive, Retries
from modelcall.llm.transport import FaultKind, RawResponse, TransportFault
from modelcall.permits import Permits
from tests.llm.kit import Bench, error, raw, run_jumping, with_settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

URLS = tuple(f"http://h{number}:8000/v1" for number in range(4))


class Cluster:
    """Endpoints with a latency each; those in ``down`` refuse connections."""

    def __init__(self, latency: dict[str, float] | None = None) -> None:
        self.latency = latency or {}
        self.down: set[str] = set()
        self.answers: dict[str, Any] = {}
        self.asked: Counter[str] = Counter()
        self.at: list[tuple[float, str]] = []

    async def __call__(self, url: str, _: Mapping[str, str], __: Any) -> RawResponse:
        self.asked[url] += 1
        self.at.append((asyncio.get_running_loop().time(), url))
        if url in self.down:
            raise TransportFault(FaultKind.CONNECT, "refused")
        await asyncio.sleep(self.latency.get(url, 0.1))
        return self.answers.get(url) or raw()


def pool(cluster: Cluster, ceiling: int = 32, **changes: Any) -> Bench:
    return Bench(cluster, with_settings(**{"base_urls": URLS, **changes}), ceiling=ceiling)


def test_equal_endpoints_share_equally() -> None:
    cluster = Cluster()

    async def work() -> None:
        async with pool(cluster) as bench:
            await bench.ask_all(2000)

    run_jumping(work())
    assert all(450 <= cluster.asked[url] <= 550 for url in URLS)


def test_a_slow_endpoint_gets_less() -> None:
    cluster = Cluster({URLS[0]: 0.4})

    async def work() -> None:
        async with pool(cluster) as bench:
            await bench.ask_all(3000)

    run_jumping(work())
    share = cluster.asked[URLS[0]] / 3000
    assert 0.05 < share < 0.1


@pytest.mark.parametrize("retries", [0, 3])
def test_dead_servers_cost_no_row_and_few_requests(retries: int) -> None:
    cluster = Cluster()
    cluster.down = set(URLS[:3])

    async def work() -> None:
        async with pool(cluster, retries=Retries(network=retries)) as bench:
            ends = await bench.ask_all(3000)
            assert all(isinstance(end, Completion) for end in ends)
            assert {facts["endpoint"] for facts in bench.named("ejected")} == {"h0:8000", "h1:8000", "h2:8000"}

    run_jumping(work())
    assert sum(cluster.asked[url] for url in URLS[:3]) < 100


def test_a_poisonous_row_does_not_meet_all_servers_of_a_large_pool() -> None:
    async def server(_: str, headers: Mapping[str, str], __: Any) -> RawResponse:
        if headers["x-request-id"].startswith("r7-"):
            raise TransportFault(FaultKind.DISCONNECTED, "reset")
        await asyncio.sleep(1.0)
        return raw()

    async def work() -> None:
        urls = tuple(f"http://h{number}:8000/v1" for number in range(50))
        async with Bench(server, with_settings(base_urls=urls)) as bench:
            ends = await bench.ask_all(2000)
            assert [row for row, end in enumerate(ends) if not isinstance(end, Completion)] == [7]
            assert ends[7].attempts <= 4 + 4 + 2

    run_jumping(work())


def test_a_server_may_stay_dead_for_days() -> None:
    endpoint = Endpoint(URLS[0], AdaptiveLimit(ceiling=8, adaptive=Adaptive()))
    rests = [endpoint.rest(now, endpoint.begin(now)) for now in range(5000)]
    assert rests == [1.0] + [None] * 4999
    endpoint.refresh(5003.9)
    assert endpoint.allowed == 0
    endpoint.refresh(5004.0)
    assert endpoint.allowed == 1


def test_a_server_with_a_wrong_key_stays_left_out() -> None:
    cluster = Cluster(dict.fromkeys(URLS[1:], 1.0))
    cluster.answers[URLS[0]] = error(401)

    async def work() -> float:
        async with pool(cluster, ceiling=8) as bench:
            ends = await bench.ask_all(2000)
            assert all(isinstance(end, Completion) for end in ends)
            assert len(bench.named("ejected")) == 1
            return asyncio.get_running_loop().time()

    assert run_jumping(work()) > 240
    assert cluster.asked[URLS[0]] <= 8 + 5


def test_a_failed_request_does_not_wait_for_a_server_that_asked_for_an_hour() -> None:
    pool = Pool(with_settings(base_urls=URLS[:2]), permits=Permits(16), hook=lambda *_: None)
    pool.tick(1.0)
    one, two = pool.endpoints
    two.cool(1.0, 3600.0)
    pool.refresh(1.0)
    assert pool.pick({one}) is one
    assert pool.pick((), {one}) is None


def test_a_request_waits_for_a_busy_endpoint_rather_than_go_back_to_one_that_refused_it() -> None:
    pool = Pool(with_settings(base_urls=URLS[:2]), permits=Permits(16), hook=lambda *_: None)
    pool.tick(1.0)
    one, two = pool.endpoints
    while two.outstanding < two.allowed:
        ticket = two.begin(1.0)
    assert pool.pick({one}) is pool.pick((), {one}) is None
    assert pool.pick() is one
    pool.abandoned(ticket)
    assert pool.pick({one}) is pool.pick((), {one}) is two
    two.ban(1.0)
    pool.refresh(1.0)
    assert pool.pick({one}) is pool.pick((), {one}) is one


def test_a_server_that_comes_back_is_asked_again() -> None:
    cluster = Cluster()

    async def work() -> None:
        async with pool(cluster) as bench:
            cluster.down = {URLS[1]}
            rows = asyncio.ensure_future(bench.ask_all(6000))
            await asyncio.sleep(8)
            before = cluster.asked[URLS[1]]
            cluster.down = set()
            await rows
            assert [facts["endpoint"] for facts in bench.named("rejoined")] == ["h1:8000"]
            assert cluster.asked[URLS[1]] - before > 300

    run_jumping(work())


def test_a_pause_of_one_endpoint_is_not_the_others() -> None:
    cluster = Cluster()
    cluster.answers[URLS[0]] = error(429, "slow", headers={"retry-after": "30"})

    async def work() -> float:
        async with pool(cluster) as bench:
            ends = await bench.ask_all(1000)
            assert all(isinstance(end, Completion) for end in ends)
            return asyncio.get_running_loop().time()

    assert run_jumping(work()) < 20
    first = next(at for at, url in cluster.at if url == URLS[0])
    assert not [at for at, url in cluster.at if url == URLS[0] and first + 0.2 < at < first + 30]


def test_the_ceiling_holds_for_all_together() -> None:
    peak = in_flight = 0

    async def server(*_: Any) -> RawResponse:
        nonlocal peak, in_flight
        in_flight += 1
        peak = max(peak, in_flight)
        await asyncio.sleep(0.1)
        in_flight -= 1
        return raw()

    async def work() -> None:
        settings = with_settings(base_urls=URLS, hedge_after=0.05)
        async with Bench(server, settings, ceiling=10) as bench:
            await bench.ask_all(2000)

    run_jumping(work())
    assert peak == 10


def test_the_hosts_file_is_read_again_while_running(tmp_path: Path) -> None:
    cluster = Cluster()
    hosts = tmp_path / "hosts"
    hosts.write_text("h1:8000\n")

    async def work() -> None:
        async with pool(cluster, base_urls=(), hosts_file=str(hosts)) as bench:
            await bench.ask_all(50)
            hosts.write_text("# moved\nhttp://h2:8000/v1/ # new\nh3:8000\n")
            await asyncio.sleep(3)
            before = cluster.asked[URLS[1]]
            await bench.ask_all(50)
            assert cluster.asked[URLS[1]] == before == 50
            hosts.write_text("")
            await asyncio.sleep(3)
            await bench.ask_all(10)
            assert bench.named("hosts")[-1] == {"endpoints": ["h2:8000", "h3:8000"]}

    run_jumping(work())
    assert cluster.asked[URLS[2]] + cluster.asked[URLS[3]] == 60


def test_a_hosts_file_that_is_not_there_changes_nothing(tmp_path: Path) -> None:
    hosts = HostsFile(str(tmp_path / "none"))
    assert hosts.changed() is None
    (tmp_path / "none").write_bytes(b"\xff\xfe")
    assert hosts.changed() is None


def test_a_client_needs_an_endpoint(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("# none yet")
    with pytest.raises(ConfigError, match="no endpoint"):
        pool(Cluster(), base_urls=(), hosts_file=str(tmp_path / "empty"))


def test_all_urls_that_are_none_are_named() -> None:
    with pytest.raises(ConfigError) as caught:
        pool(Cluster(), base_urls=("ftp://host/v1", "http://one/v1", "host:8000/v1", "http://host:99999999/v1"))
    assert len(caught.value.mistakes) == 3


def test_hosts_are_urls_or_names() -> None:
    text = "a:1\nhttp://:x/\n\n# no\n http://b/v1/ # yes\na:1\nhttp://user:word@d:1\nhttps://c"
    assert parse_hosts(text) == ("http://a:1/v1", "http://b/v1", "https://c")


def test_a_limit_that_keeps_moving_is_told_ever_less_often() -> None:
    told: list[Any] = []
    permits = Permits(64)
    pool = Pool(with_settings(), permits=permits, hook=lambda *event: told.append(event))
    for second in range(1, 3601):
        pool.endpoints[0].limit.value = 8 + 40 * (second % 2)
        pool.tick(float(second))
    assert 60 <= len(told) <= 70
    pool.tick(4000.0)
    pool.endpoints[0].limit.value = 20
    pool.tick(4001.0)
    assert told[-1][1]["limit"] == 20


# Hedging.


def test_an_unanswered_attempt_is_made_elsewhere_too() -> None:
    cluster = Cluster({URLS[0]: 50.0})

    async def work() -> None:
        async with pool(cluster, base_urls=URLS[:2], hedge_after=1.0, timeout=100.0) as bench:
            ends = await bench.ask_all(40)
            assert all(isinstance(end, Completion) for end in ends)
            assert asyncio.get_running_loop().time() < 45
            hedged = [end for end in ends if end.attempts == 2]
            assert hedged
            assert bench.client._pool.endpoints[0].outstanding == 0
            assert bench.permits.in_use == 0

    run_jumping(work())


def test_a_hedge_that_fails_does_not_beat_a_good_answer() -> None:
    cluster = Cluster({URLS[0]: 2.0, URLS[1]: 0.1})
    cluster.answers[URLS[1]] = error(500, "boom")

    async def work() -> None:
        async with pool(cluster, base_urls=URLS[:2], hedge_after=1.0, retries=Retries(0, 0, 0)) as bench:
            bench.client._pool.endpoints[1].outstanding = 1  # the first goes to h0
            end = await bench.ask()
            assert isinstance(end, Completion)
            assert end.attempts == 2
            bench.client._pool.endpoints[1].outstanding = 0

    run_jumping(work())


def test_one_endpoint_is_never_hedged() -> None:
    cluster = Cluster({URLS[0]: 5.0})

    async def work() -> None:
        async with pool(cluster, base_urls=URLS[:1], hedge_after=1.0) as bench:
            end = await bench.ask()
            assert end.attempts == 1

    run_jumping(work())
    assert cluster.asked[URLS[0]] == 1


def test_an_endpoint_that_asked_another_process_to_wait_is_asked_nothing_meanwhile() -> None:
    permits = Permits(8)
    pool = Pool(with_settings(base_urls=URLS[:2]), permits=permits, hook=lambda *_: None)
    pool.tick(0.0)
    first, second = pool.endpoints
    pool.cooled(first.name, 5.0, 1.0)
    assert {pool.pick() for _ in range(5)} == {second}
    pool.cooled("another:80", 5.0, 1.0)
    assert pool.pick() is second
    pool.tick(7.0)
    pool.tick(8.0)
    assert first.allowed > 0
