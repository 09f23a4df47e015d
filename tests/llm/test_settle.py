"""The structured mode is settled once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from modelcall.errors import FatalError
from modelcall.llm.structured.mode import response_format
from tests.llm.kit import Bench, completion, error, raw, run_jumping, with_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelcall.llm.transport import RawResponse

SCHEMA = {"type": "object", "properties": {"score": {"type": "integer"}}}

ANSWERS = {
    "enforced": (raw(), "schema"),
    "cut before it began": (raw(completion("", finish_reason="length")), "schema"),
    "ignored": (raw(completion("ok")), "prompt"),
    "refused": (error(400, "response_format is not supported"), "prompt"),
    "unprocessable": (error(422, "extra fields"), "prompt"),
}


def settle(
    answer: RawResponse | Callable[[Any], RawResponse], schema: Any = SCHEMA, known: str | None = None, **changes: Any
) -> tuple[str, list[Any]]:
    asked: list[Any] = []

    async def server(_: str, __: Any, body: Any) -> RawResponse:
        asked.append(body)
        return answer(body) if callable(answer) else answer

    async def work() -> str:
        async with Bench(server, with_settings(**changes)) as bench:
            mode = await bench.client.settle_structured(schema, known)
            assert bench.permits.in_use == 0
            return mode

    return run_jumping(work()), asked


@pytest.mark.parametrize(("answer", "mode"), ANSWERS.values(), ids=ANSWERS)
def test_one_question_tells(answer: RawResponse, mode: str) -> None:
    settled, [body] = settle(answer)
    assert settled == mode
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA


def test_a_server_that_fails_at_the_grammar_alone_does_without() -> None:
    settled, asked = settle(lambda body: error(500) if "response_format" in body else raw())
    assert (settled, len(asked)) == ("prompt", 4 + 1)


@pytest.mark.parametrize("answer", [error(500), error(429, code="rate_limit_exceeded")])
def test_a_server_that_fails_at_everything_settles_nothing(answer: RawResponse) -> None:
    with pytest.raises(FatalError, match="gave up after 4 attempts"):
        settle(answer)


@pytest.mark.parametrize("schema", [SCHEMA, {**SCHEMA, "required": ["score"], "additionalProperties": False}])
def test_the_question_asks_for_the_form_that_rows_ask_for(schema: Any) -> None:
    _, [body] = settle(raw(), schema)
    assert body["response_format"] == response_format("schema", schema)


@pytest.mark.parametrize(
    ("changes", "mode"),
    [
        ({"schema": None}, "prompt"),
        ({"known": "schema", "schema": None}, "schema"),
        ({"known": "prompt"}, "prompt"),
        ({"structured": "object"}, "object"),
        ({"structured": "schema"}, "schema"),
        ({"structured": "prompt"}, "prompt"),
    ],
)
def test_what_is_known_or_chosen_is_not_asked(changes: Any, mode: str) -> None:
    settled, asked = settle(raw(), **changes)
    assert (settled, asked) == (mode, [])
