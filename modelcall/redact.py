"""Takes secrets out of text that is about to be written anywhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

MASK = "***"

_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{4,}", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"\b(sk|ak|pk|rk)-[A-Za-z0-9_*-]{6,}"), rf"\1-{MASK}"),
    (re.compile(r"\bAKLT[A-Za-z0-9_=-]{8,}"), MASK),
    (re.compile(r"(://)[^/\s@]+@"), rf"\1{MASK}@"),
    (
        re.compile(r"([?&][^=&?\s]*(?:key|token|secret|signature|credential)=)(?!\*\*\*)[^&\s\"'<>]+", re.IGNORECASE),
        rf"\1{MASK}",
    ),
    (
        re.compile(
            r"([\"']?\b(?:api[_-]?key|access[_-]?key|secret[_-]?key|security[_-]?token|authorization|signature|token)[\"']?"
            r"\s*[=:]\s*[\"']?)(?!\*\*\*)(?!bearer\b|basic\b)[A-Za-z0-9._~+/=%-]{6,}",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
)
_SHORTEST = 4
"""A secret shorter than this would mask ordinary words; placeholders such as ``EMPTY`` are longer but harmless."""
_SHORTEST_OF_HEADERS = 8
"""Characters of a header's value from which on it may be a credential."""


def credentials_in(headers: Iterable[str]) -> list[str]:
    """Return what may be a credential in values of headers, each once: servers repeat it without ``Bearer`` too."""
    parts = dict.fromkeys(part for value in headers for part in (value, value.partition(" ")[2]))
    return [part for part in parts if len(part) >= _SHORTEST_OF_HEADERS]


def maskable(secrets: Iterable[str]) -> tuple[str, ...]:
    """Return the secrets that :func:`mask` takes: long enough, and each before those that stand in it."""
    return tuple(sorted((secret for secret in secrets if len(secret) >= _SHORTEST), key=len, reverse=True))


def mask(text: str, secrets: Iterable[str]) -> str:
    """Mask secrets, literally; they come from :func:`maskable`."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Mask the given secrets, literally, and whatever has the shape of a credential.

    Shapes: ``Bearer …``, ``sk-…``, TOS access keys, ``user:password@`` and
    ``?key=…`` in URLs, ``api_key=…`` and its like.
    """
    text = mask(text, maskable(secrets))
    for shape, masked in _SHAPES:
        text = shape.sub(masked, text)
    return text


def redact_values(value: Any, secrets: Iterable[str] = ()) -> Any:  # noqa: ANN401  any JSON value, and one of its kind
    """Mask secrets in every text of a JSON value, keys included."""
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, dict):
        return {redact(key, secrets): redact_values(inner, secrets) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [redact_values(inner, secrets) for inner in value]
    return value
