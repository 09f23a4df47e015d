"""The life of one request: budgets, waits, permits, and what the next attempt says."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from modelcall.llm.exchange import ChatRequest, Completion, Failure, FormatFault, Reply
from modelcall.llm.labels import label
from modelcall.llm.settings import Retries
from modelcall.llm.transport import FaultKind, RawResponse, TransportFault
from modelcall.types import ErrorType, Usage
from tests.llm.kit import Bench, accept_json, completion, error, raw, run_jumping, with_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def script(*replies: RawResponse | TransportFault, seen: list[Any] | None = None) -> Any:
    """Answer with these in turn, the last one for ever. ``seen`` gets (time, headers, body)."""
    calls = 0

    async def server(_: str, headers: Mapping[str, str], body: Any) -> RawResponse:
        nonlocal calls
        reply = replies[min(calls, len(replies) - 1)]
        calls += 1
        if seen is not None:
            seen.append((asyncio.get_running_loop().time(), dict(headers), body))
        await asyncio.sleep(0.01)
        if isinstance(reply, TransportFault):
            raise reply
        return reply

    return server


def ask(server: Any, *, check: Callable[[Reply], Any] = accept_json, **changes: Any) -> tuple[Any, Bench]:
    async def work() -> tuple[Any, Bench]:
        async with Bench(server, with_settings(**changes)) as bench:
            return await bench.ask(check=check), bench

    return run_jumping(work())


RATE = error(429, "slow", code="rate_limit_exceeded")
POISON = error(500, "boom")


def test_a_completion_has_its_values_usage_and_count() -> None:
    end, bench = ask(script(raw()))
    assert isinstance(end, Completion)
    assert (end.values, end.attempts, end.usage, end.reply.model) == ({"score": 7}, 1, Usage(9, 4), "m")
    assert end.seconds == pytest.approx(0.01)
    assert bench.permits.in_use == 0


def test_attempts_are_numbered_and_usage_is_summed() -> None:
    seen: list[Any] = []
    end, _ = ask(script(raw(completion("no json")), POISON, raw(), seen=seen))
    assert isinstance(end, Completion)
    assert end.attempts == 3
    assert end.usage == Usage(18, 8)
    assert [headers["x-request-id"] for _, headers, _ in seen] == [label("r1", attempt) for attempt in (1, 2, 3)]


@pytest.mark.parametrize(("reply", "budget"), [(POISON, "network"), (RATE, "rate_limit")])
@pytest.mark.parametrize("retries", [0, 2])
def test_each_kind_of_failure_has_its_own_budget(reply: RawResponse, budget: str, retries: int) -> None:
    others = {"network": 9, "rate_limit": 9, "format": 9}
    end, _ = ask(script(reply), retries=Retries(**{**others, budget: retries}))
    assert isinstance(end, Failure)
    assert (end.error_type, end.attempts) == (ErrorType.RETRIES_EXHAUSTED, retries + 1)
    assert "one:8000 answered" in end.reason


def test_budgets_are_not_shared() -> None:
    end, _ = ask(script(POISON, RATE, raw(completion("x")), raw()), retries=Retries(1, 1, 1))
    assert isinstance(end, Completion)
    assert end.attempts == 4


@pytest.mark.parametrize(
    ("reply", "error_type"),
    [
        (error(400, "bad temperature"), ErrorType.REJECTED),
        (error(400, "x", code="context_length_exceeded"), ErrorType.TOO_LONG),
        (raw(completion(None, message={"refusal": "I can't help with that."})), ErrorType.REFUSED),
        (raw(completion("", finish_reason="content_filter")), ErrorType.FILTERED),
    ],
)
def test_what_will_never_succeed_is_asked_once(reply: RawResponse, error_type: ErrorType) -> None:
    end, _ = ask(script(reply))
    assert isinstance(end, Failure)
    assert (end.error_type, end.attempts) == (error_type, 1)


@pytest.mark.parametrize("refusal", [error(400, "x", code="context_length_exceeded"), error(400, "max_tokens")])
@pytest.mark.parametrize(
    ("first", "error_type"),
    [(completion('{"sc', finish_reason="length"), ErrorType.CUT), (completion("no"), ErrorType.INVALID_OUTPUT)],
)
def test_what_only_our_changes_made_too_much_is_not_the_row_s_fault(
    first: Any, error_type: ErrorType, refusal: RawResponse
) -> None:
    end, _ = ask(script(raw(first), refusal))
    assert isinstance(end, Failure)
    assert (end.error_type, end.attempts) == (error_type, 2)
    assert end.reason.startswith("not JSON; then one:8000 answered 400: ")


def test_waits_grow_and_are_jittered() -> None:
    seen: list[Any] = []
    ask(script(POISON, seen=seen), retries=Retries(network=6))
    gaps = [later[0] - sooner[0] - 0.01 for sooner, later in pairwise(seen)]
    for gap, full in zip(gaps, [1, 2, 4, 8, 15, 15], strict=True):
        assert full / 2 <= gap <= full + 0.1
    assert len({round(gap / full, 3) for gap, full in zip(gaps, [1, 2, 4, 8, 15, 15], strict=True)}) > 3


def test_the_permit_is_given_back_while_waiting() -> None:
    async def work() -> None:
        async with Bench(script(POISON, raw()), ceiling=1) as bench:
            row = asyncio.ensure_future(bench.ask("slow"))
            await asyncio.sleep(0.1)
            assert bench.permits.in_use == 0
            assert isinstance(await bench.ask("quick"), Completion)
            assert not row.done()
            assert isinstance(await row, Completion)

    run_jumping(work())


def test_requests_that_wait_without_a_permit_are_bounded() -> None:
    """A server that fails at once must not make the whole corpus pile up as waiting rows."""

    async def work() -> None:
        started = 0
        async with Bench(script(POISON), with_settings(retries=Retries(network=50)), ceiling=4) as bench:
            tasks = []

            async def rows() -> None:
                nonlocal started
                while True:
                    permit = await bench.permits.take()
                    started += 1
                    tasks.append(asyncio.ensure_future(bench._held(f"r{started}", permit)))

            feeder = asyncio.ensure_future(rows())
            await asyncio.sleep(60)
            assert 4 <= started <= 16
            for task in (feeder, *tasks):
                task.cancel()
            await asyncio.gather(feeder, *tasks, return_exceptions=True)

    run_jumping(work())


def test_retry_after_is_a_floor_for_everybody() -> None:
    """200 requests in flight are refused for 7 s: none comes back sooner, and they do not come back together."""
    arrivals: list[float] = []

    async def server(_: str, __: Mapping[str, str], ___: Any) -> RawResponse:
        now = asyncio.get_running_loop().time()
        arrivals.append(now)
        await asyncio.sleep(0.5)
        if 10 <= now < 10.5:
            return error(429, "slow", headers={"retry-after": "7"})
        return raw()

    async def work() -> None:
        async with Bench(server, ceiling=200) as bench:
            rows = asyncio.ensure_future(bench.ask_all(6000))
            ends = await rows
            assert all(isinstance(end, Completion) for end in ends)
            assert bench.named("cooldown")[0]["seconds"] == 7.0

    run_jumping(work())
    told = 10.5
    quiet = [at for at in arrivals if told + 0.6 < at < told + 6.9]
    assert quiet == []
    after = [at for at in arrivals if at >= told + 6.9]
    steady = 200 / 0.5
    for tenth in range(30):
        begin = after[0] + tenth / 10
        assert sum(begin <= at < begin + 0.1 for at in after) <= 2 * steady * 0.1 + 1


def test_a_limit_that_lasts_for_days_stops_the_run() -> None:
    from modelcall.errors import FatalError  # noqa: PLC0415

    with pytest.raises(FatalError, match="resets in 16 days"):
        ask(script(error(429, "resets in 16 days", headers={"retry-after": "1382400"})))


def test_a_stale_connection_costs_nothing() -> None:
    stale = TransportFault(FaultKind.DISCONNECTED, "closed", stale=True)
    seen: list[Any] = []
    end, bench = ask(script(stale, stale, raw(), seen=seen), retries=Retries(0, 0, 0))
    assert isinstance(end, Completion)
    assert end.attempts == 1
    assert [headers["x-request-id"] for _, headers, _ in seen] == [label("r1", 1)] * 3
    assert seen[-1][0] < 0.1
    assert bench.named("retry") == []


def test_connections_that_are_always_stale_are_a_failure() -> None:
    seen: list[Any] = []

    async def work() -> None:
        server = script(TransportFault(FaultKind.DISCONNECTED, "closed", stale=True), seen=seen)
        async with Bench(server) as bench:
            task = asyncio.ensure_future(bench.ask())
            await asyncio.sleep(5)
            assert bench.named("retry")
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    run_jumping(work())
    assert len(seen) < 12


def test_the_answer_of_each_request_is_its_own() -> None:
    async def echo(_: str, __: Mapping[str, str], body: Any) -> RawResponse:
        said = body["messages"][-1]["content"]
        await asyncio.sleep(0.05 + (sum(said.encode()) % 100) / 1000)
        return raw(completion(f'{{"said": "{said}"}}'))

    async def work() -> None:
        async with Bench(echo) as bench:
            ends = await bench.ask_all(500)
            assert [end.values["said"] for end in ends if isinstance(end, Completion)] == [
                f"rate r{n}" for n in range(500)
            ]

    run_jumping(work())


# Answers that break the format.


def test_a_broken_answer_is_fed_back_once_for_each_attempt() -> None:
    seen: list[Any] = []
    said = [{"role": "assistant", "content": "x"}, {"role": "user", "content": "JSON, please"}]

    def check(reply: Reply) -> Mapping[str, Any] | FormatFault:
        verdict = accept_json(reply)
        return replace(verdict, feedback=said) if isinstance(verdict, FormatFault) else verdict

    end, bench = ask(script(raw(completion("x")), raw(completion("y")), raw(), seen=seen), check=check)
    assert isinstance(end, Completion)
    first = [{"role": "user", "content": "rate r1"}]
    assert [body["messages"] for _, _, body in seen] == [first, first + said, first + said]
    assert [(f["cause"], f["raw"], f["retrying"]) for f in bench.named("format")] == [
        ("not_json", "x", True),
        ("not_json", "y", True),
    ]
    assert seen[-1][0] == pytest.approx(0.02)


@pytest.mark.parametrize(("changes", "attempts"), [({"retries": Retries(format=2)}, 3), ({"format_retry": False}, 1)])
def test_format_attempts_end(changes: Any, attempts: int) -> None:
    end, _ = ask(script(raw(completion("prose"))), **changes)
    assert isinstance(end, Failure)
    assert (end.error_type, end.attempts, end.reason) == (ErrorType.INVALID_OUTPUT, attempts, "not JSON")
    assert end.reply is not None
    assert end.reply.content == "prose"
    assert end.usage == Usage(9 * attempts, 4 * attempts)


def test_a_cut_answer_gets_more_tokens_once_and_then_is_cut() -> None:
    seen: list[Any] = []
    cut = raw(completion('{"score"', finish_reason="length"))
    end, _ = ask(script(cut, seen=seen), completions_params={"max_tokens": 50})
    assert isinstance(end, Failure)
    assert (end.error_type, end.attempts) == (ErrorType.CUT, 2)
    assert [body["max_tokens"] for _, _, body in seen] == [50, 100]


def test_a_final_fault_is_not_asked_again() -> None:
    end, _ = ask(script(raw()), check=lambda _: FormatFault("ambiguous", "two verdicts", final=True))
    assert isinstance(end, Failure)
    assert (end.error_type, end.attempts) == (ErrorType.INVALID_OUTPUT, 1)


def test_the_grammar_is_left_out_when_the_check_asks_for_it() -> None:
    seen: list[Any] = []

    async def work() -> None:
        async with Bench(script(raw(completion(" \n")), raw(), seen=seen)) as bench:
            permit = await bench.permits.take()
            asked = ChatRequest("r1", [{"role": "user", "content": "x"}], {"type": "json_object"})
            faults = iter([FormatFault("whitespace_loop", "blank", without_grammar=True)])
            await bench.client.ask(asked, lambda _: next(faults, {}), permit)
            permit.release()

    run_jumping(work())
    assert [body.get("response_format") for _, _, body in seen] == [{"type": "json_object"}, None]


def test_text_that_cannot_be_sent_is_the_rows() -> None:
    async def work() -> None:
        async with Bench(script(raw())) as bench:
            permit = await bench.permits.take()
            end = await bench.client.ask(
                ChatRequest("r1", [{"role": "user", "content": "\ud800"}]), accept_json, permit
            )
            permit.release()
            assert isinstance(end, Failure)
            assert (end.error_type, end.attempts) == (ErrorType.BAD_ROW, 0)

    run_jumping(work())


def test_cancelled_requests_leave_nothing_behind() -> None:
    async def slow(_: str, __: Mapping[str, str], ___: Any) -> RawResponse:
        await asyncio.sleep(0.3)
        return raw()

    async def work() -> None:
        async with Bench(slow, ceiling=20) as bench:
            for _ in range(20):
                tasks = [asyncio.ensure_future(bench.ask(f"r{n}")) for n in range(60)]
                await asyncio.sleep(0.31)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            assert (bench.permits.in_use, bench.permits.waiting) == (0, 0)
            assert bench.client._pool.endpoints[0].outstanding == 0

    run_jumping(work())
