"""Input files as the run knows them: what was listed is what is read, or the run stops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcall.errors import FatalError
from modelcall.formats.opening import open_source
from modelcall.fs.errors import storage_failure

if TYPE_CHECKING:
    from modelcall.formats.base import Source
    from modelcall.fs.base import FileSystem
    from modelcall.pipeline.job import FileJob


class InputFiles:
    """Opens input files and notices when one is not what was listed."""

    def __init__(self, fs: FileSystem) -> None:
        self._fs = fs

    def open(self, job: FileJob) -> Source:
        """Open a file for reading. Blocking.

        Raises:
            FatalError: It changed since it was listed.
            FileFailure: It is gone or cannot be read.
        """
        self.check(job)
        return open_source(lambda: self._fs.open(job.path), name=job.name)

    def check(self, job: FileJob) -> None:
        """Raise as :meth:`open` if the file is not what was listed. Blocking."""
        try:
            stat = self._fs.stat(job.path)
        except OSError as error:
            raise storage_failure(error, writing=False) from error
        if f"{stat.size}-{stat.etag}" != job.fingerprint:
            raise FatalError(
                f"{job.path}: changed while it was being read",
                hint="Restore it and start again, or start over with --fresh.",
            )
