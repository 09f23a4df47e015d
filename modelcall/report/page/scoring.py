"""Sections on scores: over all rows, by group, and the tags beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelcall.report.gathering import BARS
from modelcall.report.page.blocks import figure, grid, note, section, table
from modelcall.report.page.charts import bars, ranking
from modelcall.report.page.elements import el
from modelcall.report.page.figures import share, short, whole
from modelcall.report.page.words import Phrase, Words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

    from modelcall.report.gathering import Facts
    from modelcall.report.numbers import Bar, Histogram
    from modelcall.report.rows import Group, Groups
    from modelcall.report.texts import Texts

_MULTIPLES: Final = 8
_GROUPS: Final = 20
_TAGS: Final = 20
_CATEGORIES: Final = 100
"""More different texts than this are free text."""


def scores(facts: Facts, words: Words) -> Iterator[Element]:
    """Yield the sections for which there are columns."""
    rows = facts.rows
    names = sorted(rows.numbers, key=lambda name: name != rows.main)
    charts = [_histogram(name, rows.numbers[name], words) for name in names if _varies(rows.numbers[name])]
    alike = [
        note(words(Phrase.ALIKE, name=name, value=f"{numbers.low:.6g}", rows=whole(numbers.count)))
        for name, numbers in rows.numbers.items()
        if numbers.count and not _varies(numbers)
    ]
    if charts or alike:
        yield section("scores", words(Phrase.SCORES), grid(*charts) if charts else None, *alike)
    for number, name in enumerate(facts.by):
        if (groups := rows.groups.get(name)) is not None:
            yield _by(facts, name, groups, words, number=number)
    tags = [*_tags(facts, words)]
    if tags:
        yield section("tags", words(Phrase.TAGS), grid(*tags))


def _varies(numbers: Histogram) -> bool:
    return numbers.low < numbers.high


def _histogram(name: str, numbers: Histogram, words: Words) -> Element:
    found = numbers.bars(BARS)
    spread = {"median": f"{numbers.median:.4g}", "low": f"{numbers.low:.4g}", "high": f"{numbers.high:.4g}"}
    more = f"{words(Phrase.MEAN)} {numbers.mean:.4g} · {words(Phrase.MEDIAN, **spread)}"
    chart = bars([(bar.label, bar.count) for bar in found], name=name, shown=short)
    return figure(name, chart, more=more)


def _by(facts: Facts, name: str, groups: Groups, words: Words, *, number: int) -> Element:
    in_order = sorted(groups.groups.items(), key=lambda pair: (-pair[1].rows, pair[0]))
    children: list[Element | None] = []
    main = facts.rows.numbers.get(facts.rows.main or "")
    if main is not None and main.count:
        overall = main.bars(BARS)
        scored = [(group, found) for group, found in in_order if found.scores.count][:_MULTIPLES]
        shares = {group: [100 * part for part in found.scores.shares(overall)] for group, found in scored}
        top = max(max(parts) for parts in shares.values())
        small = [_multiple(group, found, overall, shares[group], top=top, words=words) for group, found in scored]
        children += [note(words(Phrase.BY_TEXT)), el("div", *small, class_="multiples")]
    head = [words(each) for each in (Phrase.GROUP, Phrase.ROWS, Phrase.FAILURE_RATE, Phrase.MEAN, Phrase.MEDIAN_NAME)]
    lines = [_group_line(group, found) for group, found in in_order[:_GROUPS]]
    children.append(table(head, lines, numeric=range(1, 5)))
    if rest := in_order[_GROUPS:]:
        left = sum(found.rows for _, found in rest)
        children.append(note(words(Phrase.MORE_GROUPS, groups=whole(len(rest)), rows=whole(left))))
    if groups.others.rows:
        children.append(note(words(Phrase.MANY_GROUPS, rows=whole(groups.others.rows))))
    return section(f"by-{number}", words(Phrase.BY, name=name), *children)


def _multiple(name: str, group: Group, overall: list[Bar], shares: list[float], *, top: float, words: Words) -> Element:
    pairs = [(bar.label, part) for bar, part in zip(overall, shares, strict=True)]
    chart = bars(pairs, name=name, width=300, height=150, top=top, shown=lambda value: f"{value:.0f}%")
    rows = words(Phrase.COUNT_OF_ROWS, count=whole(group.rows))
    return figure(name, chart, more=f"{rows} · ⌀ {group.scores.mean:.3g}")


def _group_line(name: str, group: Group) -> list[str]:
    mean, median = group.scores.mean, group.scores.median
    return [
        name,
        whole(group.rows),
        share(group.failed, group.rows),
        "–" if mean is None else f"{mean:.3g}",
        "–" if median is None else f"{median:.4g}",
    ]


def _tags(facts: Facts, words: Words) -> Iterator[Element]:
    for name, texts in facts.rows.lists.items():
        if texts.counts:
            yield _ranked(name, texts, words)
    for name, texts in facts.rows.texts.items():
        if len(texts.counts) > _CATEGORIES:
            kept = whole(len(texts.counts)) + ("+" if texts.others else "")
            yield note(words(Phrase.FREE_TEXT, name=name, count=kept))
        elif texts.counts:
            yield _ranked(name, texts, words)


def _ranked(name: str, texts: Texts, words: Words) -> Element:
    top = texts.most(_TAGS)
    more = words(Phrase.MORE_TEXTS, count=whole(len(texts.counts)), shown=len(top))
    if texts.others:
        more += " " + words(Phrase.OTHER_TEXTS, count=whole(texts.others))
    return figure(name, ranking(top, name=name, shown=short), more=more)
