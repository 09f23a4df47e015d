"""The section on tokens and cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcall.report.page.blocks import figure, grid, note, section, table
from modelcall.report.page.charts import bars, ranking
from modelcall.report.page.figures import money, short, whole
from modelcall.report.page.words import Phrase, Words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

    from modelcall.report.gathering import Facts

_NAMES = {
    "prompt": Phrase.PROMPT_TOKENS,
    "cached": Phrase.CACHED_TOKENS,
    "completion": Phrase.COMPLETION_TOKENS,
    "reasoning": Phrase.REASONING_TOKENS,
}


def spending(facts: Facts, words: Words) -> Iterator[Element]:
    """Yield the section, if a model was asked."""
    rows = facts.rows
    if not rows.models.counts and not rows.told_tokens:
        return
    children = [*_tokens(facts, words)]
    charts = []
    if set(rows.attempts) - {0, 1}:
        pairs = [(str(attempts), count) for attempts, count in sorted(rows.attempts.items())]
        charts.append(figure(words(Phrase.TRIES_OF_A_ROW), bars(pairs, name="attempts", shown=short, height=190)))
    if len(rows.finishes.counts) > 1:
        charts.append(_ranked(words(Phrase.FINISH_REASONS), rows.finishes.most(8)))
    if len(rows.models.counts) > 1:
        charts.append(_ranked(words(Phrase.MODEL), rows.models.most(12)))
    yield section("tokens", words(Phrase.TOKENS_AND_COST), *children, grid(*charts) if charts else None)


def _ranked(title: str, pairs: list[tuple[str, int]]) -> Element:
    return figure(title, ranking(pairs, name=title, shown=short))


def _tokens(facts: Facts, words: Words) -> Iterator[Element]:
    rows = facts.rows
    if not rows.told_tokens:
        yield note(words(Phrase.NO_TOKENS))
        return
    each = max(facts.files.rows, 1)
    lines = [
        [words(name), whole(rows.tokens[kind]), short(rows.tokens[kind] / each)]
        for kind, name in _NAMES.items()
        if rows.tokens[kind]
    ]
    if facts.cost is not None and facts.subject.prices is not None:
        currency = facts.subject.prices.currency
        lines.append([words(Phrase.COST), money(facts.cost, currency), money(facts.cost / each, currency)])
    yield table(["", words(Phrase.TOTAL), words(Phrase.PER_ROW)], lines, numeric=(1, 2))
    if facts.subject.prices is None:
        yield note(words(Phrase.NO_PRICES))
