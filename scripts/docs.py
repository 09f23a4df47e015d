"""Writes the generated parts of the documentation anew: ``python scripts/docs.py``; ``--check`` only compares.

A part stands between ``<!-- generated: NAME -->`` and ``<!-- end generated -->``; NAME is a key of :data:`PARTS`.
"""

from __future__ import annotations

import json
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from typer.main import get_command
from typer.testing import CliRunner

from modelcall.cli.main import COMMANDS, app
from modelcall.config.schemas import KINDS
from modelcall.config.unsupported import UNSUPPORTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from modelcall.config.unsupported import Unsupported

ROOT: Final = Path(__file__).parents[1]
DOCUMENTS: Final = ("README.md", "README.zh-CN.md", "docs/reference.md")
_PART: Final = re.compile(r"(<!-- generated: ([a-z.-]+) -->\n).*?(<!-- end generated -->)", re.DOTALL)
_COLUMNS: Final = 100
"""Width of a terminal for ``--help``, so that the text does not depend on the one it is written from."""

CHINESE: Final = {
    "other engines": "其他执行引擎",
    "other ways to share files": "其他文件划分方式",
    "write local": "写 local",
    "write bytes": "写 bytes",
}
"""What the list of unsupported values says, in Chinese."""


def _unsupported(header: tuple[str, str, str], words: Callable[[str], str]) -> str:
    keys: dict[tuple[str, str], list[str]] = {}
    for entry in UNSUPPORTED:
        keys.setdefault((entry.what, entry.instead), []).append(f"`{entry.key}`")
    rows = [(words(what), ", ".join(names), words(instead)) for (what, instead), names in keys.items()]
    return _table(header, rows)


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |\n" for line in lines)


def _keys(kind: str) -> str:
    """Tables of all keys of a kind of file: one for the file itself, one for each block."""
    whole = KINDS[kind].model_json_schema(mode="validation")
    return "\n".join(_block(whole, whole["$defs"], path=(), kind=kind))


def _block(block: Mapping[str, Any], blocks: Mapping[str, Any], *, path: tuple[str, ...], kind: str) -> Iterator[str]:
    inner = {name: _blocks_in(value, blocks) for name, value in block["properties"].items()}
    plain = [name for name, found in inner.items() if not found or _takes_more(block["properties"][name])]
    if path:
        yield f"**`{'.'.join(path)}`**: {_description(block)}\n"
    if plain:
        yield _table(
            ("Key", "Value", "Default", "Meaning"), [_row(block, name, path=path, kind=kind) for name in plain]
        )
    for name, found in inner.items():
        for definition in found:
            yield from _block(definition, blocks, path=(*path, name), kind=kind)


