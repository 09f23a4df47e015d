"""Finds the answer, one JSON object, in a completion's text.

Think blocks are left out, prose and code fences around the object are understood. What is not valid JSON is never
repaired, what stands inside something invalid is never taken for the answer, and two different answers are none.
One pass over the text, whatever it holds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelcall.llm.structured.strict import MAX_DEPTH, NotStrictJsonError, read_object, same
from modelcall.values import row_value

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_CHARS = 1 << 20
MAX_BRACES = 10_000
"""Braces in a text with prose around its object."""

_BLANK = " \t\r\n\f\v\u00a0\u200b\ufeff"
_THINK = ("<think>", "<thinking>")
_THINK_END = ("</think>", "</thinking>")
_NEAR = 200
"""Characters around an object that may show that it is a part."""
_TAGS_IN_STRINGS = 8
"""Ends of think blocks that may be quoted in an answer before the last real one."""
_OPEN_STRING = re.compile(r'(?:[^"\\]++|\\.|"(?:[^"\\]++|\\.)*+")*+"', re.DOTALL)
_OBJECT_BEGINS = re.compile(r'\{\s*"')
# All up to the next brace. Strings end on their line, as JSON's do; an escaped character outside of one is skipped
# whole, so that an unclosed quote is looked at once per line and hostile text costs no more than its length.
_PROSE = re.compile(r"[^{}]*+")
_UP_TO_BRACE = re.compile(r'(?:[^"{}\\]++|\\.|"(?:[^"\\\n]++|\\[^\n])*+"|["\\])*+', re.DOTALL)


class UnreadableError(ValueError):
    """The text holds no answer; ``cause`` as in :class:`~modelcall.llm.exchange.FormatFault`."""

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause


@row_value
class Answer:
    """The object a completion answers with."""

    value: dict[str, Any]
    ends_text: bool
    """Nothing follows it but white space or the end of its fence: nothing was left unsaid."""


def read_answer(text: str, keys: Collection[str]) -> Answer:
    """Return the answer in ``text``. Objects with none of the asked ``keys`` are no answers if another has one.

    Raises:
        UnreadableError: ``not_json``, ``ambiguous``, or ``reasoning_only``.
    """
    if len(text) > MAX_CHARS:
        raise UnreadableError("not_json", f"the answer is longer than {MAX_CHARS} characters")
    text = text.strip(_BLANK)
    if text.startswith("{") and text.endswith("}"):
        try:
            return Answer(read_object(text), ends_text=True)
        except NotStrictJsonError:
            pass  # more than one object, or prose after it; what is wrong is said below
    return _search(after_thinking(text), keys)


def after_thinking(text: str) -> str:
    """Return what follows the last end of a think block; all of a text without one."""
    begins = _OBJECT_BEGINS.search(text)
    first = begins.start() if begins else len(text)
    end = len(text)
    for _ in range(_TAGS_IN_STRINGS):
        at, length = max((text.rfind(tag, 0, end), len(tag)) for tag in _THINK_END)
        if at < 0:
            return text.strip(_BLANK)
        if at < first or not _in_string(text, first, at):
            return text[at + length :].strip(_BLANK)
        end = at
    return text[end:].strip(_BLANK)


def _in_string(text: str, first: int, at: int) -> bool:
    """Whether a string is open at ``at``: JSON strings end on their line, and none begins before ``first``."""
    return _OPEN_STRING.match(text, max(first, text.rfind("\n", 0, at) + 1), at) is not None


@dataclass(frozen=True, slots=True)
class _Found:
    value: dict[str, Any]
    start: int
    end: int


def _search(text: str, keys: Collection[str]) -> Answer:
    spans = _brace_spans(text)
    if _thinks_to_the_end(text, spans):
        raise UnreadableError("reasoning_only", "the answer ends inside its <think> block")
    found = [_Found(value, *span) for span in spans if (value := _read_span(text, span, keys)) is not None]
    answers = [one for one in found if not keys or any(key in one.value for key in keys)] or found
    if not answers:
        raise UnreadableError("not_json", "no JSON object in the answer")
    if any(_is_part(text, one) for one in answers):
        raise UnreadableError("not_json", "a part of a JSON list or object, not an object of its own")
    if not all(same(one.value, answers[0].value) for one in answers):
        raise UnreadableError("ambiguous", f"{len(answers)} JSON objects that differ")
    return Answer(answers[-1].value, ends_text=not text[answers[-1].end :].strip(_BLANK + "`"))


def _brace_spans(text: str) -> list[tuple[int, int]]:
    """Outermost pairs of braces outside of each other; one left open reaches to the end of the text."""
    spans: list[tuple[int, int]] = []
    depth = start = braces = 0
    at = _next_brace(text, 0, inside=False)
    while at >= 0:
        braces += 1
        if text[at] == "{":
            start = start if depth else at
            depth += 1
        else:
            depth -= 1
            if not depth:
                spans.append((start, at + 1))
        if depth < 0:
            # Its opening brace is missing, or stands before a think tag in a string: what is left is a part.
            raise UnreadableError("not_json", "a closing brace without its opening one")
        if depth > MAX_DEPTH or braces > MAX_BRACES:
            raise UnreadableError("not_json", f"more than {MAX_DEPTH} nested or {MAX_BRACES} braces in the answer")
        at = _next_brace(text, at + 1, inside=depth > 0)
    return [*spans, (start, len(text))] if depth else spans


def _next_brace(text: str, at: int, *, inside: bool) -> int:
    match = (_UP_TO_BRACE if inside else _PROSE).match(text, at)
    end = match.end() if match else at
    return end if end < len(text) else -1


def _thinks_to_the_end(text: str, spans: list[tuple[int, int]]) -> bool:
    opened = max(text.rfind(tag) for tag in _THINK)
    return opened >= 0 and not any(start < opened < end for start, end in spans)


def _read_span(text: str, span: tuple[int, int], keys: Collection[str]) -> dict[str, Any] | None:
    """Read what stands in braces; None for prose or code, which never was meant as an answer."""
    piece = text[slice(*span)]
    try:
        return read_object(piece)
    except NotStrictJsonError as error:
        if _OBJECT_BEGINS.match(piece) or any(key in piece for key in keys):
            raise UnreadableError("not_json", f"not valid JSON: {error}") from None
        return None


def _is_part(text: str, one: _Found) -> bool:
    """Whether the object is a list's element or a key's value, of something that is itself not valid."""
    left = text[max(0, one.start - _NEAR) : one.start].rstrip(_BLANK)
    right = text[one.end : one.end + _NEAR].lstrip(_BLANK)
    if left.endswith("[") or right.startswith("]"):
        return True
    return left.endswith((",", ":")) and left[:-1].rstrip(_BLANK).endswith(('"', "}", "]"))
