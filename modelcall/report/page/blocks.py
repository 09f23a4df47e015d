"""What sections are built of: headings, figures with a legend, tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcall.report.page.elements import el
from modelcall.report.page.figures import whole
from modelcall.report.page.words import Phrase, Words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from xml.etree.ElementTree import Element

    from modelcall.report.samples import Cut


def section(name: str, title: str, *children: Element | None) -> Element:
    """A section; its heading is what the contents name it by."""
    return el("section", el("h2", title), *children, id=name)


def figure(title: str, chart: Element, *, legend: Sequence[str] = (), more: str = "", kind: str = "plain") -> Element:
    """A chart under its title; the names of the legend have the colours of the chart's series, in order.

    One of the ``kind`` ``bad`` has the colour of failures.
    """
    names = [el("span", el("i", class_=f"key color-{number}"), name) for number, name in enumerate(legend)]
    return el(
        "figure",
        el("figcaption", el("b", title), el("small", more) if more else None),
        el("p", *names, class_="legend") if legend else None,
        el("div", chart, class_="chart"),
        class_=kind,
    )


def grid(*children: Element | None) -> Element:
    """Blocks side by side where there is room."""
    return el("div", *children, class_="grid")


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numeric: Iterable[int] = ()) -> Element:
    """A table; ``numeric`` columns are set flush right."""
    right = frozenset(numeric)

    def cells(tag: str, texts: Sequence[str]) -> Element:
        return el("tr", *(el(tag, text, class_="number" if at in right else "text") for at, text in enumerate(texts)))

    body = el("tbody", *(cells("td", row) for row in rows))
    return el("div", el("table", el("thead", cells("th", head)), body), class_="table")


def note(text: str) -> Element:
    """A remark."""
    return el("p", text, class_="note")


def text_block(text: Cut, words: Words, *, title: str = "") -> Element:
    """Return a text as it was written; with a title it is folded away."""
    more = el("small", words(Phrase.MORE_CHARS, count=whole(text.more)), class_="cut") if text.more else None
    block = el("pre", text.text, more)
    return el("details", el("summary", title), block, class_="inner") if title else block
