"""A real input: the source of the Python that runs this, cut into documents, as Parquet and JSON Lines files."""

from __future__ import annotations

import gzip
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from modelcall.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LINES: Final = 150
"""A longer module becomes several documents."""
_CHARS: Final = 8000
_NAMES: Final = (
    "python_00.parquet",
    "python_01.parquet",
    "python_02.parquet",
    "python_03.jsonl",
    "python_04.jsonl",
    "python_05.jsonl.gz",
)


def build_corpus(folder: Path, *, rows: int) -> int:
    """Write the input files; return how many rows they have together.

    Raises:
        ConfigError: This Python has no source to read, or the folder cannot be written.
    """
    whole = list(_documents(Path(sysconfig.get_path("stdlib"))))
    rows = min(rows, len(whole))
    documents = [whole[number * len(whole) // rows] for number in range(rows)]
    if not documents:
        raise ConfigError(
            "this Python comes without the source of its standard library, which the demo scores",
            hint="score files of your own: modelcall pipeline IN OUT",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        share = -(-len(documents) // len(_NAMES))
        for number, name in enumerate(_NAMES):
            _write(folder / name, documents[number * share : (number + 1) * share])
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written: {error.strerror}", hint="choose another --folder") from error
    return len(documents)


def _documents(library: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(library.rglob("*.py")):
        if "site-packages" in path.parts:
            continue
        try:
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        except (OSError, UnicodeDecodeError):
            continue  # test data of the library, broken on purpose
        for start in range(0, len(lines), _LINES):
            text = "".join(lines[start : start + _LINES])[:_CHARS]
            name = path.relative_to(library).as_posix()
            yield {"id": f"{name}:{start + 1}", "path": name, "first_line": start + 1, "text": text}


def _write(path: Path, documents: Sequence[dict[str, Any]]) -> None:
    if path.suffix == ".parquet":
        schema = pa.schema(
            [("id", pa.string()), ("path", pa.string()), ("first_line", pa.int32()), ("text", pa.string())]
        )
        pq.write_table(pa.Table.from_pylist(list(documents), schema=schema), path)
        return
    data = b"".join(orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE) for document in documents)
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
