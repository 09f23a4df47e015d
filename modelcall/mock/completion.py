"""A chat completion as OpenAI-compatible servers write it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

BYTES_PER_TOKEN = 4


def tokens(text: str) -> int:
    """Return about how many tokens a text has."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the judge says to one prompt."""

    content: str
    finish_reason: str
    """``stop``, or ``length`` if the request's token limit cut the text."""
    prompt_tokens: int
    completion_tokens: int


def completion(answer: Answer, *, request_id: str, model: str, created: int) -> dict[str, Any]:
    """Return the body of a successful reply."""
    return {
        "id": f"chatcmpl-{request_id}",
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": answer.content, "refusal": None},
                "logprobs": None,
                "finish_reason": answer.finish_reason,
            }
        ],
        "usage": {
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": answer.completion_tokens,
            "total_tokens": answer.prompt_tokens + answer.completion_tokens,
        },
    }