def _blocks_in(value: Mapping[str, Any], blocks: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Blocks of keys that a value may be; those of a mapping's values stand under the mapping."""
    choices = [value, *value.get("anyOf", ()), *value.get("oneOf", ())]
    found = [blocks[choice["$ref"].rpartition("/")[2]] for choice in choices if "$ref" in choice]
    values = value.get("additionalProperties")
    return found + (_blocks_in(values, blocks) if isinstance(values, dict) else [])


def _takes_more(value: Mapping[str, Any]) -> bool:
    """Whether a value may be something else than one block, so that the key needs a row of its own."""
    choices = [choice for choice in value.get("anyOf", (value,)) if choice.get("type") != "null"]
    return any("$ref" not in choice for choice in choices)


def _row(block: Mapping[str, Any], name: str, *, path: tuple[str, ...], kind: str) -> tuple[str, ...]:
    value = block["properties"][name]
    default = "required" if name in block.get("required", ()) else _default(value.get("default"))
    meaning = _description(value)
    limits = _limits().get(".".join((*path, name))) if kind == "task" else None
    if limits is not None:
        meaning += f" *Not in this version: {limits.what}.*"
    return f"`{name}`", _type(value), default, meaning


def _limits() -> dict[str, Unsupported]:
    return {entry.key: entry for entry in UNSUPPORTED}


def _description(value: Mapping[str, Any]) -> str:
    return " ".join(value["description"].split()).replace("*", r"\*")


def _default(value: object) -> str:
    """A block's defaults stand in its own table."""
    if value is None or isinstance(value, dict | list):
        return ""
    return f"`{value:g}`" if isinstance(value, float) else f"`{json.dumps(value, ensure_ascii=False)}`"


def _type(value: Mapping[str, Any]) -> str:
    """What a user writes, in words, from a value's JSON Schema."""
    if choices := value.get("anyOf") or value.get("oneOf"):
        if any("ms|s|m|h|d" in choice.get("pattern", "") for choice in choices):
            return "time"
        return " or ".join(dict.fromkeys(_type(choice) for choice in choices if choice.get("type") != "null"))
    if "$ref" in value:
        return "block"
    if "enum" in value or "const" in value:
        return ", ".join(f"`{choice}`" for choice in value.get("enum", [value.get("const")]))
    return _SIMPLE.get(value.get("type", ""), _any)(value)


def _any(value: Mapping[str, Any]) -> str:
    del value
    return "any value"


def _bounded(word: str) -> Callable[[Mapping[str, Any]], str]:
    def words(value: Mapping[str, Any]) -> str:
        if "not" in value:  # a count, or -1 for no limit
            return f"{word} from 1, or -1"
        words_of = (("from", "minimum"), ("above", "exclusiveMinimum"), ("to", "maximum"))
        return " ".join([word, *(f"{name} {value[key]:g}" for name, key in words_of if key in value)])

    return words


def _list(value: Mapping[str, Any]) -> str:
    return f"list of {_type(value.get('items', {}))}"


def _mapping(value: Mapping[str, Any]) -> str:
    values = value.get("additionalProperties")
    return f"mapping to {_type(values)}" if isinstance(values, dict) else "mapping"


_SIMPLE: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "boolean": lambda _: "true or false",
    "string": lambda _: "text",
    "integer": _bounded("whole number"),
    "number": _bounded("number"),
    "array": _list,
    "object": _mapping,
}


def _commands() -> str:
    """Return ``--help`` of every command, as it is printed."""
    runner = CliRunner(env={"COLUMNS": str(_COLUMNS), "TERMINAL_WIDTH": str(_COLUMNS)})
    texts = []
    for words in _command_names():
        name = " ".join(words)
        shown = runner.invoke(app, [*words, "--help"], prog_name="modelcall")
        if shown.exit_code != 0:
            raise RuntimeError(f"modelcall {name} --help fails: {shown.output}")
        texts.append(f"### modelcall {name}\n\n```text\n{shown.output.strip()}\n```\n")
    return "\n".join(texts)


def _command_names() -> Iterator[list[str]]:
    """Yield every command, each followed by those below it."""
    for name in COMMANDS:
        yield [name]
        module = import_module(f"modelcall.cli.{name.replace('-', '_')}")
        yield from ([name, below] for below in getattr(get_command(module.app), "commands", {}))


PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "unsupported": lambda: _unsupported(("Not supported", "Keys", "Instead"), str),
    "unsupported.zh": lambda: _unsupported(("不支持", "配置项", "替代办法"), CHINESE.__getitem__),
    "task": lambda: _keys("task"),
    "model": lambda: _keys("model"),
    "prompt": lambda: _keys("prompt"),
    "commands": _commands,
}


def current(text: str) -> str:
    """Return a document with its generated parts as they are now."""
    return _PART.sub(lambda part: f"{part[1]}\n{PARTS[part[2]]()}\n{part[3]}", text)


def main(arguments: list[str]) -> int:
    """Write the documents; with ``--check`` only name those that are not current."""
    stale = []
    for name in DOCUMENTS:
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        new = current(text)
        if new != text:
            stale.append(name)
            if "--check" not in arguments:
                path.write_text(new, encoding="utf-8")
    if stale and "--check" in arguments:
        print(f"not current: {', '.join(stale)}; run python scripts/docs.py")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
