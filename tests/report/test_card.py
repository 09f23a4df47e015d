"""What stands in the dataset card as text means nothing in Markdown."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from modelcall.report.card import Writer
from modelcall.report.page.elements import harmless
from tests.report.payloads import PAYLOADS

TEXTS = st.one_of(st.text(), st.sampled_from(PAYLOADS), st.text(alphabet="<>&|`*_[]()!#~$\\-=:\n ab"))
READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def shown(markdown: str, within: str) -> tuple[str, set[str]]:
    """The text of the one inline part within an element, and the kinds of its tokens."""
    tokens = READER.parse(markdown)
    assert "html_block" not in {token.type for token in tokens}
    [inline] = [token for before, token in pairwise(tokens) if before.type == within]
    children = inline.children or []
    return "".join(child.content for child in children), {child.type for child in children}


@given(TEXTS)
@example("&#60;script&#62;")
@example("<script>alert(1)</script>")
@example("![x](http://127.0.0.1:9/x.png)")
@example("a | b \\| c")
def test_a_text_is_itself_in_a_heading_and_in_a_table(text: str) -> None:
    inline = Writer(()).inline(text)
    wanted = " ".join(harmless(text).split())
    for markdown, within in ((f"# x {inline} x", "heading_open"), (f"| x {inline} x |\n| --- |\n", "th_open")):
        found, kinds = shown(markdown, within)
        assert found == f"x {wanted} x" if wanted else found.split() == ["x", "x"]
        assert kinds <= {"text", "text_special"}


@given(TEXTS)
@example("```\n<script>\n```")
@example("````````")
def test_a_block_cannot_be_closed_from_within(text: str) -> None:
    tokens = READER.parse("\n".join(["before", "", *Writer(()).block(text), "after"]))
    assert [token.type for token in tokens if token.level == 0] == [
        "paragraph_open",
        "paragraph_close",
        "fence",
        "paragraph_open",
        "paragraph_close",
    ]
    [fence] = [token for token in tokens if token.type == "fence"]
    assert fence.content.rstrip("\n") == harmless(text).rstrip("\n")
