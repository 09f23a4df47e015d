from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from modelcall.data_processing.base import BasePreprocessor
from modelcall.data_processing.contract import PreprocessorContract
from modelcall.data_processing.github_raw_code import GithubRawCode
from modelcall.data_processing.universal import Universal

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from modelcall.types import Row


class TestBase(PreprocessorContract):
    pass


class TestGithub(PreprocessorContract):
    preprocessor = GithubRawCode
    items = ({"content": "x = 1\n", "path": "a.py"}, {"content": None}, {"content": "y"})


class TestUniversal(PreprocessorContract):
    preprocessor = Universal


class _Random(BasePreprocessor):
    def process_item(self, item: Row) -> Row | None:
        return {**item, "x": random.random()}


class _Counts(BasePreprocessor):
    seen = 0

    def process_item(self, item: Row) -> Row | None:
        self.seen += 1
        return {**item, "x": self.seen}


class _Bare(BasePreprocessor):
    def process_batch(self, batch: pa.RecordBatch, numbers: Sequence[int]) -> pa.RecordBatch:
        return batch.slice(0, len(numbers))


class _Fails(BasePreprocessor):
    def process_item(self, item: Row) -> Row | None:
        return item if item["text"] else item["none"]


class _OneId(BasePreprocessor):
    def process_item(self, item: Row) -> Row | None:
        return {**item, "id": "1"}


@pytest.mark.parametrize(
    ("kind", "test", "said"),
    [
        (_Random, "test_gives_the_same_again", "a second run"),
        (_Counts, "test_rows_do_not_depend_on_those_before_them", "another x"),
        (_Bare, "test_gives_what_every_row_has", "no id, source"),
        (_Fails, "test_takes_every_item_and_counts_balance", "row 1: process_item raised KeyError"),
        (_OneId, "test_gives_what_every_row_has", "ids are not unique"),
    ],
)
def test_the_suite_notices(kind: type[BasePreprocessor], test: str, said: str) -> None:
    suite = type("Suite", (PreprocessorContract,), {"preprocessor": kind})()

    with pytest.raises(AssertionError, match=said):
        getattr(suite, test)()
