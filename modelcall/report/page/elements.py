"""The page as a tree: what is put in as text comes out as text, whatever it holds."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING, Final
from xml.etree.ElementTree import Element, tostring

from modelcall.log.inert import inert
from modelcall.redact import redact

if TYPE_CHECKING:
    from collections.abc import Iterable

_KEPT: Final = re.compile(r"([\n\t])")
_NO_CHARACTERS: Final = re.compile("[\ufffe\uffff]")
"""What neither HTML nor XML takes, beside the control characters."""


def el(tag: str, *children: Element | str | None, **attributes: str) -> Element:
    """Make an element; ``class_`` is the attribute ``class``, and ``aria_label`` is ``aria-label``."""
    element = Element(tag, {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()})
    for child in children:
        if isinstance(child, str):
            _append_text(element, child)
        elif child is not None:
            element.append(child)
    return element


def _append_text(element: Element, text: str) -> None:
    if len(element):
        element[-1].tail = (element[-1].tail or "") + text
    else:
        element.text = (element.text or "") + text


def harmless(text: str) -> str:
    """Write characters that act, but for line breaks and tabs, as escapes."""
    parts = (part if part in {"\n", "\t"} else inert(part) for part in _KEPT.split(text))
    return _NO_CHARACTERS.sub(lambda found: f"\\u{ord(found[0]):04x}", "".join(parts))


def document(title: str, body: Element, *, language: str, style: str, secrets: Iterable[str]) -> bytes:
    """Return a page that runs nothing and loads nothing.

    Every text and every attribute of ``title`` and ``body`` goes through masking and escaping here, whoever put it in.
    """
    known = tuple(secrets)
    head = el("head", el("meta", charset="utf-8"), _policy(style))
    head.append(el("meta", name="viewport", content="width=device-width, initial-scale=1"))
    head.append(el("meta", name="color-scheme", content="light dark"))
    head.append(el("meta", name="referrer", content="no-referrer"))
    head.append(el("link", rel="icon", href="data:,"))  # or a browser asks its server for one
    head.append(_cleaned(el("title", title), known))
    head.append(el("style", style))
    page = el("html", head, _cleaned(body, known), lang=language)
    return b"<!DOCTYPE html>\n" + tostring(page, encoding="unicode", method="html").encode() + b"\n"


def _policy(style: str) -> Element:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    return el("meta", http_equiv="Content-Security-Policy", content=policy)


def _cleaned(tree: Element, secrets: Iterable[str]) -> Element:
    for element in tree.iter():
        element.text = element.text and harmless(redact(element.text, secrets))
        element.tail = element.tail and harmless(redact(element.tail, secrets))
        for name, value in element.attrib.items():
            element.set(name, harmless(redact(value, secrets)))
    return tree
