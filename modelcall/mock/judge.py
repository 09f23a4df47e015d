"""The judge: what the quality rules say of a text, in the form the request asks for. A pure function of the request."""

from __future__ import annotations

import re
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
_USES = (
    "discard",
    "discard",
    "low-priority pre-training",
    "general pre-training",
    "high-quality pre-training",
    "annealing",
)
_WORDS = ("junk", "very poor", "poor", "fair", "good", "excellent")


def judge(ask: ChatAsk) -> Answer:
    """Answer a request.

    Raises:
        modelcall.mock.schemas.Unsatisfiable: The requested schema has no answer.
    """
    facts = assess(document(ask.question))
    wanted = ask.schema
    answer = facts if wanted is None else instance(wanted, facts=facts)
    return _limited(orjson.dumps(answer).decode(), ask)


def assess(text: str) -> Mapping[str, Any]:
    """Return the keys that prompts usually ask for."""
    report = quality(text)
    tags = ", ".join(report.tags) or "nothing remarkable"
    return {
        "score": report.score,
        "quality_tags": list(report.tags),
        "main_languages": [report.language],
        "recommended_use_case": _USES[report.score],
        "reason": f"{_WORDS[report.score]} {report.kind}: {tags}",
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


def _limited(content: str, ask: ChatAsk) -> Answer:
    """Cut the answer as a server does, if it has more tokens than the request allows."""
    count, limit = tokens(content), ask.max_tokens
    if limit is None or count <= limit:
        return Answer(content, "stop", ask.prompt_tokens, count)
    cut = content.encode()[: limit * BYTES_PER_TOKEN].decode(errors="ignore")
    return Answer(cut, "length", ask.prompt_tokens, limit)
