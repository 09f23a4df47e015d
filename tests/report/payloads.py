"""Two hundred texts that would do something if a page let them."""

from __future__ import annotations

from itertools import product

_CALL = "window.pwned=1"
_TEMPLATES = (
    "<script>{call}</script>",
    "</script><script>{call}</script>",
    "</style><script>{call}</script>",
    "</title><script>{call}</script>",
    "</pre></details><img src=x onerror={call}>",
    "<svg onload={call}>",
    "</svg><svg/onload={call}>",
    "<svg><animate onbegin={call} attributeName=x dur=1s>",
    '"><img src=http://127.0.0.1:9/x onerror={call}>',
    "'><iframe srcdoc='<script>parent.{call}</script>'>",
    "<a href=javascript:{call}>x</a>",
    "[x](javascript:{call})",
    "![x](http://127.0.0.1:9/x.png)",
    "<link rel=stylesheet href=http://127.0.0.1:9/x.css>",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'>",
    "<base href=http://127.0.0.1:9/>",
    "<object data=http://127.0.0.1:9/x>",
    "<style>@import 'http://127.0.0.1:9/x.css';</style>",
    "<p style='background:url(http://127.0.0.1:9/x)'>",
    "<form action=http://127.0.0.1:9/><button autofocus onfocus={call}>",
    "<!--<img src=x onerror={call}>-->",
    "<![CDATA[<script>{call}</script>]]>",
    "<?xml-stylesheet href='http://127.0.0.1:9/x.xsl'?><x/>",
    "<math><mtext><table><mglyph><style><img src=x onerror={call}>",
    "&lt;script&gt;{call}&lt;/script&gt;",
)
_AROUND = (
    "{0}",
    "\x00{0}\u202e",
    "x\r\n{0}\n| a | b |\n```\n",
    "{0}" * 3 + "\x1b[31m",
    "\ufeff\u2028{0}&#60;",
    "`{0}`",
    "=cmd|' /C x'!A0{0}",
    "\ufffe{0}",
)

PAYLOADS = [around.format(text.format(call=_CALL)) for text, around in product(_TEMPLATES, _AROUND)]
"""Exactly 200."""
