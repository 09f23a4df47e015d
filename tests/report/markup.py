"""What a browser would make of a report, by the standard library's parser."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from html.parser import HTMLParser

_HEAD = {"html", "head", "meta", "title", "link", "style"}
_FRAME = {"body", "header", "nav", "main", "footer", "section", "article", "h1", "h2", "figure", "figcaption"}
_TEXT = {"p", "span", "small", "b", "i", "a", "ul", "li", "dl", "dt", "dd", "div", "pre", "details", "summary"}
_TABLE = {"table", "thead", "tbody", "tr", "th", "td"}
_DRAWN = {"svg", "g", "path", "rect", "circle", "text"}
PLAIN = _HEAD | _FRAME | _TEXT | _TABLE | _DRAWN
"""All elements of a report. None of them runs or loads anything."""
_COMMON = {"charset", "http-equiv", "content", "name", "rel", "href", "lang", "class", "id", "role", "aria-label"}
ATTRIBUTES = _COMMON | {
    "viewbox",
    "text-anchor",
    "transform",
    "d",
    "x",
    "y",
    "rx",
    "ry",
    "width",
    "height",
    "cx",
    "cy",
    "r",
}
EMPTY = {"meta", "link"}


@dataclass(frozen=True, slots=True)
class Node:
    tag: str
    attributes: dict[str, str | None]
    path: tuple[str, ...]


@dataclass
class Page(HTMLParser):
    """A page, taken apart."""

    written: str

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.nodes: list[Node] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self.tables: list[list[list[str]]] = []
        self.sections: dict[str, list[str]] = {}
        self._open: list[Node] = []
        self._section = ""
        self.feed(self.written)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, dict(attrs), tuple(each.tag for each in self._open))
        self.nodes.append(node)
        if tag == "section":
            self._section = node.attributes.get("id") or ""
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in {"td", "th"}:
            self.tables[-1][-1].append("")
        if tag not in EMPTY:
            self._open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        path = tuple(node.tag for node in self._open)
        self.texts.append((path, data))
        if "section" in path:
            self.sections.setdefault(self._section, []).append(data)
        if path and path[-1] in {"td", "th"}:
            self.tables[-1][-1][-1] += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def handle_pi(self, data: str) -> None:
        raise AssertionError(f"an instruction: {data}")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"a declaration: {data}")

    @property
    def text(self) -> str:
        return "\n".join(data for path, data in self.texts if path[-1:] != ("style",))

    def section(self, name: str) -> str:
        return "\n".join(self.sections.get(name, []))


def page_of(written: bytes) -> Page:
    return Page(written.decode())


def check_inert(page: Page) -> None:
    """No element, attribute or address of it can do anything; its policy is strict and fits its style."""
    assert {node.tag for node in page.nodes} <= PLAIN
    assert {name for node in page.nodes for name in node.attributes} <= ATTRIBUTES
    hrefs = [node.attributes["href"] for node in page.nodes if "href" in node.attributes]
    assert [href for href in hrefs if href != "data:," and not re.fullmatch(r"#[a-z0-9-]*", href or "")] == []
    styles = [data for path, data in page.texts if path[-1:] == ("style",)]
    digest = base64.b64encode(hashlib.sha256("".join(styles).encode()).digest()).decode()
    [policy] = [node.attributes["content"] for node in page.nodes if "http-equiv" in node.attributes]
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    assert [node.tag for node in page.nodes].count("style") == 1
    assert "url(" not in styles[0]
    assert "@import" not in styles[0]
