"""Makes a corpus of real source code as it comes from GitHub dumps, out of the source trees of this machine.

usage: code_corpus.py FOLDER [--files 20000] [--shards 10] [--tree PATH ...] [--gigabytes 0]

Rows are files of the Python standard library, of installed packages, and of the C headers, with the columns
``repo_name``, ``path``, ``content`` and ``size``; half of the shards are JSONL.gz, half Parquet. ``--gigabytes`` makes
one Parquet file of at least that many bytes instead, the same rows again and again, no two texts equal.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import site
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SUFFIXES: Final = frozenset(
    {
        ".py",
        ".pyi",
        ".pyx",
        ".c",
        ".h",
        ".cc",
        ".cpp",
        ".hpp",
        ".js",
        ".ts",
        ".css",
        ".sh",
        ".json",
        ".toml",
        ".md",
        ".txt",
    }
)
_MOST_BYTES: Final = 1 << 20
_BATCH: Final = 500


def trees() -> list[Path]:
    """Return the source trees that machines have."""
    return [Path(sysconfig.get_path("stdlib")), *map(Path, site.getsitepackages()), Path("/usr/include")]


def sources(folders: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Yield the files that hold text, as rows."""
    for folder in dict.fromkeys(folders):
        for path in sorted(folder.rglob("*")):
            if path.suffix not in _SUFFIXES or not path.is_file() or path.stat().st_size > _MOST_BYTES:
                continue
            try:
                content = path.read_text(encoding="utf-8")
            except (UnicodeDecodeError, OSError):
                continue
            name = path.relative_to(folder).as_posix()
            yield {"repo_name": folder.name, "path": name, "content": content, "size": len(content)}


def write_shards(folder: Path, rows: list[dict[str, Any]], shards: int) -> None:
    """Deal rows out to files of both formats."""
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(shards):
        part = rows[shard::shards]
        if shard % 2:
            pq.write_table(pa.Table.from_pylist(part), folder / f"shard_{shard:03d}.parquet", row_group_size=_BATCH)
        else:
            with gzip.open(folder / f"shard_{shard:03d}.jsonl.gz", "wt", encoding="utf-8", compresslevel=1) as stream:
                stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in part)


def write_large(path: Path, rows: list[dict[str, Any]], size: int) -> None:
    """Write one file of at least ``size`` bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = pa.Table.from_pylist(rows[:1]).schema
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for number, first in enumerate(itertools.cycle(range(0, len(rows), _BATCH))):
            part = [{**row, "content": f"# {number}\n{row['content']}"} for row in rows[first : first + _BATCH]]
            writer.write_table(pa.Table.from_pylist(part, schema))
            if path.stat().st_size >= size:
                return


def main() -> int:
    """Make the corpus that the arguments describe."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--shards", type=int, default=10)
    parser.add_argument("--tree", type=Path, action="append", default=[])
    parser.add_argument("--gigabytes", type=float, default=0)
    wanted = parser.parse_args()
    rows = list(itertools.islice(sources([*trees(), *wanted.tree]), wanted.files))
    if len(rows) < wanted.files:
        print(f"only {len(rows)} files on this machine; add --tree PATH")
    if wanted.gigabytes:
        write_large(wanted.folder / "large.parquet", rows, int(wanted.gigabytes * 1e9))
    else:
        write_shards(wanted.folder, rows, wanted.shards)
    print(f"{len(rows)} files, {sum(row['size'] for row in rows) / 1e6:.0f} million characters")
    return 0 if len(rows) >= wanted.files else 1


if __name__ == "__main__":
    raise SystemExit(main())
