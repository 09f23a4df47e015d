"""Values that cross the LLM client: what is asked, what came back, what a check says of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from modelcall.values import row_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from modelcall.types import ErrorType, Usage

Message: TypeAlias = "dict[str, str]"


@row_value
class Reply:
    """A completion as the server sent it, its shape already understood, its text not yet judged."""

    content: str | None
    """Text of the first choice; list-of-parts content is joined. None: the field was null or absent."""
    reasoning: str | None = None
    """``reasoning_content`` or ``reasoning``, where servers put what is not the answer."""
    refusal: str | None = None
    finish_reason: str | None = None
    model: str | None = None
    usage: Usage | None = None
    has_tool_calls: bool = False


@dataclass(frozen=True, slots=True)
class FormatFault:
    """An answer broke the requested form: which way, and how the next attempt should differ."""

    cause: str
    """``not_json``, ``missing_keys``, ``wrong_type``, ``empty``, ``cut``, ``whitespace_loop``, ``reasoning_only``,
    ``ambiguous``."""
    message: str
    """For the log and for ``api_fail_reason``."""
    feedback: Sequence[Message] = ()
    """Messages the next attempt appends to the original ones (not to earlier feedback)."""
    more_tokens: bool = False
    """Ask for more completion tokens, once."""
    without_grammar: bool = False
    """Ask without ``response_format``, once."""
    final: bool = False
    """No further attempt will help."""


class Check(Protocol):
    """Judges a reply. Pure and quick: runs on the event loop for every answer."""

    def __call__(self, reply: Reply) -> Mapping[str, Any] | FormatFault:
        """Result columns, or what is wrong with the answer."""


@row_value
class ChatRequest:
    """One logical request of 1…n attempts."""

    request_id: str
    """Opaque: the first four groups of a UUID, for some servers want one; the attempt's number is the fifth."""
    messages: Sequence[Message]
    response_format: Mapping[str, Any] | None = None


@row_value
class Completion:
    """The accepted end of a request."""

    values: Mapping[str, Any]
    reply: Reply
    attempts: int
    usage: Usage | None
    """Summed over all attempts that reported any."""
    seconds: float = field(compare=False)


@dataclass(frozen=True, slots=True)
class Failure:
    """The failed end of a request: the row has no answer, and this is why."""

    error_type: ErrorType
    reason: str
    attempts: int
    reply: Reply | None
    """The last completion, if there was one."""
    usage: Usage | None
    """Summed over all attempts that reported any."""
    seconds: float = field(compare=False)


EventHook: TypeAlias = "Callable[[str, Mapping[str, Any]], None]"
"""The one-method seam through which the client reports: a name (``retry``, ``cooldown``, ``outage``, ``limit``, …) and
its facts. The client knows nothing of logs or metrics."""
