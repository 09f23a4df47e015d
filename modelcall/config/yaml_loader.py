"""YAML files: safe, with the line of every value, and with limits against hostile or broken files."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Final

import yaml

from modelcall.config.document import Document, KeyPath, Place, dotted
from modelcall.config.scalars import ODD_TEXT, plain_value
from modelcall.errors import ConfigError, Mistake

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_FILE_BYTES: Final = 512 * 1024
MAX_NODES: Final = 50_000
"""Values after all aliases are followed: nine aliases of nine aliases of … end here."""
MAX_DEPTH: Final = 64

_PLAIN: Final = "!plain"
"""Our tag for scalars that stand unquoted and without a tag."""

_CORE_TAGS: Final = {
    _PLAIN,
    "tag:yaml.org,2002:str",
    "tag:yaml.org,2002:null",
    "tag:yaml.org,2002:bool",
    "tag:yaml.org,2002:int",
    "tag:yaml.org,2002:float",
    "tag:yaml.org,2002:seq",
    "tag:yaml.org,2002:map",
}


_TIPS: Final = {
    "'\\t'": "indent with spaces, not with a tab",
    "mapping values are not allowed": "put a text that holds `: ` in quotes",
    "but got '{'": "put a text that holds braces in quotes",
    "but got '['": "put a text that holds brackets in quotes",
    "expected ',' or": "a { or [ before it is not closed",
    "expected <block end>": "check the indentation",
    "another document": "a file holds one document, without `---` in between",
}
"""What to do, by words of the parser's problem: it has no codes."""


class _Composer(yaml.SafeLoader):
    """Composes nodes only; scalars keep their text, their meaning is :mod:`modelcall.config.scalars`'s matter."""

    yaml_implicit_resolvers: ClassVar[dict[str | None, list[tuple[str, re.Pattern[str]]]]] = {  # type: ignore[misc]
        None: [(_PLAIN, re.compile(""))]
    }


def load_document(path: Path, *, shown: str | None = None) -> Document:
    """Read a YAML file whose top is a mapping.

    Args:
        path: The file.
        shown: How mistakes name it.

    Raises:
        ConfigError: It cannot be read or is no such file. What can be read around is in ``slips``.
    """
    shown = shown or str(path)
    return parse_document(_read(path, shown), shown=shown)


def parse_document(text: str, *, shown: str) -> Document:
    """Parse YAML text whose top is a mapping; see :func:`load_document`."""
    node = _compose(text, shown)
    if node is None:
        raise _refusal(shown, "the file is empty; it must hold a block of keys")
    if not isinstance(node, yaml.MappingNode):
        raise _refusal(f"{shown}:{_line(node)}", "the file must hold a block of `key: value` lines at its top")
    return _build(node, shown)


def parse_value(text: str, *, shown: str) -> Any:  # noqa: ANN401  any YAML value
    """Parse the YAML value of one ``--set KEY=VALUE``."""
    node = _compose(text, shown)
    if node is None:
        return None
    reader = _Reader(shown)
    value = reader.value(node, ())
    if reader.mistakes:
        raise ConfigError(f"{shown} cannot be read", mistakes=reader.mistakes)
    return value


def _read(path: Path, shown: str) -> str:
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise _refusal(shown, f"cannot be read: {error.strerror or error}") from error
    if len(raw) > MAX_FILE_BYTES:
        raise _refusal(shown, f"is larger than {MAX_FILE_BYTES // 1024} KiB, too large for a configuration file")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _refusal(
            f"{shown}:{line}", f"is not UTF-8 text (byte 0x{raw[error.start]:02x}); save it as UTF-8"
        ) from error


def _compose(text: str, shown: str) -> yaml.Node | None:
    try:
        loader = _Composer(text)
        try:
            return loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise _syntax_refusal(error, shown) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _refusal(f"{shown}:{line}", f"holds the control character {error.character!r}") from error
    except RecursionError:
        raise _refusal(shown, f"is nested deeper than {MAX_DEPTH} levels") from None


def _syntax_refusal(error: yaml.MarkedYAMLError, shown: str) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    problem = error.problem or error.context or ""
    tips = (tip for sign, tip in _TIPS.items() if sign in problem)
    message = "; ".join((f"is not valid YAML: {problem}", *islice(tips, 1)))
    return _refusal(f"{shown}:{mark.line + 1}" if mark else shown, message)


