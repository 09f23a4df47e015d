"""Raw code as it is dumped from GitHub: files of repositories, one a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from modelcall.data_processing.base import BasePreprocessor
from modelcall.data_processing.columns import filled
from modelcall.data_processing.texts import TEXT, as_texts, as_words
from modelcall.language import code_language, path_language

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

_PATHS = ("path", "file_path", "filepath", "max_stars_repo_path", "file_name", "filename")
"""Columns with the name of a row's file, by the first of which it is known."""
_SAMPLE_CHARS = 4000
"""Of a text whose name does not tell its language: as many as cost less than cutting it."""


class GithubRawCode(BasePreprocessor):
    """Adds the programming language: by the file's name, else guessed from the code; ``other`` if neither tells."""

    source: ClassVar[str] = "github_raw_code"

    def process_batch(self, batch: pa.RecordBatch, numbers: Sequence[int]) -> pa.RecordBatch:
        """Return the rows of a batch with what every row has, and its language."""
        done = self.complete(self.rows(batch, numbers))
        return filled(done, "language", lambda: self._languages(done))

    def _languages(self, batch: pa.RecordBatch) -> list[str]:
        texts = as_texts(batch.column(TEXT), name=TEXT, is_json=False)
        column = next((name for name in _PATHS if name in batch.schema.names), None)
        if column is None:
            paths: Sequence[str | None] = [None] * len(texts)
        else:
            paths = as_words(batch.column(column), is_json=column in self.json_columns)
        return list(map(_language, paths, texts))


def _language(path: str | None, text: str | None) -> str:
    return (path and path_language(path)) or code_language((text or "")[:_SAMPLE_CHARS])
