from __future__ import annotations

import datetime as dt
import decimal
import logging
import pickle
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from modelcall.config.prompt import PromptConfig
from modelcall.errors import FatalError
from modelcall.llm.exchange import ChatRequest, Check, Completion, Failure, FormatFault, Reply
from modelcall.llm.settings import ClientSettings
from modelcall.log.speaking import LOGGER
from modelcall.permits import Permits
from modelcall.scorers.hopeless import HopelessWatch
from modelcall.scorers.llm import JudgeScorer, JudgeSpec, build
from modelcall.types import INT, STRING_LIST, Corroborated, ErrorType, Outcome, RowRef, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}


def prompt(**output: Any) -> PromptConfig:
    return PromptConfig.model_validate(
        {
            "prompt_template": {
                "system_text": "You judge {lang}.",
                "prompt_text": 'Judge {text} of {meta}: {{"score": 1}}',
            },
            "output_config": {
                "json_keys": ["score", "tags"],
                "json_default_values": {"score": 3, "tags": []},
                **output,
            },
        }
    )


def spec(**changes: Any) -> JudgeSpec:
    plain = JudgeSpec(
        prompt=prompt(),
        provider="deepseek-ai",
        client=ClientSettings(
            base_urls=("http://127.0.0.1:1/v1",), model_name="m", completions_params={"temperature": 0}
        ),
        max_concurrent_requests=4,
        columns=frozenset({"content", "lang", "meta", "unused"}),
        input_key="content",
    )
    return replace(plain, **changes)


class FakeClient:
    """Answers every request with one reply, judged by the check, as the client does."""

    def __init__(self, reply: Reply | None = None, *, mode: str = "schema") -> None:
        self.reply = reply or Reply('{"score": 4}', model="m-1", finish_reason="stop")
        self.mode = mode
        self.requests: list[ChatRequest] = []
        self.settled: list[tuple[Mapping[str, Any] | None, str | None]] = []
        self.elsewhere: list[tuple[float, float]] = []
        self.cooled: list[tuple[str, float]] = []

    last_success = (1.0, 2.0)

    def succeeded_elsewhere(self, started: float, ended: float) -> None:
        self.elsewhere.append((started, ended))

    def cooled_elsewhere(self, endpoint: str, seconds: float) -> None:
        self.cooled.append((endpoint, seconds))

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def settle_structured(self, schema: Mapping[str, Any] | None, known: str | None) -> str:
        self.settled.append((schema, known))
        return known or self.mode

    async def ask(self, request: ChatRequest, check: Check, permit: object) -> Completion | Failure:
        del permit
        self.requests.append(request)
        usage = Usage(10, 5)
        verdict = check(self.reply)
        if isinstance(verdict, FormatFault):
            kind = ErrorType.CUT if verdict.cause == "cut" else ErrorType.INVALID_OUTPUT
            return Failure(kind, verdict.message, 4, self.reply, usage, 0.5)
        return Completion(verdict, self.reply, 2, usage, 0.25)


def judge(
    client: FakeClient, the_spec: JudgeSpec | None = None, events: list[tuple[str, Any]] | None = None
) -> JudgeScorer:
    heard = [] if events is None else events
    return JudgeScorer(the_spec or spec(), client, Permits(4), hook=lambda name, facts: heard.append((name, facts)))


async def score(scorer: JudgeScorer, row: dict[str, Any]) -> Outcome:
    permit = await scorer.permits.take()
    try:
        return await scorer.score(row, RowRef("f", 0, "req-7"), permit)
    finally:
        permit.release()


async def test_a_row_becomes_a_request_and_its_completion_an_outcome() -> None:
    client, events = FakeClient(), list[tuple[str, Any]]()
    scorer = judge(client, events=events)
    outcome = await score(scorer, {"content": "{lang} {{x}}", "lang": "py", "meta": {"a": [1, None]}})
    assert outcome == Outcome(
        values={"score": 4, "tags": []},
        raw='{"score": 4}',
        attempts=2,
        model="m-1",
        finish_reason="stop",
        usage=Usage(10, 5),
    )
    assert outcome.seconds == 0.25
    assert client.requests[0].request_id == "req-7"
    assert client.requests[0].messages == (
        {"role": "system", "content": "You judge py."},
        {"role": "user", "content": 'Judge {lang} {{x}} of {"a":[1,null]}: {"score": 1}'},
    )
    assert events == []


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO])
async def test_good_answers_are_told_of_only_if_that_is_written_down(level: int) -> None:
    before = LOGGER.level
    LOGGER.setLevel(level)
    try:
        events = list[tuple[str, Any]]()
        await score(judge(FakeClient(), events=events), {"content": "x"})
    finally:
        LOGGER.setLevel(before)
    told = [("valid_answer", {"keys": ["score", "tags"]})]
    assert events == (told if level == logging.DEBUG else [])


