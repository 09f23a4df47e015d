"""What a rule is, and where the rules come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

M = TypeVar("M")

GOPHER = "Gopher, quality filters (Rae et al. 2021, arXiv:2112.11446, appendix A.1.1)"
GOPHER_REPETITION = "Gopher, repetition (Rae et al. 2021, arXiv:2112.11446, table A1)"
C4 = "C4 (Raffel et al. 2020, JMLR 21:140, section 2.2)"
FINEWEB = "FineWeb (Penedo et al. 2024, arXiv:2406.17557, section 3.6)"
THE_STACK = "The Stack, basic filters after Codex (Kocetkov et al. 2022, arXiv:2211.15533)"
STARCODER = "StarCoder (Li et al. 2023, arXiv:2305.06161, section 3.2)"
STARCODER2 = "The Stack v2 (Lozhkov et al. 2024, arXiv:2402.19173, section 2)"
CODEPARROT = "CodeParrot (Tunstall et al. 2022, dataset card codeparrot-clean)"
OWN = "ModelCall"


@dataclass(frozen=True, slots=True)
class Rule(Generic[M]):
    """One filter: what it is called in the tags, what failing it costs, who published it, and when it applies."""

    tag: str
    cost: int
    """Points taken from the score: 1 a blemish, 2 most filters would drop the text, 4 junk."""
    source: str
    applies: Callable[[M], bool]
    """True: the text fails."""


@dataclass(frozen=True, slots=True)
class Merit(Generic[M]):
    """A good sign, in the same terms; merits lift a score above the middle."""

    tag: str
    applies: Callable[[M], bool]


def failed(rules: Iterable[Rule[M]], measures: M) -> list[Rule[M]]:
    """The rules that the text fails, in table order."""
    return [rule for rule in rules if rule.applies(measures)]


def earned(merits: Iterable[Merit[M]], measures: M) -> list[Merit[M]]:
    """The merits that the text has, in table order."""
    return [merit for merit in merits if merit.applies(measures)]
