"""The contract of preprocessors as a test suite: subclass it beside your preprocessor and run pytest.

::

    from modelcall.data_processing.contract import PreprocessorContract

    class TestMyPreprocessor(PreprocessorContract):
        preprocessor = MyPreprocessor
        options = {"least": 3}
        items = [{"title": "A", "body": "a body"}, {"title": "B", "body": ""}]
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import orjson
import pyarrow.parquet as pq

from modelcall.config.preprocess import PreprocessConfig
from modelcall.data_processing.base import BasePreprocessor
from modelcall.data_processing.file import Work, process_file
from modelcall.data_processing.report import FileJob
from modelcall.fs.local import LocalFileSystem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from modelcall.data_processing.report import FileReport
    from modelcall.types import Row

_NAME = "items.jsonl"
_OUTPUT = "items.parquet"


class PreprocessorContract:
    """What every preprocessor must hold to. Give your class, its options, and rows it must be able to take."""

    preprocessor: ClassVar[type[BasePreprocessor]] = BasePreprocessor
    options: ClassVar[Mapping[str, Any]] = {}
    items: ClassVar[Sequence[Row]] = ({"text": "A plain document."}, {"text": ""}, {"text": "混合 text"})

    def test_is_a_preprocessor(self) -> None:
        """It is a subclass of BasePreprocessor."""
        _expect(issubclass(self.preprocessor, BasePreprocessor), "it is no subclass of BasePreprocessor")

    def test_takes_every_item_and_counts_balance(self) -> None:
        """Each row comes out or is counted as dropped, and what it became can be held by a column."""
        with self._made() as (report, _):
            dropped = sum(report.dropped.values())
            _expect(report.rows_in == len(self.items), f"{report.rows_in} of {len(self.items)} rows were read")
            _expect(report.rows_out + dropped == report.rows_in, f"{report.rows_out} rows and {dropped} dropped ones")

    def test_gives_what_every_row_has(self) -> None:
        """The result has an id, a text and a source for each row, and ids differ."""
        with self._made() as (report, path):
            table = pq.read_table(path)
            missing = [name for name in ("id", "text", "source") if name not in table.column_names]
            _expect(not missing, f"the result has no {', '.join(missing)}; complete() adds them")
            _expect(len(set(table.column("id").to_pylist())) == report.rows_out, "ids are not unique")

    def test_gives_the_same_again(self) -> None:
        """Whichever process a file comes to, and how often, it becomes the same file."""
        with self._made() as (_, first), self._made() as (_, second):
            _expect(first.read_bytes() == second.read_bytes(), "a second run of the same rows gave another file")

    def test_rows_do_not_depend_on_those_before_them(self) -> None:
        """The last row alone becomes what it becomes behind the others, but for its id."""
        with self._made() as (_, path), self._made(self.items[-1:]) as (report, alone):
            if report.rows_out:
                last, only = (pq.read_table(each).to_pylist()[-1] for each in (path, alone))
                differing = [name for name in only if name != "id" and only[name] != last.get(name)]
                _expect(not differing, f"the last row alone has another {', '.join(differing)}")

    @contextmanager
    def _made(self, items: Sequence[Row] | None = None) -> Iterator[tuple[FileReport, Path]]:
        with tempfile.TemporaryDirectory(prefix="modelcall-") as folder:
            raw = Path(folder, _NAME)
            raw.write_bytes(b"".join(orjson.dumps(item) + b"\n" for item in (self.items if items is None else items)))
            report = process_file(_job(raw), self._work(folder))
            _expect(report.failure is None, f"it fails: {report.failure}")
            yield report, Path(folder, "out", _OUTPUT)

    def _work(self, folder: str) -> Work:
        config = PreprocessConfig(options=dict(self.options))
        fs = LocalFileSystem()
        return Work(
            lambda: self.preprocessor(folder, f"{folder}/out", f"{folder}/stat", config=config),
            inputs=fs,
            outputs=fs,
            folder=f"{folder}/out",
            settings={},
        )


def _job(path: Path) -> FileJob:
    stat = LocalFileSystem().stat(str(path))
    return FileJob(_NAME, str(path), stat.fingerprint, stat.size, _OUTPUT)


def _expect(condition: bool, message: str) -> None:  # noqa: FBT001  reads as an assertion
    if not condition:
        raise AssertionError(message)
