"""The score of a text: its failed rules and its merits, added up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from modelcall.language import code_language, looks_like_code
from modelcall.scorers.quality import code, prose
from modelcall.scorers.quality.rule import Merit, Rule, earned, failed

if TYPE_CHECKING:
    from collections.abc import Iterable

M = TypeVar("M")

RULES_VERSION = "1"
"""Part of the scorer's identity: rises whenever some text would get another report."""
_MIDDLE, _BEST = 3, 5


@dataclass(frozen=True, slots=True)
class QualityReport:
    """What the rules say of one text."""

    score: int
    """0 (junk) … 5 (exemplary)."""
    tags: tuple[str, ...]
    """Rules failed, then merits."""
    language: str
    """Of code: ``python``, ``c``, …; of prose: ``en``, ``zh``; else ``other``."""
    kind: Literal["code", "text"]


def quality(text: str) -> QualityReport:
    """Judge a text: a pure function, in time linear in its length."""
    if not text.strip():
        return QualityReport(0, ("empty",), "other", "text")
    if looks_like_code(text):
        name = code_language(text)
        score, tags = _judge(code.RULES, code.MERITS, code.measure(text, language=name))
        return QualityReport(score, tags, name, "code")
    measures = prose.measure(text)
    score, tags = _judge(prose.RULES, prose.MERITS, measures)
    return QualityReport(score, tags, prose.language(measures), "text")


def _judge(rules: Iterable[Rule[M]], merits: Iterable[Merit[M]], measures: M) -> tuple[int, tuple[str, ...]]:
    faults, good = failed(rules, measures), earned(merits, measures)
    # Two merits lift a text by one, four by two; what fails a rule pays for it whatever its merits.
    score = _MIDDLE + len(good) // 2 - sum(fault.cost for fault in faults)
    tags = [fault.tag for fault in faults] + [merit.tag for merit in good]
    return max(0, min(_BEST, score)), tuple(tags)
