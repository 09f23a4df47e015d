"""A configuration file as read: plain data, and where each value was written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from modelcall.errors import Mistake

if TYPE_CHECKING:
    from collections.abc import Mapping

KeyPath: TypeAlias = tuple[str | int, ...]
"""Keys and list indices from the top of a document to a value."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written."""

    where: str
    """``tasks/x.yaml:12``, or ``--set data.root=/x``."""
    path: KeyPath
    """Its path there, which for an inline block differs from the path in the block."""


@dataclass(frozen=True, slots=True)
class Document:
    """A mapping and the places of its values. Layered documents keep the place of whichever layer spoke last."""

    data: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[KeyPath, Place] = field(default_factory=dict)
    odd_text: Mapping[KeyPath, str] = field(default_factory=dict)
    """Unquoted ``yes``, ``no``, ``on``, ``off``: text here, a boolean to older YAML readers."""
    slips: tuple[Mistake, ...] = ()
    """What is wrong in the writing although the rest could be read: a key written twice, a tag. For whoever loads."""

    def mistake(self, path: KeyPath, message: str) -> Mistake:
        """Return a mistake at ``path``, or at the nearest block around it that was written down."""
        known = self.written(path)
        place = self.places.get(known, Place("", ()))
        return Mistake(message, where=place.where, path=dotted((*place.path, *path[len(known) :])))

    def written(self, path: KeyPath) -> KeyPath:
        """Return the longest part of a path whose place is known."""
        while path and path not in self.places:
            path = path[:-1]
        return path

    def block(self, key: str) -> Document:
        """Return the document below ``key``; empty if there is no mapping."""
        value = self.data.get(key)
        return Document(
            value if isinstance(value, dict) else {},
            {path[1:]: place for path, place in self.places.items() if path[:1] == (key,)},
            {path[1:]: text for path, text in self.odd_text.items() if path[:1] == (key,)},
        )

    def without(self, *keys: str) -> Document:
        """Return the document without some of its top-level keys."""
        return Document({key: value for key, value in self.data.items() if key not in keys}, self.places, self.odd_text)

    def over(self, base: Document) -> Document:
        """Return ``base`` with this document laid over it, block by block. What neither has is missing in ``base``."""
        places = {**base.places, **self.places}
        if () in base.places:
            places[()] = base.places[()]
        return Document(_laid_over(base.data, self.data), places, {**base.odd_text, **self.odd_text})

    def with_value(self, path: KeyPath, value: object, *, where: str) -> Document:
        """Return the document with one value replaced; blocks on the way are made."""
        kept = {known: place for known, place in self.places.items() if known[: len(path)] != path}
        odd = {known: text for known, text in self.odd_text.items() if known[: len(path)] != path}
        made = {path[:depth]: Place(where, path[:depth]) for depth in range(1, len(path)) if path[:depth] not in kept}
        return Document(_replaced(self.data, path, value), {**kept, **made, path: Place(where, path)}, odd)


def dotted(path: KeyPath) -> str:
    """Write a path as users do: ``data.output_columns.0``."""
    return ".".join(map(str, path))


def _laid_over(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        merged[key] = _laid_over(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _replaced(data: Mapping[str, Any], path: KeyPath, value: object) -> dict[str, Any]:
    key, rest = str(path[0]), path[1:]
    if not rest:
        return {**data, key: value}
    below = data.get(key)
    return {**data, key: _replaced(below if isinstance(below, dict) else {}, rest, value)}
