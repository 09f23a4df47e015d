"""The HTML pages of proxies."""

from __future__ import annotations

from modelcall.mock.wire import HTML_TYPE, reply


def page(title: str, server: str) -> bytes:
    """Return an error page as nginx writes it."""
    text = f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
    return f"{text}<hr><center>{server}</center>\r\n</body>\r\n</html>\r\n".encode()


def html_reply(status: int, title: str, server: str = "nginx") -> bytes:
    """Return a whole response with such a page."""
    headers = {"server": server, **({"cf-ray": "8f1c2d3e4f5a6b7c-SJC"} if server == "cloudflare" else {})}
    return reply(status, page(title, server), headers, kind=HTML_TYPE)
