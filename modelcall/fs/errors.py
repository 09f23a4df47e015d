"""What a storage error means for the run: stop, or lose this one file."""

from __future__ import annotations

import errno
import socket

from modelcall.errors import ConfigError, FatalError, FileFailure

_AGAIN = "then start again: the run goes on where it stopped."


class ReplacedError(OSError):
    """A file is not any more what it was when it was opened or listed."""


_FATAL_ON_WRITE = {
    errno.ENOSPC: f"Free space on the disk, {_AGAIN}",
    errno.EDQUOT: f"The quota is used up: free space, {_AGAIN}",
    errno.EROFS: "The disk is read-only: write elsewhere, or mount it writable and start again.",
    errno.EIO: "The disk fails: replace it, or write elsewhere.",
    errno.EACCES: "Give this user the right to write there, then start again.",
    errno.EPERM: "Give this user the right to write there, then start again.",
    errno.ECANCELED: f"See that no other run and no rule of the store removes what is being written, {_AGAIN}",
}
_AWAY = f"Look at the network, and at the store's address or the mount, {_AGAIN}"
_FATAL_ALWAYS = {
    errno.EMFILE: "Too many open files: raise the limit (ulimit -n) or lower concurrency.max_concurrent_files.",
    errno.ENFILE: "This machine has too many open files: raise its limit or end other programs.",
    errno.ENOMEM: "This machine is out of memory: lower concurrency.chunk_size, or use a larger one.",
    errno.ESTALE: "The file was replaced or its mount went away: restore it and start again, or start over (--fresh).",
    errno.EPROTO: f"The store, or the client for it, fails: see the reason above, {_AGAIN}",
    **dict.fromkeys(
        (errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ENETUNREACH, errno.ENETDOWN, errno.ENETRESET, errno.ENOTCONN),
        _AWAY,
    ),
}
_UNREACHABLE = (TimeoutError, ConnectionError, socket.gaierror)
"""With or without a number: the store did not answer, which says nothing of any file."""


def storage_failure(error: OSError, *, writing: bool) -> FatalError | FileFailure:
    """Say what an ``OSError`` ends: this file, or the run.

    That ends with a disk that is full, read-only or failing, without the right to write, with a store that is away, and
    with a changed input.
    """
    if isinstance(error, ReplacedError) and not writing:
        message = f"{error.filename}: changed while it was being read"
        return FatalError(message, hint="Restore it and start again, or start over with --fresh.")
    hint = way_out(error, writing=writing)
    message = _told(error, f"cannot be {'written' if writing else 'read'}")
    return FatalError(message, hint=hint) if hint else FileFailure(message)


def stopping(error: OSError, what: str) -> FatalError:
    """Return what ends a run that cannot go on after an ``OSError``."""
    hint = way_out(error, writing=True) or "Repair the storage, then start again: nothing recorded is lost."
    return FatalError(_told(error, what), hint=hint)


def not_started(error: OSError, *, at: str) -> ConfigError:
    """Return the error of a start that cannot look at its folders; ``at`` is meant if the error names none."""
    hint = way_out(error, writing=False) or "Choose folders that this user may read and write."
    return ConfigError(f"{error.filename or at}: {error.strerror or error}", hint=hint)


def way_out(error: OSError, *, writing: bool) -> str | None:
    """Say what to do about an ``OSError`` that concerns all files; None: it may be about this one alone."""
    number = error.errno or 0
    hint = _FATAL_ALWAYS.get(number) or (_FATAL_ON_WRITE.get(number) if writing else None)
    return _AWAY if hint is None and isinstance(error, _UNREACHABLE) else hint


def _told(error: OSError, what: str) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{what}: {error.strerror or error}"
