"""What the benchmarks of whole runs score: rows of real Python source, asked about in one way by everybody."""

from __future__ import annotations

import json
import os
import platform
import sysconfig
from contextlib import suppress
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SYSTEM = "You are a rater"
PROMPT = "Rate:\n{text}"
PARAMETERS = {"temperature": 0.6, "max_tokens": 512}
SCORE = 4
"""What the instant server answers."""
_KEYS = ("score", "quality_tags", "main_languages", "recommended_use_case")
_DEFAULTS = {"score": 0, "quality_tags": [], "main_languages": [], "recommended_use_case": ""}
_GROUP = 10_000


def pieces(chars: int) -> Iterator[str]:
    """Yield the standard library's Python source in pieces of so many characters."""
    folder = Path(sysconfig.get_path("stdlib"))
    for path in sorted(folder.rglob("*.py")):
        if "site-packages" in path.parts:
            continue
        with suppress(UnicodeDecodeError):  # some test how bad source is read
            source = path.read_text(encoding="utf-8")
            yield from (source[at : at + chars] for at in range(0, len(source) - chars + 1, chars))


def rows_of(rows: int, chars: int) -> Iterator[dict[str, Any]]:
    """Yield rows, no two texts equal."""
    for number, text in enumerate(islice(cycle(pieces(chars)), rows)):
        mark = f"# {number}\n"
        yield {"id": number, "text": (mark + text)[: max(chars, len(mark))]}


def write_input(path: Path, rows: int, chars: int) -> None:
    """Write a file of rows, Parquet or JSON Lines by its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        coming = rows_of(rows, chars)
        with pq.ParquetWriter(path, pa.schema([("id", pa.int64()), ("text", pa.string())])) as writer:
            while some := list(islice(coming, _GROUP)):
                writer.write_table(pa.Table.from_pylist(some))
    else:
        with path.open("w", encoding="utf-8") as out:
            out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows_of(rows, chars))


def write_task(
    folder: Path,
    *,
    inputs: Path,
    base_url: str,
    in_flight: int,
    lane: str = "aiohttp",
    headers: Mapping[str, str] | None = None,
) -> Path:
    """Write a task into a folder; its output comes into ``out`` there."""
    folder.mkdir(parents=True, exist_ok=True)
    model = {"provider": "bench", "model_name": "instant", "base_url": base_url, "completions_params": PARAMETERS}
    task = {
        "task_name": "bench",
        "data": {"input_folder": str(inputs), "output_folder": str(folder / "out")},
        "model": {**model, "client": lane, "headers": dict(headers or {})},
        "prompt": {
            "prompt_template": {"system_text": SYSTEM, "prompt_text": PROMPT},
            "output_config": {"json_keys": list(_KEYS), "json_default_values": _DEFAULTS},
        },
        "concurrency": {"max_concurrent_requests": in_flight},
    }
    path = folder / "task.yaml"
    path.write_text(yaml.safe_dump(task))
    return path


def results(folder: Path) -> Iterator[tuple[int, Any]]:
    """Yield id and score of each row of the files of a folder; None where a row has no score."""
    for path in sorted(folder.rglob("*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(columns=["id", "score"]):
            yield from zip(batch["id"].to_pylist(), batch["score"].to_pylist(), strict=True)
    for path in sorted(folder.rglob("*.jsonl")):
        with path.open(encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                yield int(row["id"]), row.get("score")


def problem(folder: Path, rows: int) -> str | None:
    """Return what is wrong with the output of a run over so many rows: each must be there once, with its score."""
    seen = bytearray(rows)
    wrong = 0
    for number, score in results(folder):
        if not 0 <= number < rows or seen[number]:
            return f"row {number} came out, and was not in, or came out before"
        seen[number] = 1
        wrong += score != SCORE
    if missing := seen.count(0):
        return f"{missing:,} of {rows:,} rows did not come out"
    return f"{wrong:,} of {rows:,} rows have no score, or another one" if wrong else None


def machine() -> str:
    """Return what numbers depend on, in a few words."""
    return f"Python {platform.python_version()}, {len(os.sched_getaffinity(0))} cores"