def _build(node: yaml.MappingNode, shown: str) -> Document:
    reader = _Reader(shown)
    reader.places[()] = Place(shown, ())
    data = reader.value(node, ())
    return Document(data, reader.places, reader.odd_text, tuple(reader.mistakes))


def _refusal(where: str, message: str) -> ConfigError:
    return ConfigError(f"{where}: {message}", mistakes=[Mistake(message, where=where)])


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


@dataclass(slots=True)
class _Reader:
    """Turns nodes into data; collects places and mistakes."""

    shown: str
    places: dict[KeyPath, Place] = field(default_factory=dict)
    odd_text: dict[KeyPath, str] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    nodes: int = 0

    def value(self, node: yaml.Node, path: KeyPath) -> Any:  # noqa: ANN401  any YAML value
        self._count(node, path)
        if path not in self.places:
            self._place(node, path)
        if not isinstance(node, yaml.ScalarNode) or node.tag not in _CORE_TAGS:
            return self._collection(node, path)
        return self._scalar(node, path)

    def _count(self, node: yaml.Node, path: KeyPath) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise _refusal(
                f"{self.shown}:{_line(node)}", f"holds more than {MAX_NODES} values once aliases are followed"
            )
        if len(path) > MAX_DEPTH:
            raise _refusal(
                f"{self.shown}:{_line(node)}", f"is nested deeper than {MAX_DEPTH} levels, or an alias holds itself"
            )

    def _place(self, node: yaml.Node, path: KeyPath) -> None:
        self.places[path] = Place(f"{self.shown}:{_line(node)}", path)

    def _complain(self, node: yaml.Node, path: KeyPath, message: str) -> None:
        self.mistakes.append(Mistake(message, where=f"{self.shown}:{_line(node)}", path=dotted(path)))

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> str | int | float | bool | None:
        text = str(node.value)
        if node.style is not None or node.tag == "tag:yaml.org,2002:str":
            return text
        if text.lower() in ODD_TEXT:
            self.odd_text[path] = text
        return plain_value(text)

    def _collection(self, node: yaml.Node, path: KeyPath) -> Any:  # noqa: ANN401  any YAML value
        if isinstance(node, yaml.SequenceNode) and node.tag in _CORE_TAGS:
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode) and node.tag in _CORE_TAGS:
            return self._mapping(node, path)
        self._complain(node, path, f"the YAML tag {node.tag!r} is not allowed; write plain values")
        return None

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        values = self._merged(node, path)
        seen: dict[str, int] = {}
        for key_node, value_node in node.value:
            if _is_merge(key_node):
                continue
            key = self._key(key_node, path)
            if key is None:
                continue
            if key in seen:
                self._complain(key_node, (*path, key), f"is written twice; the first is on line {seen[key]}")
                continue
            seen[key] = _line(key_node)
            self._forget((*path, key))
            self._place(key_node, (*path, key))
            values[key] = self.value(value_node, (*path, key))
        return values

    def _merged(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        """Values that ``<<: *anchor`` brings in; keys written beside it replace them."""
        values: dict[str, Any] = {}
        for source in _merge_sources(node):
            if isinstance(source, yaml.MappingNode):
                values = {**self.value(source, path), **values}
            else:
                self._complain(source, path, "`<<` takes a block or a list of blocks")
        return values

    def _forget(self, path: KeyPath) -> None:
        if path in self.places:
            for table in (self.places, self.odd_text):
                for known in [known for known in table if known[: len(path)] == path]:
                    del table[known]

    def _key(self, node: yaml.Node, path: KeyPath) -> str | None:
        if isinstance(node, yaml.ScalarNode) and node.tag in _CORE_TAGS:
            text = str(node.value)
            if node.style is not None or isinstance(plain_value(text), str):
                return text
            self._complain(node, path, f"the key `{text}` is no text; put it in quotes")
        else:
            self._complain(node, path, "a key must be text")
        return None


def _is_merge(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.value == "<<" and node.style is None


def _merge_sources(node: yaml.MappingNode) -> Iterator[yaml.Node]:
    for key_node, value_node in node.value:
        if _is_merge(key_node):
            yield from value_node.value if isinstance(value_node, yaml.SequenceNode) else (value_node,)
