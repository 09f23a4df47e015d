"""What a reader must know before believing the numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelcall.report.page.elements import el
from modelcall.report.page.figures import whole
from modelcall.report.page.words import Phrase, Words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

    from modelcall.report.gathering import Facts

_PROBLEMS: Final = 10


def notices(facts: Facts, words: Words) -> Iterator[Element]:
    """Yield a list of them, if there are any."""
    texts = [*_of_files(facts, words), *_of_logs(facts, words), *_of_columns(facts, words)]
    if texts:
        yield el("ul", *(el("li", text) for text in texts), class_="notices")


def _of_files(facts: Facts, words: Words) -> Iterator[str]:
    files = facts.files
    if files.unpublished:
        counts = {"unpublished": whole(files.unpublished), "expected": whole(files.expected)}
        yield words(Phrase.NOTE_UNFINISHED, names=", ".join(files.waiting), **counts)
    if files.partial:
        yield words(Phrase.NOTE_PARTIAL, partial=whole(files.partial))
    for text in files.problems[:_PROBLEMS]:
        yield words(Phrase.NOTE_PROBLEM, text=text)
    if len(files.problems) > _PROBLEMS:
        yield f"… +{len(files.problems) - _PROBLEMS}"
    if facts.failures.dropped:
        yield words(Phrase.NOTE_DROPPED, dropped=whole(facts.failures.dropped))


def _of_logs(facts: Facts, words: Words) -> Iterator[str]:
    line = facts.timeline
    if line is None:
        yield words(Phrase.NOTE_NO_LOGS)
    elif line.rows < facts.files.rows:
        yield words(Phrase.NOTE_SOME_LOGS, told=whole(line.rows), rows=whole(facts.files.rows))
    if line is not None and line.damaged:
        yield words(Phrase.NOTE_DAMAGED_LINES, count=whole(line.damaged))
    for start in facts.starts:
        if start.reason is not None:
            yield words(Phrase.NOTE_STOPPED, code=start.exit_code, reason=start.reason)


def _of_columns(facts: Facts, words: Words) -> Iterator[str]:
    if facts.rows.undrawn:
        yield words(Phrase.NOTE_UNDRAWN, names=", ".join(sorted(facts.rows.undrawn)))
    for name, numbers in facts.rows.numbers.items():
        if numbers.odd:
            yield words(Phrase.NOTE_ODD, count=whole(numbers.odd), name=name)
