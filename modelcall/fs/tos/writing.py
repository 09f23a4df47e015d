"""Objects written: records by one PutObject, files in parts, whose completion makes the object appear.

A sink begins its upload at once, however small the object will be: whoever takes over aborts the upload, and the sink
of an owner that slept has nothing left to complete. Of a PutObject nobody else could know.

Whoever writes leaves a token in the object's metadata. If TOS did what was asked but its answer was lost, the next try
is refused (409: the name is taken; 404: the upload is gone), and the token tells that it was we who came first.
"""

from __future__ import annotations

import errno
import secrets
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Self

from tos.models2 import UploadedPart

from modelcall.errors import FatalError
from modelcall.fs.tos.client import checksum, read_out

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

    from modelcall.fs.tos.client import TosCalls
    from modelcall.fs.tos.places import Place

PART_BYTES: Final = 8 << 20
"""Of the first parts; doubled after every :data:`PARTS_OF_A_SIZE`, so that 10,000 parts hold any object."""
PARTS_OF_A_SIZE: Final = 1000
IN_FLIGHT: Final = 4
"""Parts of one object being sent at a time, each held in memory."""
_DOUBTFUL: Final = frozenset({errno.EEXIST, errno.ECANCELED, errno.ETIMEDOUT})
"""What is answered, too, if an earlier try of the same completion succeeded and its answer was lost."""
TOKEN: Final = "modelcall-token"  # noqa: S105  a name


class Body:
    """A request's body. The SDK keeps what it is given alive in a cycle: so it is given this, which lets go."""

    def __init__(self, data: bytes | bytearray) -> None:
        self.len = len(data)
        self._left = memoryview(data)

    def read(self, size: int | None = None) -> bytes:
        """Return the next bytes."""
        size = self.len if size is None or size < 0 else size
        piece, self._left = self._left[:size], self._left[size:]
        return bytes(piece)

    def let_go(self) -> None:
        """Forget what was not read."""
        self._left = memoryview(b"")


def put(calls: TosCalls, at: Place, data: bytes | bytearray, *, overwrite: bool) -> None:
    """Write a small object whole.

    Raises:
        FileExistsError: The name is taken and ``overwrite`` was not asked for.
        OSError: As :meth:`TosCalls.do`.
    """
    token = secrets.token_hex(16)

    def once() -> None:
        body = Body(data)
        try:
            answer = calls.sdk.put_object(
                at.bucket,
                at.key,
                content=body if data else None,
                content_length=len(data),
                content_md5=checksum(data),
                meta={TOKEN: token},
                forbid_overwrite=None if overwrite else True,
            )
            read_out(answer)
        finally:
            body.let_go()

    try:
        calls.again(once, at)
    except FileExistsError:
        if not is_ours(calls, at, token):
            raise


def is_ours(calls: TosCalls, at: Place, token: str, *, size: int | None = None) -> bool:
    """Whether the object that stands there was written under this token."""
    try:
        head = calls.head(at)
    except FileNotFoundError:
        return False
    return head.meta.get(TOKEN) == token and size in (None, head.content_length)


class TosSink:
    """An object in the making; see :class:`~modelcall.fs.base.Sink`."""

    def __init__(self, calls: TosCalls, at: Place, *, overwrite: bool, pool: Executor) -> None:
        self._calls = calls
        self._at = at
        self._overwrite = overwrite
        self._pool = pool
        self._buffer = bytearray()
        self._written = 0
        self._token = secrets.token_hex(16)
        self._upload: str | None = calls.do(calls.sdk.create_multipart_upload, at, meta={TOKEN: self._token}).upload_id
        self._sending: deque[Future[UploadedPart]] = deque()
        self._parts: list[UploadedPart] = []

    def write(self, data: bytes | memoryview) -> int:
        """Add bytes; as soon as there are enough for a part it is sent.

        Raises:
            OSError: A part could not be sent.
        """
        self._buffer += data
        self._written += len(data)
        while len(self._buffer) >= (size := self._part_bytes()):
            part, self._buffer = self._buffer[:size], self._buffer[size:]
            self._send(part)
        return len(data)

    def tell(self) -> int:
        """Bytes written."""
        return self._written

    def commit(self) -> None:
        """Make the object appear.

        Raises:
            FileExistsError: The name exists and ``overwrite`` was not asked for.
            OSError: As TOS says; ``ECANCELED`` if somebody aborted the upload.
        """
        if self._written:
            self._complete()
            self._upload = None
        else:
            self._put_nothing()
        self.abort()

    def abort(self) -> None:
        """Leave no trace. Without effect after :meth:`commit`."""
        for part in self._sending:
            part.cancel()
        for part in self._sending:
            if not part.cancelled():
                part.exception()
        self._sending.clear()
        self._buffer = bytearray()
        if self._upload is not None:
            upload, self._upload = self._upload, None
            with suppress(OSError, FatalError):  # it is invisible, and evicted by whoever writes this name next
                abort_upload(self._calls, self._at, upload)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.abort()

    def _part_bytes(self) -> int:
        count = len(self._parts) + len(self._sending)
        return int(PART_BYTES << (count // PARTS_OF_A_SIZE))

    def _send(self, data: bytearray) -> None:
        number = len(self._parts) + len(self._sending) + 1
        while len(self._sending) >= IN_FLIGHT:
            self._parts.append(self._sending.popleft().result())
        self._sending.append(self._pool.submit(self._upload_part, number, data))

    def _upload_part(self, number: int, data: bytearray) -> UploadedPart:
        def once() -> Any:  # noqa: ANN401  the SDK's own
            body = Body(data)
            try:
                answer = self._calls.sdk.upload_part(
                    self._at.bucket,
                    self._at.key,
                    self._upload,
                    number,
                    content=body,
                    content_length=len(data),
                    content_md5=checksum(data),
                )
                return read_out(answer)
            finally:
                body.let_go()

        return UploadedPart(number, self._calls.again(once, self._at).etag)

    def _complete(self) -> None:
        """Ask for the parts to become the object; what looks like a refusal may be our own success."""
        if self._buffer:
            self._send(self._buffer)
        while self._sending:
            self._parts.append(self._sending.popleft().result())
        forbid = None if self._overwrite else True
        complete = self._calls.sdk.complete_multipart_upload
        try:
            self._calls.do(complete, self._at, self._upload, self._parts, forbid_overwrite=forbid)
        except OSError as error:
            if error.errno in _DOUBTFUL and is_ours(self._calls, self._at, self._token, size=self._written):
                return
            raise

    def _put_nothing(self) -> None:
        """Make an empty object appear: an upload has none of its parts to complete, but must be there still."""
        self._calls.do(self._calls.sdk.list_parts, self._at, self._upload)
        put(self._calls, self._at, b"", overwrite=self._overwrite)


def abort_upload(calls: TosCalls, at: Place, upload: str) -> None:
    """Let an upload go; no error if it is gone.

    Raises:
        OSError: As :meth:`TosCalls.do`.
    """
    try:
        calls.do(calls.sdk.abort_multipart_upload, at, upload)
    except OSError as error:
        if error.errno != errno.ECANCELED:
            raise
