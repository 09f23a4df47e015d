"""The judge: a score for a text, in the form the request asks for. A pure function of the request."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

from modelcall.mock.completion import BYTES_PER_TOKEN, Answer, tokens
from modelcall.mock.schemas import instance
from modelcall.scorers.quality import quality

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from modelcall.mock.asking import ChatAsk

Judge: TypeAlias = "Callable[[ChatAsk], Answer]"

_OPENING = re.compile(r"^<(document|text|code|content|source|doc|input)>", re.MULTILINE)
_USES = ("discard", "discard", "filtering", "pretraining", "pretraining", "annealing")
"""In the words of the shipped prompts, by score."""
_WORDS = ("junk", "very poor", "poor", "fair", "good", "excellent")


def rule_judge(ask: ChatAsk) -> Answer:
    """Answer what the quality rules say: about a millisecond for each kilobyte.

    Raises:
        modelcall.mock.schemas.Unsatisfiable: The requested schema has no answer.
    """
    return _answer(ask, assess(document(ask.question)))


def instant_judge(ask: ChatAsk) -> Answer:
    """Answer a score drawn from the text's checksum, in microseconds: for measuring clients.

    Raises:
        modelcall.mock.schemas.Unsatisfiable: The requested schema has no answer.
    """
    return _answer(ask, _facts(zlib.crc32(document(ask.question).encode("utf-8", "surrogatepass")) % 6, ["instant"]))


JUDGES: Mapping[str, Judge] = {"rules": rule_judge, "instant": instant_judge}
"""By their names in :class:`~modelcall.mock.options.MockOptions`."""


def assess(text: str) -> Mapping[str, Any]:
    """Return the keys that prompts usually ask for."""
    report = quality(text)
    return _facts(report.score, list(report.tags), language=report.language, kind=report.kind)


def _facts(score: int, tags: list[str], *, language: str = "other", kind: str = "text") -> Mapping[str, Any]:
    return {
        "score": score,
        "quality_tags": tags,
        "main_languages": [language],
        "recommended_use_case": _USES[score],
        "reason": f"{_WORDS[score]} {kind}: {', '.join(tags) or 'nothing remarkable'}",
    }


def document(message: str) -> str:
    """Return the text to judge: what a prompt has put between ``<text>`` and ``</text>``, else the whole message.

    The opening tag (text, code, document, doc, content, source or input) begins a line; its last closing tag counts.
    """
    opening = _OPENING.search(message)
    if opening is None:
        return message
    end = message.rfind(f"</{opening[1]}>")
    return message[opening.end() : end].strip() if end >= opening.end() else message


def _answer(ask: ChatAsk, facts: Mapping[str, Any]) -> Answer:
    answer = facts if ask.schema is None else instance(ask.schema, facts=facts)
    return _limited(orjson.dumps(answer).decode(), ask)


def _limited(content: str, ask: ChatAsk) -> Answer:
    """Cut the answer as a server does, if it has more tokens than the request allows."""
    count, limit = tokens(content), ask.max_tokens
    if limit is None or count <= limit:
        return Answer(content, "stop", ask.prompt_tokens, count)
    cut = content.encode()[: limit * BYTES_PER_TOKEN].decode(errors="ignore")
    return Answer(cut, "length", ask.prompt_tokens, limit)
