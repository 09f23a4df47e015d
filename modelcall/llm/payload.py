"""The body of an attempt: what never changes is written once, the rest by orjson."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson

from modelcall.errors import ConfigError, Mistake

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelcall.llm.exchange import Message
    from modelcall.llm.settings import ClientSettings

_NOT_BODY: Final = frozenset({"extra_body", "extra_headers", "extra_query", "timeout"})
"""Parameters of the SDK's call, not of the request."""
_TOKEN_LIMITS: Final = ("max_completion_tokens", "max_tokens")


class TextError(ValueError):
    """The messages hold text that no JSON can carry: lone surrogates."""


class Payload:
    """Builds bodies for one model and its parameters.

    Raises:
        ConfigError: The parameters ask for what a judge cannot use (streams, several choices), or are no JSON.
    """

    def __init__(self, settings: ClientSettings) -> None:
        params = dict(settings.completions_params)
        mistakes = list(_mistakes(params))
        if mistakes:
            raise ConfigError("completions_params cannot be used", mistakes=mistakes)
        body = {key: value for key, value in params.items() if key not in _NOT_BODY} | (params.get("extra_body") or {})
        body["model"] = settings.model_name
        self._plain = _open_object(body)
        self._grown = _open_object(
            body | {key: 2 * body[key] for key in _TOKEN_LIMITS if isinstance(body.get(key), int)}
        )
        self._format: tuple[Mapping[str, Any] | None, bytes] = (None, b"")

    def build(
        self, messages: Sequence[Message], response_format: Mapping[str, Any] | None, *, more_tokens: bool = False
    ) -> bytes:
        """Return a whole body; ``more_tokens`` doubles the limit of the completion.

        Raises:
            TextError: A message holds lone surrogates.
        """
        try:
            asked = orjson.dumps(list(messages))
        except TypeError as error:
            raise TextError("the text holds lone surrogates, which are no Unicode and cannot be sent") from error
        start = self._grown if more_tokens else self._plain
        return b"".join((start, asked, self._written(response_format), b"}"))

    def _written(self, response_format: Mapping[str, Any] | None) -> bytes:
        known, written = self._format
        if response_format is not known:
            written = b',"response_format":' + orjson.dumps(response_format) if response_format is not None else b""
            self._format = (response_format, written)
        return written


def _open_object(body: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)[:-1] + b',"messages":'
    except TypeError as error:
        raise ConfigError(f"completions_params is no JSON: {error}", hint="use plain YAML values") from error


def _mistakes(params: Mapping[str, Any]) -> list[Mistake]:
    extra = params.get("extra_body") or {}
    if not isinstance(extra, Mapping):
        return [Mistake("a block of keys is meant", path="completions_params.extra_body")]
    said = {**params, **extra}
    found = []
    if "messages" in said:
        found.append(Mistake("messages come from the prompt file", path="completions_params.messages"))
    if said.get("stream"):
        found.append(Mistake("answers are read whole: take stream out", path="completions_params.stream"))
    if said.get("n") not in (1, None):
        found.append(Mistake("a row takes one answer: n must be 1", path="completions_params.n"))
    return found
