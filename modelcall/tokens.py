"""Tokens without a network: counting them, and cutting a text where one ends.

A tokenizer is ``o200k`` or ``cl100k`` (the vocabularies of OpenAI's models, which come inside a package),
``characters``, or the path of a ``tokenizer.json`` as models are published with. Nothing is fetched at run time.

Cutting costs time in proportion to what is kept, whatever stands behind it: of a longer text only a window is looked
at, so that fifty million equal letters cost no more than an ordinary document. For the same reason the last token kept
is one of the window's text; only inside a single word as long as the window could the whole text have given another.
"""

from __future__ import annotations

import hashlib
from functools import cache, lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from modelcall.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

EMBEDDED: Final = {"o200k": "o200k_base", "cl100k": "cl100k_base"}
_PACKAGES: Final = ("rs_bpe", "bpe_openai")
"""Either holds them."""
CHARACTERS: Final = "characters"
_WINDOW: Final = 8
"""Characters looked at for each token that may be kept: about twice what a token holds."""
_MARGIN: Final = 64
"""Tokens at the end of a window that may not be those of the whole text."""


class Cut(NamedTuple):
    """The beginning of a text."""

    text: str
    tokens: int


class Tokenizer(Protocol):
    """Texts are such as UTF-8 can hold: a lone surrogate is a ``UnicodeEncodeError``."""

    identity: str
    """The same for what gives the same tokens."""

    def count(self, text: str) -> int:
        """Return the number of tokens."""

    def cut(self, text: str, limit: int) -> Cut:
        """Return the first ``limit`` tokens as text, fewer where a character would be split; all of a shorter text."""


def open_tokenizer(name: str) -> Tokenizer:
    """Return a tokenizer by its name or path; made once in a process.

    Raises:
        ConfigError: There is none of that name, the file cannot be read, or its library is not installed.
    """
    if name in EMBEDDED:
        return _embedded(name)
    if name == CHARACTERS:
        return Characters()
    if name.endswith(".json"):
        return _from_file(name)
    raise ConfigError(
        f"there is no tokenizer {name!r}",
        hint=f"one of {', '.join(EMBEDDED)}, {CHARACTERS}, or the path of a tokenizer.json",
    )


def identity_of(name: str) -> str:
    """Return the identity of a tokenizer, without loading the vocabulary of an embedded one.

    Raises:
        ConfigError: As :func:`open_tokenizer`.
    """
    if name not in EMBEDDED:
        return open_tokenizer(name).identity
    if not any(map(find_spec, _PACKAGES)):
        raise _no_vocabulary(name)
    return name


class Characters:
    """Each character is a token."""

    identity = CHARACTERS

    def count(self, text: str) -> int:
        """Return the number of characters."""
        return len(text)

    def cut(self, text: str, limit: int) -> Cut:
        """Return the first ``limit`` characters."""
        kept = text[:limit]
        return Cut(kept, len(kept))


class BytePairs:
    """A vocabulary that comes inside a package."""

    def __init__(self, identity: str, bpe: Any) -> None:  # noqa: ANN401  a class of one of two packages
        self.identity = identity
        self._bpe = bpe

    def count(self, text: str) -> int:
        """Return the number of tokens."""
        return int(self._bpe.count(text))

    def cut(self, text: str, limit: int) -> Cut:
        """Return the beginning of a text; see :class:`Tokenizer`."""
        if len(text) <= limit * _WINDOW and (count := self._bpe.count_till_limit(text, limit)) is not None:
            return Cut(text, count)
        window, tokens = _window(text, limit, self._bpe.encode)
        return Cut(text, len(tokens)) if len(tokens) <= limit else self._kept(window, tokens, limit)

    def _kept(self, window: str, tokens: list[int], limit: int) -> Cut:
        """Give up tokens until no character is split: three at most, since a token is a byte at least."""
        while (text := self._decoded(tokens[:limit])) is None:
            limit -= 1
        return Cut(window[: len(text)], limit)

    def _decoded(self, tokens: list[int]) -> str | None:
        try:
            text: str | None = self._bpe.decode(tokens)
        except ValueError:  # how the other package says that it is no text
            return None
        return text


class FromFile:
    """A model's own ``tokenizer.json``; special tokens that it puts around a text are not counted."""

    def __init__(self, identity: str, tokenizer: Any) -> None:  # noqa: ANN401  the library is optional
        self.identity = identity
        self._tokenizer = tokenizer
        tokenizer.no_truncation()
        tokenizer.no_padding()

    def count(self, text: str) -> int:
        """Return the number of tokens."""
        return len(self._offsets(text))

    def cut(self, text: str, limit: int) -> Cut:
        """Return the beginning of a text; see :class:`Tokenizer`."""
        window, offsets = _window(text, limit, self._offsets)
        if len(offsets) <= limit:
            return Cut(text, len(offsets))
        while limit and offsets[limit - 1][1] > offsets[limit][0]:  # both hold a part of one character
            limit -= 1
        return Cut(window[: offsets[limit - 1][1] if limit else 0], limit)

    def _offsets(self, text: str) -> list[tuple[int, int]]:
        text.encode()  # a lone surrogate: an error of the standard library, as everywhere
        offsets: list[tuple[int, int]] = self._tokenizer.encode(text, add_special_tokens=False).offsets
        return offsets


def _window(text: str, limit: int, tokenize: Callable[[str], list[Any]]) -> tuple[str, list[Any]]:
    """Return a beginning of the text that holds more than ``limit`` tokens, or the whole, and its tokens."""
    size = max(limit, 1) * _WINDOW
    tokens = tokenize(text[:size])
    while len(tokens) <= limit + _MARGIN and size < len(text):
        size *= 2
        tokens = tokenize(text[:size])
    return text[:size], tokens


@cache
def _embedded(name: str) -> BytePairs:
    """Return a vocabulary from whichever of the two packages is installed; importing one maps 48 MB or more."""
    for load in (rs_bpe, bpe_openai):
        try:
            return BytePairs(name, load(EMBEDDED[name]))
        except ImportError:
            continue
    raise _no_vocabulary(name)


def _no_vocabulary(name: str) -> ConfigError:
    return ConfigError(f"no package holds the vocabulary {name}", hint="Reinstall ModelCall, or install rs-bpe.")


def rs_bpe(vocabulary: str) -> Any:  # noqa: ANN401  as in BytePairs
    """Return a vocabulary from the package ``rs-bpe``."""
    return getattr(import_module("rs_bpe.bpe").openai, vocabulary)()


def bpe_openai(vocabulary: str) -> Any:  # noqa: ANN401  as in BytePairs
    """Return a vocabulary from the package ``bpe-openai``, past its Python layer, which refuses long texts."""
    return import_module("bpe_openai._bindings").tokenizer_for_encoding(vocabulary)


@lru_cache(maxsize=4)
def _from_file(path: str) -> FromFile:
    try:
        content = Path(path).read_bytes()
        loaded = import_module("tokenizers").Tokenizer.from_buffer(content)
    except OSError as error:
        raise ConfigError(f"{path}: the tokenizer cannot be read: {error.strerror or error}") from error
    except ImportError as error:
        raise ConfigError(
            "the tokenizers library is not installed", hint="pip install 'modelcall[tokenizers]', or use o200k"
        ) from error
    except Exception as error:
        raise ConfigError(f"{path}: the tokenizers library cannot read it: {error}") from error
    return FromFile(f"sha256:{hashlib.sha256(content).hexdigest()}", loaded)