async def test_a_failure_keeps_what_came_last() -> None:
    outcome = await score(judge(FakeClient(Reply("no", model="m-1"))), {"content": "x"})
    assert (outcome.values, outcome.error_type, outcome.raw, outcome.attempts) == (
        None,
        ErrorType.INVALID_OUTPUT,
        "no",
        4,
    )
    assert outcome.fail_reason == "JSON validation failed: no JSON object in the answer"


async def test_raw_text_is_dropped_if_not_wanted() -> None:
    outcome = await score(judge(FakeClient(), spec(keep_raw=False)), {"content": "x"})
    assert outcome.raw is None
    assert outcome.values == {"score": 4, "tags": []}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"lang": "py"}, "The row has no column 'content'."),
        ({"content": None}, "Column 'content' holds no text but null."),
        ({"content": 7}, "Column 'content' holds no text but int."),
        ({"content": "x", "meta": float("nan")}, "Column 'meta' holds nan, which is no JSON number."),
        ({"content": "x", "meta": b"\xff"}, "Column 'meta' holds a value that cannot be written as text"),
    ],
)
async def test_a_row_without_text_is_never_asked_about(row: dict[str, Any], reason: str) -> None:
    client = FakeClient()
    outcome = await score(judge(client), row)
    assert (outcome.error_type, outcome.attempts, client.requests) == (ErrorType.BAD_ROW, 0, [])
    assert (outcome.fail_reason or "").startswith(reason)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"), (3, "3"), (2**70, str(2**70)), (True, "true"), (0.5, "0.5"), (None, ""), (["é"], '["é"]'),
        (dt.date(2024, 1, 2), "2024-01-02"), (decimal.Decimal("1.50"), "1.50"),
    ],
)  # fmt: skip
async def test_other_columns_become_text(value: Any, text: str) -> None:
    client = FakeClient()
    await score(judge(client), {"content": "x", "meta": value})
    assert client.requests[0].messages[-1]["content"] == f'Judge x of {text}: {{"score": 1}}'


def test_it_reads_only_what_the_prompt_needs() -> None:
    scorer = judge(FakeClient())
    assert scorer.reads == frozenset({"content", "lang", "meta"})
    assert scorer.columns == {"score": INT, "tags": STRING_LIST}


async def test_the_structured_mode_is_settled_once_and_kept() -> None:
    client = FakeClient()
    scorer = judge(client, spec(prompt=prompt(json_schema=SCHEMA)))
    assert await scorer.settle(None) == {"structured": "schema"}
    await score(scorer, {"content": "x"})
    sent = client.requests[0].response_format
    assert sent is not None
    assert (sent["type"], sent["json_schema"]["schema"]) == ("json_schema", SCHEMA)
    assert await scorer.settle({"structured": "prompt"}) == {"structured": "prompt"}
    await score(scorer, {"content": "x"})
    assert client.requests[1].response_format is None
    assert client.settled == [(SCHEMA, None), (SCHEMA, "prompt")]


async def test_insisting_on_a_schema_makes_one_of_the_columns() -> None:
    client = FakeClient()
    await judge(client, spec(client=replace(spec().client, structured="schema"))).settle(None)
    schema = client.settled[0][0]
    assert schema is not None
    assert schema["properties"] == {
        "score": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}},
    }


async def test_free_text_needs_no_json() -> None:
    client = FakeClient(Reply("Fine.", finish_reason="stop"))
    scorer = judge(client, spec(prompt=prompt(require_json=False)))
    assert await scorer.settle(None) == {"structured": "prompt"}
    outcome = await score(scorer, {"content": "x"})
    assert (dict(scorer.columns or {}), outcome.values, outcome.raw) == ({}, {}, "Fine.")


