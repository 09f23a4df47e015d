"""What this version does not support. The one list of it: a version that learns something deletes its line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from modelcall.config.document import Document, KeyPath
    from modelcall.errors import Mistake


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A value that this version refuses rather than ignores."""

    key: str
    is_used: Callable[[object], bool]
    what: str
    instead: str


def _other_than(*known: object) -> Callable[[object], bool]:
    return lambda value: value is not None and value not in known


UNSUPPORTED: Final = (
    Unsupported("distributed.engine", _other_than("local", "inline"), "other engines", "write local"),
    Unsupported("distributed.shard_by", _other_than("bytes"), "other ways to share files", "write bytes"),
)


def unsupported_mistakes(document: Document) -> Iterator[Mistake]:
    """Yield a mistake for every value of a task that this version cannot honour."""
    for entry in UNSUPPORTED:
        path = tuple(entry.key.split("."))
        if path in document.places and entry.is_used(_value(document, path)):
            yield document.mistake(path, refusal(entry.what, entry.instead))


def refusal(what: str, instead: str) -> str:
    """The sentence for something this version lacks."""
    return f"this version does not support {what}; {instead}"


def _value(document: Document, path: KeyPath) -> object:
    value: object = document.data
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
