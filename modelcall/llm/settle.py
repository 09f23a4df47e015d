"""Which structured mode the endpoint accepts, found out by one question before row one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelcall.errors import FatalError
from modelcall.llm.exchange import ChatRequest, Completion, FormatFault
from modelcall.llm.structured.mode import response_format
from modelcall.types import ErrorType

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import Any

    from modelcall.llm.exchange import Check, Failure, Reply

    Ask = Callable[[ChatRequest, Check], Awaitable[Completion | Failure]]

QUESTION: Final = "Answer with the single word ok and nothing else."
_ID: Final = "00000001-0000-8000-8000"
_CUT: Final = "length"


async def accepts_schema(ask: Ask, schema: Mapping[str, Any]) -> bool:
    """Ask for one word under a grammar that forbids it: a server that enforces the grammar answers with JSON.

    Raises:
        FatalError: The endpoint can answer nothing at all.
    """
    answer = await ask(_request(response_format("schema", schema)), _is_json)
    if isinstance(answer, Completion):
        return True
    if answer.error_type is ErrorType.RETRIES_EXHAUSTED:
        await _answer_without_grammar(ask)
    return answer.error_type is ErrorType.CUT


async def _answer_without_grammar(ask: Ask) -> None:
    """Make sure that it is the grammar at which the server fails: what is settled holds for the whole run."""
    answer = await ask(_request(None), lambda _: {})
    if not isinstance(answer, Completion) and answer.error_type is ErrorType.RETRIES_EXHAUSTED:
        raise FatalError(answer.reason, hint="start again when the endpoint answers")


def _request(form: Mapping[str, Any] | None) -> ChatRequest:
    return ChatRequest(_ID, [{"role": "user", "content": QUESTION}], form)


def _is_json(reply: Reply) -> Mapping[str, Any] | FormatFault:
    """Accept what begins as JSON does. An answer cut before it began tells nothing and counts as accepted."""
    text = (reply.content or "").lstrip()
    if text.startswith(("{", "[")):
        return {}
    if not text and reply.finish_reason == _CUT:
        return FormatFault("cut", "the answer was cut before it began", final=True)
    return FormatFault("not_json", "the server ignored the schema", final=True)
