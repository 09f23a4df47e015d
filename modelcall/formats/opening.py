"""Opens input files by format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcall.formats.detect import file_type
from modelcall.formats.jsonl import JsonlSource
from modelcall.formats.parquet import ParquetSource

if TYPE_CHECKING:
    from modelcall.formats.base import Opener, Source
    from modelcall.formats.unify import Unified


def open_source(opener: Opener, *, name: str, unified: Unified | None = None) -> Source:
    """Make the source of an input file by the suffix of ``name``, which messages carry too. Reads nothing yet.

    With a ``unified`` schema its batches are in that one.

    Raises:
        ConfigError: The name has no suffix of a data file.
    """
    if file_type(name).format == "parquet":
        return ParquetSource(opener, name=name, unified=unified)
    return JsonlSource(opener, name=name, unified=unified)
