"""The dataset card: Markdown, with the front matter that dataset hubs read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import yaml

from modelcall.redact import redact
from modelcall.report.gathering import BARS
from modelcall.report.page.elements import harmless
from modelcall.report.page.figures import money, share, whole
from modelcall.report.page.words import Phrase, Words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from modelcall.report.gathering import Facts

_ACTIVE: Final = re.compile(r"([\\`*_\[\]<>|~&#$!])")
_TICKS: Final = re.compile(r"`+")
_SIZES: Final = (
    (1e3, "n<1K"),
    (1e4, "1K<n<10K"),
    (1e5, "10K<n<100K"),
    (1e6, "100K<n<1M"),
    (1e7, "1M<n<10M"),
    (1e8, "10M<n<100M"),
    (1e9, "100M<n<1B"),
)
_GROUPS: Final = 20


def card(facts: Facts) -> str:
    """Return the card: the same facts give the same text."""
    text = "\n".join(_lines(facts, Writer(facts.subject.secrets), Words(facts.subject.language)))
    return redact(text, facts.subject.secrets)


class Writer:
    """Texts as Markdown that means nothing."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(secrets)

    def inline(self, text: object) -> str:
        """A text within a line."""
        clean = redact(str(text), self._secrets)
        return _ACTIVE.sub(r"\\\1", " ".join(harmless(clean).split()))

    def block(self, text: str) -> Iterator[str]:
        """A text as it was written, between fences that it cannot close."""
        clean = harmless(redact(text, self._secrets))
        fence = "`" * max(3, 1 + max((len(found) for found in _TICKS.findall(clean)), default=0))
        yield from (f"{fence}text", clean, fence, "")

    def table(self, head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
        """A table."""
        for line in (head, ["---"] * len(head)):
            yield f"| {' | '.join(line)} |"
        for row in rows:
            yield f"| {' | '.join(self.inline(cell) for cell in row)} |"
        yield ""


def _lines(facts: Facts, writer: Writer, words: Words) -> Iterator[str]:
    yield from ("---", yaml.safe_dump(_front(facts), allow_unicode=True, sort_keys=False).rstrip(), "---", "")
    yield from (f"# {writer.inline(facts.subject.task)}", "")
    if description := facts.subject.setting("task", "description"):
        yield from (writer.inline(description), "")
    yield from writer.table(["", ""], _numbers(facts, words))
    yield from (words(Phrase.CARD_CAVEAT), "")
    yield from _columns(facts, writer, words)
    yield from _scores(facts, writer, words)
    yield from _failures(facts, writer, words)
    yield from _prompt(facts, writer, words)


def _front(facts: Facts) -> dict[str, object]:
    rows = facts.files.rows - facts.failures.dropped
    size = next((name for limit, name in _SIZES if rows < limit), "n>1B")
    kinds = sorted(
        {
            record.output_of(file).rpartition(".")[2]
            for each in facts.subject.passes
            for record in each.runs
            for file in record.files
        }
    )
    data = [{"config_name": "default", "data_files": [f"**/*.{kind}" for kind in kinds]}]
    return {"tags": ["modelcall", "llm-judge"], "size_categories": [size], "configs": data}


def _numbers(facts: Facts, words: Words) -> Iterator[tuple[str, str]]:
    files, subject = facts.files, facts.subject
    yield words(Phrase.ROWS), whole(files.rows)
    yield words(Phrase.SCORED), f"{whole(files.scored)} ({share(files.scored, files.rows)})"
    yield words(Phrase.FAILED), whole(files.failed)
    counts = {"published": whole(files.published), "expected": whole(files.expected)}
    yield words(Phrase.FILES), words(Phrase.FILES_OF, **counts)
    for phrase, value in (
        (Phrase.MODEL, subject.setting("model", "model_name")),
        (Phrase.SCORER, subject.setting("scorer")),
        (Phrase.RUN_NAME, subject.passes[0].runs[0].timestamp),
    ):
        if value:
            yield words(phrase), str(value)
    if facts.cost is not None and subject.prices is not None:
        yield words(Phrase.COST), money(facts.cost, subject.prices.currency)


def _columns(facts: Facts, writer: Writer, words: Words) -> Iterator[str]:
    yield from (f"## {words(Phrase.COLUMNS)}", "")
    yield from (f"- {writer.inline(name)}" for name in facts.rows.seen)
    yield ""


def _scores(facts: Facts, writer: Writer, words: Words) -> Iterator[str]:
    rows = facts.rows
    if rows.main not in rows.numbers:
        return
    numbers = rows.numbers[rows.main]
    yield from (f"## {words(Phrase.SCORES)}", "")
    bars = ((bar.label, whole(bar.count), share(bar.count, numbers.count)) for bar in numbers.bars(BARS))
    yield from writer.table([writer.inline(rows.main), words(Phrase.ROWS), "%"], bars)
    for name in (name for name in facts.by if name in rows.groups):
        groups = sorted(rows.groups[name].groups.items(), key=lambda pair: (-pair[1].rows, pair[0]))[:_GROUPS]
        head = [writer.inline(name), words(Phrase.ROWS), words(Phrase.FAILURE_RATE), words(Phrase.MEAN)]
        means = (f"{group.scores.mean:.3g}" if group.scores.count else "–" for _, group in groups)
        yield from writer.table(
            head,
            (
                (key, whole(group.rows), share(group.failed, group.rows), mean)
                for (key, group), mean in zip(groups, means, strict=True)
            ),
        )


def _failures(facts: Facts, writer: Writer, words: Words) -> Iterator[str]:
    kinds = facts.failures.in_order()
    if kinds:
        yield from (f"## {words(Phrase.FAILURES)}", "")
        lines = ((name, whole(kind.count), kind.first.reason[:200] if kind.first else "") for name, kind in kinds)
        yield from writer.table([words(each) for each in (Phrase.KIND, Phrase.ROWS, Phrase.FIRST_REASON)], lines)


def _prompt(facts: Facts, writer: Writer, words: Words) -> Iterator[str]:
    for phrase, key in ((Phrase.SYSTEM_PROMPT, "system_text"), (Phrase.PROMPT, "prompt_text")):
        if text := facts.subject.setting("prompt", "prompt_template", key):
            yield from (f"## {words(phrase)}", "")
            yield from writer.block(str(text))
