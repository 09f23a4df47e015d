"""A folder of raw files, and what a preprocessor makes of one."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from modelcall.config.preprocess import PreprocessConfig
from modelcall.data_processing.file import Work, process_file
from modelcall.data_processing.github_raw_code import GithubRawCode
from modelcall.data_processing.report import FileJob, FileReport
from modelcall.fs.local import LocalFileSystem

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from modelcall.data_processing.base import BasePreprocessor
    from modelcall.fs.base import FileSystem


@dataclass(slots=True)
class Made:
    """An output file."""

    report: FileReport
    path: Path

    @property
    def table(self) -> pa.Table:
        assert self.report.failure is None, self.report.failure
        return pq.read_table(self.path)

    @property
    def rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.table.to_pylist()
        return rows

    def column(self, name: str) -> list[Any]:
        values: list[Any] = self.table.column(name).to_pylist()
        return values


@dataclass(slots=True)
class Bench:
    """A folder with raw files."""

    folder: Path
    fs: FileSystem = field(default_factory=LocalFileSystem)

    def jsonl(self, rows: list[Any], name: str = "a.jsonl") -> Path:
        path = self.folder / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    def parquet(self, table: pa.Table | dict[str, Any], name: str = "a.parquet", **options: Any) -> Path:
        path = self.folder / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), path, **options)
        return path

    def job(self, path: Path) -> FileJob:
        stat = self.fs.stat(str(path))
        name = path.relative_to(self.folder / "raw").as_posix()
        return FileJob(name, str(path), stat.fingerprint, stat.size, f"{name.partition('.')[0]}.parquet")

    def work(self, kind: type[BasePreprocessor], config: dict[str, Any], stopped: Callable[[], bool]) -> Work:
        block = PreprocessConfig.model_validate(config)
        raw, out, stat = (str(self.folder / name) for name in ("raw", "out", "stat"))
        return Work(lambda: kind(raw, out, stat, config=block), self.fs, self.fs, out, {"kind": kind.__name__}, stopped)

    def make(
        self,
        path: Path,
        kind: type[BasePreprocessor] = GithubRawCode,
        *,
        stopped: Callable[[], bool] = lambda: False,
        **config: Any,
    ) -> Made:
        job = self.job(path)
        return Made(process_file(job, self.work(kind, config, stopped)), self.folder / "out" / job.output)
