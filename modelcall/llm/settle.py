"""Which structured mode the endpoint accepts, found out by one question before row one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelcall.llm.exchange import ChatRequest, Completion, FormatFault
from modelcall.llm.structured.mode import response_format
from modelcall.types import ErrorType

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import Any

    from modelcall.llm.exchange import Check, Failure, Reply

    Ask = Callable[[ChatRequest, Check], Awaitable[Completion | Failure]]

QUESTION: Final = "Answer with the single word ok and nothing else."
_CUT: Final = "length"


async def accepts_schema(ask: Ask, schema: Mapping[str, Any]) -> bool:
    """Ask for one word under a grammar that forbids it: a server that enforces the grammar answers with JSON.

    Raises:
        FatalError: The endpoint can answer nothing at all.
    """
    request = ChatRequest("structured", [{"role": "user", "content": QUESTION}], response_format("schema", schema))
    answer = await ask(request, _is_json)
    if isinstance(answer, Completion):
        return True
    return answer.error_type is ErrorType.CUT


def _is_json(reply: Reply) -> Mapping[str, Any] | FormatFault:
    """Accept what begins as JSON does. An answer cut before it began tells nothing and counts as accepted."""
    text = (reply.content or "").lstrip()
    if text.startswith(("{", "[")):
        return {}
    if not text and reply.finish_reason == _CUT:
        return FormatFault("cut", "the answer was cut before it began", final=True)
    return FormatFault("not_json", "the server ignored the schema", final=True)
