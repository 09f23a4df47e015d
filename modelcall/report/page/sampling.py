"""The section with rows to read, by score."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcall.report.gathering import buckets
from modelcall.report.page.blocks import note, section, text_block
from modelcall.report.page.elements import el
from modelcall.report.page.figures import whole
from modelcall.report.page.words import Phrase, Words
from modelcall.report.samples import TEXT_CHARS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

    from modelcall.report.gathering import Facts
    from modelcall.report.numbers import Picks
    from modelcall.report.samples import Sample


def sample_rows(facts: Facts, words: Words) -> Iterator[Element]:
    """Yield the section; nothing if no row is to be shown."""
    rows = facts.rows
    parts = [(f"{rows.main} {bar.label}", bar.count, bar.picks) for bar in reversed(buckets(rows)) if bar.picks.rows]
    if not parts and rows.unscored.rows:
        parts = [(words(Phrase.SCORED), facts.files.scored, rows.unscored)]
    folds = [_fold(name, count, picks, facts, words) for name, count, picks in parts]
    if folds:
        told = note(words(Phrase.SAMPLES_TEXT, chars=whole(TEXT_CHARS)))
        yield section("samples", words(Phrase.SAMPLES), told, *folds)


def _fold(name: str, count: int, picks: Picks, facts: Facts, words: Words) -> Element:
    found = [facts.samples.get(pick.output, pick.row) for pick in picks.in_order()]
    return el(
        "details",
        el("summary", name, el("small", words(Phrase.COUNT_OF_ROWS, count=whole(count)))),
        *(_card(sample, words) for sample in found if sample is not None),
    )


def _card(sample: Sample, words: Words) -> Element:
    values = [el("span", el("b", name), f" {value}") for name, value in sample.values.items()]
    return el(
        "article",
        el("p", el("b", words(Phrase.PLACE, file=sample.file, row=whole(sample.row))), class_="place"),
        el("p", *values, class_="values"),
        text_block(sample.text, words) if sample.text else note(words(Phrase.NO_TEXT)),
        text_block(sample.raw, words, title=words(Phrase.ANSWER)) if sample.raw else None,
        class_="sample",
    )
