"""What stops the run, early, and what is only one row's."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from modelcall.errors import FatalError
from modelcall.llm.exchange import Completion, Failure
from modelcall.llm.labels import label
from modelcall.llm.transport import FaultKind, RawResponse, TransportFault
from modelcall.types import ErrorType
from tests.llm.kit import KEY, Bench, error, raw, run_jumping, with_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BAD_KEY = error(401, f"Incorrect API key provided: {KEY}", code="invalid_api_key")
FATAL: dict[str, Any] = {
    "401": BAD_KEY,
    "402": error(402, "Insufficient Balance"),
    "404": error(404, "The model `m` does not exist", code="model_not_found"),
    "quota": error(429, "You exceeded your current quota", code="insufficient_quota"),
    "tls": TransportFault(FaultKind.TLS, "certificate has expired"),
    "redirect": raw(b"", 307),
    "403": error(403, "not in your region"),
}


class Server:
    """Refuses where ``refuses`` says so; counts."""

    def __init__(self, refuses: Callable[[int, str], bool], fault: Any) -> None:
        self.refuses, self.fault, self.asked = refuses, fault, 0

    async def __call__(self, _: str, headers: Mapping[str, str], __: Any) -> RawResponse:
        self.asked += 1
        refuse = self.refuses(self.asked, headers["x-request-id"])
        await asyncio.sleep(0.1)
        if not refuse:
            return raw()
        if isinstance(self.fault, TransportFault):
            raise self.fault
        answer: RawResponse = self.fault
        return answer


async def drain(bench: Bench) -> None:
    """As the pipeline does after the first fatal error: cancel what is left."""
    rest = asyncio.all_tasks() - {asyncio.current_task(), bench.client._ticker}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


@pytest.mark.parametrize("fault", FATAL.values(), ids=FATAL)
def test_a_refusal_before_the_first_success_stops_the_run_at_once(fault: Any) -> None:
    server = Server(lambda *_: True, fault)

    async def work() -> None:
        async with Bench(server, ceiling=16) as bench:
            with pytest.raises(FatalError) as caught:
                await bench.ask_all(2000)
            assert caught.value.message.startswith("one:8000")
            assert caught.value.hint
            assert KEY not in caught.value.message
            assert asyncio.get_running_loop().time() < 5
            await drain(bench)

    run_jumping(work())
    assert server.asked <= 16 + 5


def test_one_row_alone_is_enough_before_the_first_success() -> None:
    async def work(fault: Any) -> None:
        async with Bench(Server(lambda *_: True, fault)) as bench:
            with pytest.raises(FatalError):
                await bench.ask()
            with pytest.raises(FatalError):
                await bench.ask("later")

    run_jumping(work(FATAL["401"]))
    run_jumping(work(FATAL["403"]))


@pytest.mark.parametrize("refused", [{0}, {30}, {30, 31, 32, 33}, {99}])
def test_a_proxy_that_refuses_single_documents_costs_those_rows(refused: set[int]) -> None:
    names = {label(f"r{row}", 1) for row in refused}
    server = Server(lambda _, name: name in names, FATAL["403"])

    async def work() -> list[Any]:
        async with Bench(server, ceiling=8) as bench:
            return await bench.ask_all(100)

    ends = run_jumping(work())
    failed = {row: end for row, end in enumerate(ends) if isinstance(end, Failure)}
    assert set(failed) == refused
    assert {(end.error_type, end.attempts) for end in failed.values()} == {(ErrorType.REJECTED, 1)}
    assert server.asked == 100


def test_a_key_revoked_while_running_stops_the_run_and_fails_no_row() -> None:
    server = Server(lambda asked, _: asked > 200, BAD_KEY)
    ends: list[Any] = []

    async def work() -> None:
        async with Bench(server, ceiling=8) as bench:

            async def row(number: int) -> None:
                ends.append(await bench.ask(f"r{number}"))

            with pytest.raises(FatalError, match="Incorrect API key"):
                await asyncio.gather(*(row(number) for number in range(1000)))
            await drain(bench)

    run_jumping(work())
    assert len(ends) == 200
    assert all(isinstance(end, Completion) for end in ends)
    assert server.asked <= 200 + 8 + 5


def test_answers_of_requests_from_before_a_key_was_revoked_do_not_make_refusals_the_rows_own() -> None:
    """1,024 slow requests are in flight when the key goes: their answers keep coming, new ones are refused at once."""
    rng = random.Random(2)
    failed: list[Any] = []

    async def server(_: str, __: Mapping[str, str], ___: Any) -> RawResponse:
        if asyncio.get_running_loop().time() > 60:
            await asyncio.sleep(0.01)
            return BAD_KEY
        await asyncio.sleep(rng.uniform(5, 30))
        return raw()

    async def work() -> None:
        async with Bench(server, ceiling=1024) as bench:

            async def row(number: int) -> None:
                end = await bench.ask(f"r{number}")
                if not isinstance(end, Completion):
                    failed.append(end)

            with pytest.raises(FatalError, match="Incorrect API key"):
                await asyncio.gather(*(row(number) for number in range(10_000)))
            await drain(bench)

    run_jumping(work())
    assert failed == []


def test_a_refusal_of_one_endpoint_is_not_the_pools() -> None:
    """One of two servers has the wrong model: its share goes to the other, and it is left alone."""

    async def server(url: str, _: Mapping[str, str], __: Any) -> RawResponse:
        await asyncio.sleep(0.1)
        answer: RawResponse = FATAL["404"] if "two" in url else raw()
        return answer

    async def work() -> None:
        settings = with_settings(base_urls=("http://one:8000/v1", "http://two:8000/v1"))
        async with Bench(server, settings, ceiling=8) as bench:
            ends = await bench.ask_all(300)
            assert all(isinstance(end, Completion) for end in ends)
            assert [facts["endpoint"] for facts in bench.named("ejected")] == ["two:8000"]

    run_jumping(work())


def test_a_refusal_of_all_endpoints_stops_the_run() -> None:
    server = Server(lambda *_: True, BAD_KEY)

    async def work() -> None:
        settings = with_settings(base_urls=("http://one:8000/v1", "http://two:8000/v1"))
        async with Bench(server, settings, ceiling=8) as bench:
            with pytest.raises(FatalError):
                await bench.ask_all(300)
            await drain(bench)

    run_jumping(work())
    assert server.asked <= 2 * 8 + 5
