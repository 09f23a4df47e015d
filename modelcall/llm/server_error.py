"""What a server says when it refuses, in all the shapes it says it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

MAX_MESSAGE: Final = 2048
"""Characters of a server's message that we keep."""
_MAX_RAW: Final = 2**17
"""Characters looked at. Far more than are kept: what is cut off here must not be half a secret that would be kept."""

_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]{0,200}>")


@dataclass(frozen=True, slots=True)
class ServerError:
    """An error body, understood."""

    message: str
    codes: frozenset[str] = frozenset()
    """All its codes and types, lower case: ``code``, ``type``, ``innererror.code``, ``details.error_code``."""
    status: int | None = None
    """The status that the body names, which may differ from the reply's."""


def error_in(data: object) -> ServerError | None:
    """Find an error in a JSON body; None if it carries none.

    Known shapes: ``{"error": {…}}``, ``{"error": "text"}``, flat with ``object`` or ``type`` ``error`` (SGLang, older
    vLLM, Anthropic), FastAPI's ``{"detail": …}``, ``{"message": …, "code": …}``.
    """
    if not isinstance(data, dict):
        return None
    error = data.get("error")
    if isinstance(error, dict):
        return _structured(error)
    if isinstance(error, str) and error:
        return ServerError(error[:_MAX_RAW], status=_status(data.get("code")))
    return None if "choices" in data else _flat(data)


def _flat(data: dict[str, Any]) -> ServerError | None:
    if "error" in {data.get("object"), data.get("type")} or isinstance(data.get("message"), str):
        return _structured(data)
    if data.get("detail"):
        return ServerError(_detail(data["detail"])[:_MAX_RAW])
    return None


def error_of(data: object, body: bytes) -> ServerError:
    """Return the error in a body of any kind; ``data`` is its JSON, or None."""
    return error_in(data) or ServerError(_plain(body))


def _structured(error: dict[str, Any]) -> ServerError:
    message = error.get("message")
    if not isinstance(message, str):
        message = "" if message is None else str(message)
    inner = error.get("innererror"), error.get("inner_error"), error.get("details")
    blocks = [error, *(block for block in inner if isinstance(block, dict))]
    values = [block.get(name) for block in blocks for name in ("code", "type", "error_code")]
    statuses = [_status(error.get(name)) for name in ("status", "code", "http_status", "status_code")]
    return ServerError(
        message[:_MAX_RAW],
        codes=frozenset(v.lower() for v in values if isinstance(v, str) and v),
        status=next((status for status in statuses if status is not None), None),
    )


def _status(value: object) -> int | None:
    if isinstance(value, str) and value.isdecimal() and len(value) <= len("599"):
        value = int(value)
    is_status = isinstance(value, int) and not isinstance(value, bool) and 400 <= value < 600  # noqa: PLR2004  as HTTP says
    return value if is_status and isinstance(value, int) else None


def _detail(detail: object) -> str:
    if isinstance(detail, list):
        return "; ".join(_detail(one) for one in detail[:5])
    if isinstance(detail, dict):
        where = detail.get("loc")
        place = ".".join(str(part) for part in where) + ": " if isinstance(where, list) else ""
        return place + str(detail.get("msg") or detail.get("message") or "")
    return str(detail)


def _plain(body: bytes) -> str:
    text = body[:_MAX_RAW].decode("utf-8", "replace")
    title = _TITLE.search(text)
    text = title.group(1) if title else _TAG.sub(" ", text)
    return " ".join(text.split())[:_MAX_RAW]