CHANGED = {
    "prompt_text": spec(
        prompt=PromptConfig.model_validate({**prompt().model_dump(), "prompt_template": {"prompt_text": "{text}"}})
    ),
    "output_config": spec(prompt=prompt(json_schema=SCHEMA)),
    "model_name": spec(client=replace(spec().client, model_name="n")),
    "completions_params": spec(client=replace(spec().client, completions_params={"temperature": 1})),
    "provider": spec(provider="other"),
    "structured": spec(client=replace(spec().client, structured="object")),
    "input_key": spec(input_key="lang"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_what_scores_depend_on_is_identity(name: str) -> None:
    changed = CHANGED[name].identity()
    assert changed.keys() == spec().identity().keys()
    assert changed[name] != spec().identity()[name]


def test_where_and_how_fast_is_not_identity() -> None:
    moved = replace(spec().client, base_urls=("http://127.0.0.1:2/v1",), timeout=1.0)
    assert spec(client=moved, max_concurrent_requests=9, keep_raw=False).identity() == spec().identity()


async def test_a_judge_is_made_from_picklable_parts() -> None:
    scorer = build(pickle.loads(pickle.dumps(spec())), hook=lambda _name, _facts: None)  # noqa: S301  our own bytes
    assert scorer.permits.ceiling == 4
    assert scorer.identity == spec().identity()
    await scorer.open()
    await scorer.close()


class Endpoint:
    """A model on a real socket: plays its answers in turn."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.bodies: list[dict[str, Any]] = []

    async def chat(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json())
        message = {"role": "assistant", "content": self.answers.pop(0)}
        usage = {"prompt_tokens": 10, "completion_tokens": 5}
        return web.json_response(
            {"model": "m-1", "choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
        )


async def test_with_the_real_client_a_broken_answer_is_asked_again_with_the_error() -> None:
    endpoint = Endpoint('{"other": 1}', "{'tags': []}", 'Sure: {"score": "5", "tags": ["a"]}')
    app = web.Application()
    app.router.add_post("/v1/chat/completions", endpoint.chat)
    events: list[tuple[str, Any]] = []
    async with TestServer(app) as server:
        client = replace(spec().client, base_urls=(str(server.make_url("/v1")),))
        scorer = build(spec(client=client), hook=lambda name, facts: events.append((name, facts)))
        await scorer.open()
        try:
            assert await scorer.settle(None) == {"structured": "prompt"}
            outcome = await score(scorer, {"content": "x"})
        finally:
            await scorer.close()
    assert outcome.values == {"score": 5, "tags": ["a"]}
    assert (outcome.attempts, outcome.usage, outcome.raw) == (3, Usage(30, 15), 'Sure: {"score": "5", "tags": ["a"]}')
    told = [body["messages"][-1]["content"] for body in endpoint.bodies]
    assert 'MUST have "score"' in told[1]
    assert "not valid JSON" in told[2]
    assert [len(body["messages"]) for body in endpoint.bodies] == [2, 4, 4]
    assert [facts["cause"] for name, facts in events if name == "format"] == ["missing_keys", "not_json"]


async def test_a_broken_prompt_stops_the_run_when_it_is_certain() -> None:
    scorer = judge(FakeClient(Reply("I'm \x1b[31msorry" + "!" * 300, finish_reason="stop")))
    for _ in range(101):
        assert (await score(scorer, {"content": "x"})).error_type is ErrorType.INVALID_OUTPUT
    with pytest.raises(FatalError) as caught:
        await score(scorer, {"content": "x"})
    assert caught.value.message.count("I'm \\x1b[31msorry!") == 3
    assert max(map(len, caught.value.message.splitlines())) < 330
    assert "--fresh" in (caught.value.hint or "")


@pytest.mark.parametrize("kind", [ErrorType.INVALID_OUTPUT, ErrorType.CUT])
def test_format_failures_are_counted_among_the_first_rows_only(kind: ErrorType) -> None:
    watch = HopelessWatch()
    for _ in range(100):
        watch.begin()
        watch.end(Outcome(values={}))
    for _ in range(100):
        assert watch.begin()
        watch.end(Outcome(error_type=kind, raw="x"))
    for _ in range(500):
        assert not watch.begin()


def test_a_request_that_the_endpoint_refuses_for_every_row_stops_the_run() -> None:
    watch = HopelessWatch()
    for number in range(101):
        watch.begin()
        reason = "api answered 400: Unsupported parameter: 'max_tokens'" if number else "api answered 422: no"
        watch.end(Outcome(error_type=ErrorType.REJECTED, fail_reason=reason))
    with pytest.raises(FatalError, match="101 of the first 200 rows were refused as wrong requests") as caught:
        watch.begin()
    assert caught.value.message.count("Unsupported parameter: 'max_tokens'") == 1
    assert "completions_params" in (caught.value.hint or "")


def test_failures_of_both_kinds_add_up() -> None:
    watch = HopelessWatch()
    for number in range(101):
        watch.begin()
        watch.end(Outcome(error_type=ErrorType.REJECTED if number % 3 else ErrorType.CUT, fail_reason=f"no {number}"))
    with pytest.raises(FatalError, match="67 of the first 200 rows were refused"):
        watch.begin()


def test_rows_in_flight_end_before_the_verdict_and_other_failures_do_not_count() -> None:
    watch = HopelessWatch()
    for _ in range(200):
        watch.begin()
    for _ in range(150):
        watch.end(Outcome(error_type=ErrorType.RETRIES_EXHAUSTED))
    watch.begin()
    for _ in range(100):
        watch.end(Outcome(error_type=ErrorType.INVALID_OUTPUT))
    watch.begin()
    watch.end(Outcome(error_type=ErrorType.CUT))
    with pytest.raises(FatalError, match="101 of the first 200"):
        watch.begin()


def test_what_another_process_met_is_told_to_the_client() -> None:
    client = FakeClient()
    scorer = judge(client)
    assert isinstance(scorer, Corroborated)
    scorer.succeeded_elsewhere(3.0, 4.0)
    scorer.cooled_elsewhere("vllm:8000", 7.0)
    assert (scorer.last_success, client.elsewhere) == ((1.0, 2.0), [(3.0, 4.0)])
    assert client.cooled == [("vllm:8000", 7.0)]
