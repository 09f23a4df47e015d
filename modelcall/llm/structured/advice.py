"""What the next attempt is told after an answer of the wrong form: one strategy a cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcall.llm.exchange import FormatFault

if TYPE_CHECKING:
    from collections.abc import Collection

    from modelcall.llm.exchange import Message

_ECHO_CHARS = 1000
"""Of the wrong answer, shown to the model again: enough to see what was wrong, little enough to pay for."""
_MESSAGE_CHARS = 1000


def not_json(message: str, *, cause: str, raw: str) -> FormatFault:
    """The error is fed back."""
    told = (
        f"Your answer could not be used: {message}. Answer again, with exactly one valid JSON object and nothing else."
    )
    return _told(cause, message, _turn(raw, told))


def missing_keys(keys: Collection[str], *, raw: str) -> FormatFault:
    """The missing keys are named with emphasis."""
    names = ", ".join(f'"{key}"' for key in sorted(keys))
    message = f"Missing required keys: {{{', '.join(repr(key) for key in sorted(keys))}}}"
    told = (
        f"Your JSON object lacks REQUIRED keys: {names}. Answer again with the whole JSON object; it MUST have {names}."
    )
    return _told("missing_keys", message, _turn(raw, told))


def wrong_type(mistakes: Collection[str], *, raw: str) -> FormatFault:
    """Each wrong value is named with what it must be."""
    message = f"Wrong types or values: {'; '.join(mistakes)}"
    told = f"{message}. Answer again with the whole JSON object, these values corrected."
    return _told("wrong_type", message, _turn(raw, told))


def empty(message: str = "The answer is empty") -> FormatFault:
    """The question stands as it was, with a reminder that an answer is due."""
    return _told("empty", message, _turn("(no answer)", "Your answer was empty. Answer the question above."))


def reasoning_only() -> FormatFault:
    """The model thought and did not answer."""
    told = "You reasoned but gave no answer. Give the final answer now, without further reasoning."
    return _told("reasoning_only", "Only reasoning, no answer", _turn("(no answer)", told))


def whitespace_loop() -> FormatFault:
    """The grammar let the model write white space without end: the next attempt is asked without it."""
    message = "JSON validation failed: The answer runs out in white space"
    return FormatFault("whitespace_loop", message, without_grammar=True)


def cut(message: str = "The answer was cut by its length limit") -> FormatFault:
    """The same question with more room; what was cut is never completed by us."""
    return FormatFault("cut", f"JSON validation failed: {message}", more_tokens=True)


def _told(cause: str, message: str, feedback: tuple[Message, ...]) -> FormatFault:
    return FormatFault(cause, f"JSON validation failed: {message}"[:_MESSAGE_CHARS], feedback=feedback)


def _turn(raw: str, told: str) -> tuple[Message, ...]:
    # Both roles: chat templates of several models refuse two user messages in a row.
    return ({"role": "assistant", "content": raw[:_ECHO_CHARS]}, {"role": "user", "content": told[:_MESSAGE_CHARS]})
