"""The section on failed rows: kinds, first reasons, what to do, examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelcall.report.page.blocks import note, section, table, text_block
from modelcall.report.page.elements import el
from modelcall.report.page.figures import share, whole
from modelcall.report.page.words import Phrase, Words
from modelcall.report.samples import cut

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

    from modelcall.report.failures import Example, Kind
    from modelcall.report.gathering import Facts

_REASON_CHARS: Final = 300
_REASONS: Final = 5


def failures(facts: Facts, words: Words) -> Iterator[Element]:
    """Yield the section; without a failed row it says so."""
    title = words(Phrase.FAILURES)
    kinds = facts.failures.in_order()
    if not kinds:
        if facts.files.rows:
            yield section("failures", title, note(words(Phrase.NO_FAILURES)))
        return
    head = [
        words(each) for each in (Phrase.KIND, Phrase.ROWS, Phrase.FAILURE_RATE, Phrase.FIRST_REASON, Phrase.WHAT_TO_DO)
    ]
    lines = [_line(name, kind, facts, words) for name, kind in kinds]
    shown = [_examples(name, kind, facts, words) for name, kind in kinds]
    yield section("failures", title, table(head, lines, numeric=(1, 2)), *shown)


def _line(name: str, kind: Kind, facts: Facts, words: Words) -> list[str]:
    reason = ""
    if (first := kind.first) is not None:
        reason = f"{first.reason[:_REASON_CHARS]} ({words(Phrase.PLACE, file=first.file, row=whole(first.row))})"
    return [name, whole(kind.count), share(kind.count, facts.files.rows), reason, words.to_do(name)]


def _examples(name: str, kind: Kind, facts: Facts, words: Words) -> Element:
    reasons = [(reason[:_REASON_CHARS], whole(count)) for reason, count in kind.reasons.most(_REASONS)]
    cards = [_example(at, example, facts, words) for at, example in sorted(kind.examples.items())]
    return el(
        "details",
        el("summary", words(Phrase.EXAMPLES, kind=name), el("small", whole(kind.count))),
        table([words(Phrase.FREQUENT_REASONS), words(Phrase.ROWS)], reasons, numeric=(1,)),
        *cards,
    )


def _example(at: tuple[int, int], example: Example, facts: Facts, words: Words) -> Element:
    sample = facts.samples.get(*at) if example.in_output else None
    place = words(Phrase.PLACE, file=example.file, row=whole(example.row))
    return el(
        "article",
        el("p", el("b", place), el("small", words(Phrase.ATTEMPTS, count=example.attempts)), class_="place"),
        el("p", example.reason, class_="reason"),
        text_block(cut(example.raw), words, title=words(Phrase.ANSWER)) if example.raw else None,
        text_block(sample.text, words) if sample and sample.text else None,
        class_="sample",
    )
