"""What storage.py compares with: one Parquet object read and rewritten by pyarrow through the bare SDK.

Ranges are fetched ahead, and parts sent, as many and as large at a time as ModelCall does it. Nothing is checked,
retried, recorded or kept within bounds but that.
"""

from __future__ import annotations

import io
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from tos.models2 import UploadedPart

from modelcall.fs.ranges import AHEAD_BYTES
from modelcall.fs.tos.filesystem import THREADS
from modelcall.fs.tos.writing import IN_FLIGHT, PART_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

_BLOCK = 1 << 20


class _Blocks(io.RawIOBase):
    """An object as a file: blocks are fetched in order, as many ahead as fit."""

    def __init__(self, client: Any, bucket: str, key: str, pool: ThreadPoolExecutor) -> None:  # noqa: ANN401  the SDK's
        super().__init__()
        self._client, self._bucket, self._key, self._pool = client, bucket, key, pool
        self._size = client.head_object(bucket, key).content_length
        self._blocks: dict[int, Future[bytes]] = {}
        self._at = 0

    def _fetch(self, number: int) -> bytes:
        end = min((number + 1) * _BLOCK, self._size) - 1
        reply = self._client.get_object(self._bucket, self._key, range_start=number * _BLOCK, range_end=end)
        data: bytes = reply.read()
        return data

    def _block(self, number: int) -> bytes:
        last = min(number + AHEAD_BYTES // _BLOCK, (self._size - 1) // _BLOCK + 1)
        for ahead in range(number, max(last, number + 1)):
            if ahead not in self._blocks:
                self._blocks[ahead] = self._pool.submit(self._fetch, ahead)
        for old in [old for old in self._blocks if old < number - AHEAD_BYTES // _BLOCK]:
            del self._blocks[old]
        return self._blocks[number].result()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        end = self._size if size is None or size < 0 else min(self._at + size, self._size)
        pieces = []
        while self._at < end:
            number, start = divmod(self._at, _BLOCK)
            piece = self._block(number)[start : start + end - self._at]
            pieces.append(piece)
            self._at += len(piece)
        return b"".join(pieces)


class _Parts:
    """An object being written in parts."""

    closed = False

    def __init__(self, client: Any, bucket: str, key: str, pool: ThreadPoolExecutor) -> None:  # noqa: ANN401  the SDK's
        self._client, self._bucket, self._key, self._pool = client, bucket, key, pool
        self._upload = client.create_multipart_upload(bucket, key).upload_id
        self._buffer = bytearray()
        self._sending: deque[Future[UploadedPart]] = deque()
        self._parts: list[UploadedPart] = []

    def write(self, data: bytes) -> int:
        self._buffer += data
        while len(self._buffer) >= PART_BYTES:
            self._send(bytes(self._buffer[:PART_BYTES]))
            del self._buffer[:PART_BYTES]
        return len(data)

    def flush(self) -> None:
        pass

    def _send(self, data: bytes) -> None:
        number = len(self._parts) + len(self._sending) + 1
        if len(self._sending) >= IN_FLIGHT:
            self._parts.append(self._sending.popleft().result())
        self._sending.append(self._pool.submit(self._put, number, data))

    def _put(self, number: int, data: bytes) -> UploadedPart:
        reply = self._client.upload_part(self._bucket, self._key, self._upload, number, content=data)
        return UploadedPart(number, reply.etag)

    def close(self) -> None:
        if self._buffer:
            self._send(bytes(self._buffer))
        self._parts += [sent.result() for sent in self._sending]
        self._client.complete_multipart_upload(self._bucket, self._key, self._upload, self._parts)


def rewrite(client: Any, bucket: str, source: str, target: str, results: pa.Table) -> None:  # noqa: ANN401  the SDK's
    """Read an object and write all its columns beside these, row group by row group."""
    with ThreadPoolExecutor(THREADS) as pool:
        file = pq.ParquetFile(_Blocks(client, bucket, source, pool))
        out = _Parts(client, bucket, target, pool)
        schema = pa.schema([*file.schema_arrow, *results.schema])
        done = 0
        with pq.ParquetWriter(pa.PythonFile(out, mode="w"), schema, compression="zstd") as writer:
            for number in range(file.num_row_groups):
                table = file.read_row_group(number)
                columns: Sequence[pa.ChunkedArray] = results.slice(done, table.num_rows).columns
                writer.write_table(pa.table([*table.columns, *columns], schema=schema))
                done += table.num_rows
        out.close()
