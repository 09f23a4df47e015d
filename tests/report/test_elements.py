"""What is put into the page as text comes out as text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelcall.report.page.charts import bars, lines, ranking, stacked
from modelcall.report.page.elements import document, el, harmless
from tests.report.markup import Page, check_inert, page_of
from tests.report.payloads import PAYLOADS

TEXTS = st.one_of(st.text(), st.sampled_from(PAYLOADS), st.text(alphabet="<>&\"'/=! -scriptonx\x00\r\n\u2028]"))
STYLE = "body { color: red; }"


def written(*children: object, title: str = "t", secrets: tuple[str, ...] = ()) -> Page:
    body = el("body", *children)  # type: ignore[arg-type]  # elements and texts
    return page_of(document(title, body, language="en", style=STYLE, secrets=secrets))


@given(TEXTS, TEXTS)
def test_text_comes_out_as_text_and_attributes_as_attributes(text: str, other: str) -> None:
    page = written(el("p", text, el("b", other), text, class_=other), title=text)
    check_inert(page)
    assert [node.tag for node in page.nodes][-3:] == ["body", "p", "b"]
    assert page.nodes[-2].attributes == {"class": harmless(other)}
    shown = "".join(data for path, data in page.texts if "p" in path)
    assert shown == harmless(text) + harmless(other) + harmless(text)
    assert "".join(data for path, data in page.texts if path[-1:] == ("title",)) == harmless(text)


@given(TEXTS)
def test_nothing_that_acts_is_left(text: str) -> None:
    clean = harmless(text)
    assert clean.encode().decode() == clean
    assert all(char in "\n\t" or (char.isprintable() or char.isspace()) for char in clean if char < "\x20")
    assert not set(clean) & set("\x00\r\x1b\u202e\u2028\ufeff\uffff\ud800")
    assert harmless(clean) == clean


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(TEXTS, st.integers(0, 10**9)), min_size=1, max_size=12), TEXTS)
def test_charts_take_any_label(pairs: list[tuple[str, int]], name: str) -> None:
    labels = [label for label, _ in pairs]
    series: dict[str, list[float | None]] = {
        name: [float(value) for _, value in pairs],
        "x": [None] * len(pairs),
    }
    page = written(
        bars(pairs, name=name, shown=str),
        ranking(pairs, name=name, shown=str),
        lines(labels, series, name=name, shown=str),
        stacked(labels, series, name=name, shown=str),
    )
    check_inert(page)
    assert [node.tag for node in page.nodes].count("svg") == 4


def test_a_bar_tells_its_label_and_its_value() -> None:
    page = written(bars([("<b>one", 3), ("two", 12000)], name="n", shown=lambda value: f"{value:,.0f}"))
    titles = [data for path, data in page.texts if path[-1:] == ("title",)]
    assert "<b>one: 3" in titles
    assert "two: 12,000" in titles


@pytest.mark.parametrize("values", [[], [0], [0, 0], [None, None], [1e15], [5, None, 3]])
def test_charts_of_little_or_nothing_can_be_drawn(values: list[float | None]) -> None:
    labels = [str(at) for at in range(len(values))]
    known = [(label, value or 0) for label, value in zip(labels, values, strict=True)]
    check_inert(
        written(
            lines(labels, {"a": values}, name="a", shown=str),
            bars(known, name="a", shown=str),
            stacked(labels, {"a": values}, name="a", shown=str),
        )
    )


def test_secrets_are_masked_wherever_they_stand() -> None:
    text = "key hunter2-hunter2 and Bearer abcdef123456 at https://me:pw@host/?api_key=zzzzzz"
    page = written(el("p", text, el("b"), text, class_=text), title=text, secrets=("hunter2-hunter2",))
    for secret in ("hunter2", "abcdef123456", "me:pw", "zzzzzz"):
        assert secret not in page.written
    assert page.written.count("key ***") == 4
