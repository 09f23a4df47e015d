"""Which format and compression a file has: by the suffix of its name, checked against its first bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

from modelcall.errors import ConfigError, FileFailure

if TYPE_CHECKING:
    from collections.abc import Mapping

Format: TypeAlias = Literal["jsonl", "parquet"]
Compression: TypeAlias = Literal["gzip", "zstd"]
Value = TypeVar("Value")

_FORMATS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_COMPRESSIONS: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd"}
_SUFFIXES: dict[Format, str] = {"jsonl": ".jsonl", "parquet": ".parquet"}

_MAGIC = (
    (b"PAR1", "Parquet"),
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
)
MAGIC_BYTES = max(len(magic) for magic, _ in _MAGIC)
"""How many of a file's first bytes tell what it is."""


@dataclass(frozen=True, slots=True)
class FileType:
    """What a file's name says of its content."""

    format: Format
    compression: Compression | None
    stem: str
    """The name without its data and compression suffixes."""


def file_type(name: str) -> FileType:
    """Read format and compression from a name, upper or lower case.

    Raises:
        ConfigError: The name has no suffix of a data file.
    """
    stem, compression = _cut(name, _COMPRESSIONS)
    stem, data_format = _cut(stem, _FORMATS)
    if data_format is None:
        raise ConfigError(
            f"{name}: no data file by its name",
            hint=f"Names end in {', '.join(_FORMATS)}; JSON Lines also with {' or '.join(_COMPRESSIONS)} after it.",
        )
    if data_format == "parquet" and compression:
        raise ConfigError(
            f"{name}: a Parquet file cannot be read through {compression}",
            hint="Unpack it: Parquet compresses its columns itself.",
        )
    return FileType(data_format, compression, stem)


def is_data_file(name: str) -> bool:
    """Whether a listing should take this name for a data file."""
    stem, _ = _cut(name, _COMPRESSIONS)
    return _cut(stem, _FORMATS)[1] is not None


def output_name(name: str, output: Literal["jsonl", "parquet", "same"] = "parquet") -> str:
    """Name of the output file of an input file: ``x/a.jsonl.gz`` becomes ``x/a.parquet`` or ``x/a.jsonl``.

    Raises:
        ConfigError: As :func:`file_type`.
    """
    kind = file_type(name)
    return kind.stem + _SUFFIXES[kind.format if output == "same" else output]


def content_of(head: bytes) -> str | None:
    """Name what a file's first bytes (:data:`MAGIC_BYTES` of them) give away: ``Parquet``, ``gzip``, …; else None."""
    return next((content for magic, content in _MAGIC if head.startswith(magic)), None)


def compression_of(head: bytes, *, name: str) -> Compression | None:
    """How a JSON Lines file is compressed: its first bytes decide, and must bear out a ``.gz`` or ``.zst`` of its name.

    Raises:
        FileFailure: The content is neither text nor gzip nor zstd, or not what the name promises.
    """
    content, promised = content_of(head), file_type(name).compression
    found = next((kind for kind in _COMPRESSIONS.values() if kind == content), None)
    if found:
        return found
    if promised:
        raise FileFailure(
            f"{name}: named as {promised}, but its content is {content or ('not' if head else 'empty')}",
            hint="The file is damaged, or was unpacked without losing its suffix; rename it then.",
        )
    refuse_content(content, name=name, expected="JSON Lines")
    return None


def refuse_content(content: str | None, *, name: str, expected: str) -> None:
    """Refuse a content that gave itself away as something else.

    Raises:
        FileFailure: ``content`` is not None.
    """
    if content:
        raise FileFailure(
            f"{name}: named as {expected}, but its content is {content}",
            hint="Give the file the suffix of its content, or convert it.",
        )


def _cut(name: str, suffixes: Mapping[str, Value]) -> tuple[str, Value | None]:
    lower = name.lower()
    for suffix, value in suffixes.items():
        if lower.endswith(suffix):
            return name[: -len(suffix)], value
    return name, None
