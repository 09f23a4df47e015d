"""What a storage error means for the run: stop, or lose this one file."""

from __future__ import annotations

import errno

from modelcall.errors import FatalError, FileFailure


class ReplacedError(OSError):
    """A file is not any more what it was when it was opened or listed."""


_FATAL_ON_WRITE = {
    errno.ENOSPC: "Free space on the disk, then start again: the run goes on where it stopped.",
    errno.EDQUOT: "The quota is used up: free space, then start again: the run goes on where it stopped.",
    errno.EROFS: "The disk is read-only: write elsewhere, or mount it writable and start again.",
    errno.EIO: "The disk fails: replace it, or write elsewhere.",
    errno.EACCES: "Give this user the right to write there, then start again.",
    errno.EPERM: "Give this user the right to write there, then start again.",
}
_FATAL_ALWAYS = {
    errno.EMFILE: "Too many open files: raise the limit (ulimit -n) or lower concurrency.max_concurrent_files.",
    errno.ENFILE: "This machine has too many open files: raise its limit or end other programs.",
    errno.ENOMEM: "This machine is out of memory: lower concurrency.chunk_size, or use a larger one.",
}


def storage_failure(error: OSError, *, writing: bool) -> FatalError | FileFailure:
    """Say what an ``OSError`` ends: this file, or the run.

    That ends with a disk that is full, read-only or failing, without the right to write, and with a changed input.
    """
    if isinstance(error, ReplacedError) and not writing:
        message = f"{error.filename}: changed while it was being read"
        return FatalError(message, hint="Restore it and start again, or start over with --fresh.")
    hint = _FATAL_ALWAYS.get(error.errno or 0) or (_FATAL_ON_WRITE.get(error.errno or 0) if writing else None)
    where = f"{error.filename}: " if error.filename else ""
    message = f"{where}cannot be {'written' if writing else 'read'}: {error.strerror or error}"
    return FatalError(message, hint=hint) if hint else FileFailure(message)
