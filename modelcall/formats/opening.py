"""Opens input files and makes output writers by format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcall.formats.detect import file_type
from modelcall.formats.jsonl import JsonlSource
from modelcall.formats.parquet import ParquetSource
from modelcall.formats.writers import JsonlTableWriter, ParquetTableWriter

if TYPE_CHECKING:
    import pyarrow as pa

    from modelcall.formats.base import Opener, Source, TableWriter, Writable
    from modelcall.formats.detect import Format


def open_source(opener: Opener, *, name: str) -> Source:
    """Make the source of an input file by the suffix of ``name``, which messages carry too. Reads nothing yet.

    Raises:
        ConfigError: The name has no suffix of a data file.
    """
    if file_type(name).format == "parquet":
        return ParquetSource(opener, name=name)
    return JsonlSource(opener, name=name)


def make_writer(sink: Writable, output: Format, *, inputs: pa.Schema, results: pa.Schema) -> TableWriter:
    """Make the writer of an output file: ``parquet`` takes a source's ``batches``, ``jsonl`` its ``records``."""
    if output == "parquet":
        return ParquetTableWriter(sink, inputs=inputs, results=results)
    return JsonlTableWriter(sink)
