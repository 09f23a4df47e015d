"""The page: head, key numbers, notices, sections, foot."""

from __future__ import annotations

from datetime import datetime
from importlib.resources import files as package_files
from typing import TYPE_CHECKING, Final

from modelcall import __version__
from modelcall.report.page.elements import document, el
from modelcall.report.page.failing import failures
from modelcall.report.page.figures import duration, money, seconds_of, share, short, whole
from modelcall.report.page.notices import notices
from modelcall.report.page.sampling import sample_rows
from modelcall.report.page.scoring import scores
from modelcall.report.page.settings import settings
from modelcall.report.page.spending import spending
from modelcall.report.page.timing import over_time
from modelcall.report.page.words import Phrase, Words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

    from modelcall.report.gathering import Facts

_STYLE: Final = "page.css"
_LARGE: Final = 1_000_000


def page(facts: Facts, *, now: datetime) -> bytes:
    """Return the report as one HTML file; the same facts give the same bytes, but for ``now``."""
    words = Words(facts.subject.language)
    parts = [
        *scores(facts, words),
        *failures(facts, words),
        *over_time(facts, words),
        *spending(facts, words),
        *sample_rows(facts, words),
        *settings(facts, words),
    ]
    body = el("body", _head(facts, words, now))
    main = el("main", _cards(facts, words), *notices(facts, words), *parts)
    body.append(_contents(parts))
    body.append(main)
    body.append(el("footer", el("p", words(Phrase.MADE_BY, version=__version__))))
    style = (package_files("modelcall.report.page") / _STYLE).read_text(encoding="utf-8")
    title = f"{facts.subject.task} · ModelCall"
    return document(title, body, language=words.tag, style=style, secrets=facts.subject.secrets)


def _head(facts: Facts, words: Words, now: datetime) -> Element:
    subject = facts.subject
    state = Phrase.UNFINISHED if facts.files.unpublished else Phrase.FINISHED
    newest = subject.passes[0].runs[0]
    line = el(
        "p",
        el("span", words(state), class_=f"state {state.name.lower()}"),
        el("span", words(Phrase.RUN, timestamp=newest.timestamp)),
        el("span", words(Phrase.AS_OF, time=f"{now:%Y-%m-%d %H:%M %Z}".strip())),
        class_="about",
    )
    description = subject.setting("task", "description")
    return el(
        "header",
        el("p", f"ModelCall · {words(Phrase.REPORT)}", class_="mark"),
        el("h1", subject.task),
        el("p", str(description), class_="description") if description else None,
        line,
        _facts(facts, words),
    )


def _facts(facts: Facts, words: Words) -> Element:
    subject = facts.subject
    pairs = [
        (Phrase.MODEL, subject.setting("model", "model_name")),
        (Phrase.SCORER, subject.setting("scorer")),
        (Phrase.INPUT, subject.passes[0].runs[0].input),
        (Phrase.OUTPUT, ", ".join(each.shown for each in subject.passes)),
    ]
    told = [el("div", el("dt", words(name)), el("dd", str(value))) for name, value in pairs if value]
    return el("dl", *told, class_="facts")


def _contents(parts: list[Element]) -> Element:
    links = [el("a", part[0].text, href=f"#{part.get('id', '')}") for part in parts]
    return el("nav", *links)


def _cards(facts: Facts, words: Words) -> Element:
    return el("section", *_all_cards(facts, words), class_="cards")


def _all_cards(facts: Facts, words: Words) -> Iterator[Element]:
    files, rows = facts.files, facts.rows
    counts = {"published": whole(files.published), "expected": whole(files.expected)}
    yield _card(words(Phrase.ROWS), _exact(files.rows), words(Phrase.FILES_OF, **counts))
    yield _card(
        words(Phrase.SUCCESS_RATE),
        share(files.scored, files.rows),
        words(Phrase.SCORED_ROWS, count=whole(files.scored)),
    )
    of_all = words(Phrase.OF_ALL, share=share(files.failed, files.rows))
    yield _card(words(Phrase.FAILED), _exact(files.failed), of_all, kind="bad" if files.failed else "good")
    if rows.main in rows.numbers and (mean := rows.numbers[rows.main].mean) is not None:
        numbers = rows.numbers[rows.main]
        spread = {"median": f"{numbers.median:.4g}", "low": f"{numbers.low:.4g}", "high": f"{numbers.high:.4g}"}
        yield _card(words(Phrase.MEAN_SCORE, name=rows.main), f"{mean:.3g}", words(Phrase.MEDIAN, **spread))
    if rows.told_tokens:
        told = {kind: short(rows.tokens[kind]) for kind in ("prompt", "completion")}
        total = short(rows.tokens["prompt"] + rows.tokens["completion"])
        yield _card(words(Phrase.TOKENS), total, words(Phrase.IN_AND_OUT, **told))
    if facts.cost is not None and facts.subject.prices is not None:
        currency = facts.subject.prices.currency
        each = money(1000 * facts.cost / max(files.rows, 1), currency)
        yield _card(words(Phrase.COST), money(facts.cost, currency), words(Phrase.PER_THOUSAND, cost=each))
    yield from _time_cards(facts, words)


def _time_cards(facts: Facts, words: Words) -> Iterator[Element]:
    line = facts.timeline
    if line is None or not line.seconds:
        return
    began, ended = (
        f"{datetime.fromtimestamp(stamp, tz=line.zone):%Y-%m-%d %H:%M}" for stamp in (line.began, line.ended)
    )
    ended = ended.removeprefix(f"{began[:10]} ")
    yield _card(words(Phrase.DURATION), duration(line.seconds), f"{began} – {ended}")
    median = next((start.latency["p50"] for start in facts.starts if "p50" in start.latency), None)
    small = f"{words(Phrase.LATENCY)} p50 {seconds_of(median)}" if median is not None else ""
    yield _card(words(Phrase.RATE), short(line.rows / line.seconds), small)


def _exact(count: int) -> str:
    return whole(count) if count < _LARGE else short(count)


def _card(name: str, value: str, more: str, *, kind: str = "plain") -> Element:
    return el(
        "div",
        el("p", name, class_="name"),
        el("p", value, class_="value"),
        el("p", more, class_="more"),
        class_=f"card {kind}",
    )
