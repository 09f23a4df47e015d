"""The inputs of storage.py: Parquet files of made-up words."""

from __future__ import annotations

import random
import string
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pathlib import Path

MB = 1 << 20
_TEXT_BYTES = 4000
_GROUP_ROWS = 8192
_CELL_BYTES = 250
_DOCUMENTS = pa.schema(
    [
        ("id", pa.int64()),
        ("url", pa.string()),
        ("text", pa.string()),
        ("added", pa.timestamp("us")),
        ("language", pa.string()),
    ]
)


def make_documents(path: Path, megabytes: int) -> int:
    """Write a file of about so many MB: rows of 4 KB of text on average; return the number of rows."""
    chance = random.Random(path.name)
    words = _words(chance)
    rows = 0
    with pq.ParquetWriter(path, _DOCUMENTS, compression="snappy") as writer, path.open("rb") as written:
        while written.seek(0, 2) < megabytes * MB:
            starts = [chance.randrange(len(words) - 2 * _TEXT_BYTES) for _ in range(_GROUP_ROWS)]
            columns = [
                range(rows, rows + _GROUP_ROWS),
                [f"https://example.org/{start}" for start in starts],
                [words[start : start + chance.randint(_TEXT_BYTES // 2, 3 * _TEXT_BYTES // 2)] for start in starts],
                [start * 1000 for start in starts],
                ["en"] * _GROUP_ROWS,
            ]
            writer.write_table(pa.table(columns, schema=_DOCUMENTS))
            rows += _GROUP_ROWS
    return rows


def make_wide(path: Path, megabytes: int, *, columns: int = 50) -> int:
    """Write a file of equally large columns, one of them ``text``; return the number of rows."""
    chance = random.Random(path.name)
    names = ["text", *(f"column{number:02d}" for number in range(1, columns))]
    groups = max(1, megabytes * MB // (columns * 2 * _CELL_BYTES * 2000))
    schema = pa.schema([(name, pa.string()) for name in names])
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for _ in range(groups):
            cells = [[chance.randbytes(_CELL_BYTES).hex() for _ in range(2000)] for _ in names]
            writer.write_table(pa.table(cells, schema=schema))
    return groups * 2000


def make_many(folder: Path, files: int, rows: int) -> int:
    """Write many small files; return the number of all rows."""
    for number in range(files):
        table = pa.table({"id": range(rows), "text": [f"row {row} of a small file" for row in range(rows)]})
        pq.write_table(table, folder / f"{number:05d}.parquet")
    return files * rows


def _words(chance: random.Random) -> str:
    known = ["".join(chance.choices(string.ascii_lowercase, k=chance.randint(2, 9))) for _ in range(20_000)]
    return " ".join(chance.choices(known, k=2 * MB))
