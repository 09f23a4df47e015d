"""Input files as the run knows them: what was listed is what is read, or the run stops.

Size and etag (locally the time of the last change) tell nearly every change, and cost nothing: all files are compared
by them at every start. An edit may keep both; what must not be mixed then are answers with a text they were not given
for. So a file's recorded answers also carry a digest of its content: of all of it up to 16 MiB, of sixteen blocks of
1 MiB spread over a larger one. It is taken when the file is opened, 20 ms at most on a disk that is not slow; a whole
digest of a corpus of terabytes would cost another pass over it at every start. What goes unnoticed is an edit that
keeps size and time and falls between the blocks of a large file. Where a store's etags vouch for the content, they are
all that is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcall.errors import FatalError
from modelcall.formats.detect import file_type
from modelcall.formats.opening import open_source
from modelcall.fs.errors import storage_failure
from modelcall.fs.spooled import sampled_etag
from modelcall.pipeline.table import refuse_missing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelcall.formats.base import Source
    from modelcall.formats.unify import Unified
    from modelcall.fs.base import FileSystem
    from modelcall.pipeline.job import FileJob


_BLOCKS = 16
_BLOCK_BYTES = 1 << 20


def content_of(fs: FileSystem, path: str) -> str:
    """Return a digest of a file's content, of samples if it is large; nothing if the etag tells as much. Blocking."""
    if fs.capabilities.content_etags:
        return ""
    with fs.open(path) as stream:
        return sampled_etag(stream, blocks=_BLOCKS, block_bytes=_BLOCK_BYTES)[1]


class InputFiles:
    """Opens input files and notices when one is not what was listed."""

    def __init__(self, fs: FileSystem, *, unified: Unified | None = None, wanted: Sequence[str] | None = None) -> None:
        self._fs = fs
        self._unified = unified
        self._wanted = wanted if unified is None else None

    def open(self, job: FileJob) -> Source:
        """Open a file for reading. Blocking.

        Raises:
            FatalError: It changed since it was listed. Where etags vouch for the content, reading says so.
            FileFailure: It is gone or cannot be read, or it is Parquet and lacks a column that the output is to have.
        """
        self.reopen(job)
        source = open_source(lambda: self._fs.open_listed(job.listed), name=job.name, unified=self._unified)
        if self._wanted is not None and file_type(job.name).format == "parquet":
            refuse_missing(source.column_names(), self._wanted, name=job.name)
        if job.rows is not None:
            source.know(job.learned, rows=job.rows)
        return source

    def reopen(self, job: FileJob) -> None:
        """Raise as :meth:`open`, before another pass over a file, if it is not what was listed any more. Blocking."""
        if not self._fs.capabilities.content_etags:  # else what is read is what was listed, or an error
            self.check(job)

    def content(self, job: FileJob) -> str:
        """Return the digest of a file's content. Blocking."""
        return content_of(self._fs, job.path)

    def check(self, job: FileJob, *, content: str | None = None) -> None:
        """Raise as :meth:`open` if the file is not what was listed, or has not the content it had. Blocking."""
        try:
            stat = self._fs.stat(job.path)
        except OSError as error:
            raise storage_failure(error, writing=False) from error
        if stat.fingerprint != job.fingerprint or (content is not None and content != self.content(job)):
            raise FatalError(
                f"{job.path}: changed while it was being read",
                hint="Restore it and start again, or start over with --fresh.",
            )
