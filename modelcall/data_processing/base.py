"""What a preprocessor is: rows in, rows out, one file at a time.

A preprocessor of one's own is a subclass with one method, or two::

    class MyPreprocessor(BasePreprocessor):
        def process_item(self, item):      # a row as a dict; return it, or None to drop it
            item["text"] = item["title"] + ": " + item["body"]
            return item

        def get_file_list(self):           # optional: what is read, instead of all files of the raw folder
            return [path for path in super().get_file_list() if "2024" in path]

What it adds may be any JSON value; the types of new columns are settled over the whole file, those of the input's
columns stay. Then every row gets what all have: ``id``, ``text``, ``source`` and ``content_truncate_…k``. Whoever wants
whole Arrow batches instead overrides :meth:`BasePreprocessor.process_batch`.

An instance lives in one process and sees the rows of one file, in order. It must give the same for the same file,
whichever process that is.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import pyarrow as pa

from modelcall.config.preprocess import PreprocessConfig
from modelcall.data_processing.columns import filled, put
from modelcall.data_processing.rows import Rows
from modelcall.data_processing.texts import TEXT, choose_text
from modelcall.tokens import open_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from modelcall.tokens import Cut, Tokenizer
    from modelcall.types import Row

_ID_BYTES = 16
DUPLICATE = "duplicate"


class BasePreprocessor:
    """Gives each row ``id``, ``text``, ``source`` and the beginning of its text, and keeps all its columns.

    Args:
        raw_path: File, folder or glob that is read.
        output_dir: Where Parquet files go, under the names they are read by.
        stat_dir: Where it is noted what became of each file.
        config: The ``preprocess`` block of a task.
        listed: Lists the data files of ``raw_path``.
    """

    version: ClassVar[str] = "1"
    """Moves whenever the same input gives other rows, and with it all output is made anew."""
    source: ClassVar[str] = "raw"
    """What the column of this name says where the input does not, and the configuration neither."""

    def __init__(
        self,
        raw_path: str,
        output_dir: str,
        stat_dir: str,
        *,
        config: PreprocessConfig | None = None,
        listed: Callable[[], Sequence[str]] = list,
    ) -> None:
        self.raw_path = raw_path
        self.output_dir = output_dir
        self.stat_dir = stat_dir
        self.config = config or PreprocessConfig()
        self.max_tokens = self.config.max_tokens
        self.num_proc = self.config.num_proc
        self.seed = self.config.seed
        self.options = dict(self.config.options)
        self.file = ""
        """The file being read, relative to the raw folder."""
        self.text_key: str | None = None
        """The column that its texts are in."""
        self.json_columns: Collection[str] = ()
        """Columns of it that hold JSON text, since their values were of several types."""
        self.dropped: Counter[str] = Counter()
        """Rows that were left out, by reason."""
        self.notes: dict[str, None] = {}
        """What the log should say of this file, in order."""
        self.tokens = 0
        self.uncut_tokens: list[int | None] = []
        """Of each row of the latest batch the tokens of its text; None: it has none, or was cut."""
        self._listed = listed
        self._seen: set[bytes] = set()

    def get_file_list(self) -> Sequence[str | tuple[str, str]]:
        """Return the files to read, as paths, or with the name that each output shall have in the output folder."""
        return list(self._listed())

    def process_item(self, item: Row) -> Row | None:
        """Return a row, changed at will; None drops it. Columns it lacks then are null."""
        return item

    def begin_file(self, name: str, schema: pa.Schema, json_columns: Collection[str]) -> None:
        """Make ready for a file: its columns as :meth:`process_batch` will get them."""
        self.file = name
        self.json_columns = json_columns
        self.text_key = choose_text(schema.names, self.config.text_key, file=name)

    def process_batch(self, batch: pa.RecordBatch, numbers: Sequence[int]) -> pa.RecordBatch:
        """Return the rows of a batch as they are written.

        Columns and types must be the same for each batch of a file, an empty one too. ``numbers`` are those of the rows
        in the file that was read.
        """
        return self.complete(self.rows(batch, numbers))

    def rows(self, batch: pa.RecordBatch, numbers: Sequence[int]) -> Rows:
        """Return the rows of a batch with their texts."""
        return Rows.of(batch, numbers, key=self.text_key, is_json=self.text_key in self.json_columns)

    def drop(self, rows: Rows, reasons: Sequence[str | None]) -> Rows:
        """Return the rows that have no reason to go; the others are counted."""
        self.dropped.update(reason for reason in reasons if reason is not None)
        return rows.without(reasons)

    def complete(self, rows: Rows) -> pa.RecordBatch:
        """Add what every row has; rows whose text was seen before go first, if that is wanted."""
        if self.config.dedupe == "file":
            rows = self.drop(rows, [DUPLICATE if self._was_seen(text) else None for text in rows.texts])
        batch = filled(rows.batch, "id", lambda: list(map(self._id, rows.numbers, rows.texts)))
        batch = put(batch, TEXT, rows.text)
        batch = filled(batch, "source", lambda: [self.config.source_name or self.source] * len(rows.texts))
        cuts = list(map(self._cut, rows.texts))
        self.uncut_tokens = [
            cut.tokens if cut is not None and len(cut.text) == len(text or "") else None
            for text, cut in zip(rows.texts, cuts, strict=True)
        ]
        return put(batch, self.cut_column, pa.array([None if cut is None else cut.text for cut in cuts], pa.string()))

    @property
    def cut_column(self) -> str:
        """Name of the column with the beginnings: ``content_truncate_32k``."""
        thousands = self.max_tokens // 1024
        return f"content_truncate_{f'{thousands}k' if thousands else self.max_tokens}"

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """What tokens are."""
        return open_tokenizer(self.config.tokenizer)

    def _id(self, row: int, text: str | None) -> str:
        content = f"{self.file}\0{row}\0{text or ''}".encode("utf-8", "surrogateescape")
        return hashlib.blake2b(content, digest_size=_ID_BYTES).hexdigest()

    def _cut(self, text: str | None) -> Cut | None:
        if text is None:
            return None
        cut = self.tokenizer.cut(text, self.max_tokens)
        self.tokens += cut.tokens
        return cut

    def _was_seen(self, text: str | None) -> bool:
        """Whether an equal text came before; no text is like no other."""
        if text is None:
            return False
        digest = hashlib.blake2b(text.encode(), digest_size=_ID_BYTES).digest()
        known = digest in self._seen
        self._seen.add(digest)
        return known
