"""How much of a text repeats: the measures behind Gopher's table A1, in time linear in the words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import accumulate, count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

TOP_GRAMS = {2: 0.20, 3: 0.18, 4: 0.16}
"""Largest share of characters that the most frequent n-gram may cover."""
DUPLICATE_GRAMS = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}
"""Largest share of characters that n-grams seen before may cover."""


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Repeats among the lines or paragraphs of a text."""

    share: float
    """Of the pieces, those seen before: 0…1."""
    char_share: float
    """Of the characters, those in pieces seen before: 0…1."""


def duplicates(pieces: Sequence[str]) -> Duplicates:
    """Count the pieces that an earlier one equals."""
    chars = sum(map(len, pieces))
    if not chars:
        return Duplicates(0.0, 0.0)
    unique = set(pieces)
    unique_chars = sum(map(len, unique))
    return Duplicates(1 - len(unique) / len(pieces), 1 - unique_chars / chars)


def repeated_grams(words: Sequence[str], *, stretch: int = 1) -> tuple[bool, bool]:
    """Whether the text passes a limit of :data:`TOP_GRAMS`, and one of :data:`DUPLICATE_GRAMS`.

    ``stretch`` words count as one: 2 where words are single characters. An n-gram is known by the position of its
    first occurrence; a longer gram by the shorter one it begins with and its last word, so each length costs one pass.
    """
    ends = [0, *accumulate(map(len, words))]
    top = duplicate = False
    firsts = _first_positions(words)
    for n in range(2, 10 * stretch + 1):
        firsts = _first_positions(zip(firsts, words[n - 1 :], strict=False))
        repeats = [i for i, first in enumerate(firsts) if first != i]
        if not repeats:  # then no longer gram repeats either
            break
        length = n // stretch if n % stretch == 0 else 0
        top = top or (length in TOP_GRAMS and _top_share(firsts, n=n, ends=ends) > TOP_GRAMS[length])
        duplicate = duplicate or (
            length in DUPLICATE_GRAMS and _covered(repeats, n=n, ends=ends) > DUPLICATE_GRAMS[length]
        )
    return top, duplicate


def _first_positions(grams: Iterable[Hashable]) -> list[int]:
    known: dict[Hashable, int] = {}
    return list(map(known.setdefault, grams, count()))


def _top_share(firsts: Sequence[int], *, n: int, ends: Sequence[int]) -> float:
    first, times = Counter(firsts).most_common(1)[0]
    return times * (ends[first + n] - ends[first]) / ends[-1]


def _covered(repeats: Sequence[int], *, n: int, ends: Sequence[int]) -> float:
    chars, free = 0, 0
    for start in repeats:
        if start >= free:
            chars += ends[start + n] - ends[start]
            free = start + n
    return chars / ends[-1]
