"""How a local file comes to its name: a temporary file beside it, synced, then linked or renamed.

The writer holds a lock on its temporary file. The kernel drops it when the writer dies, however it dies, so leftovers
are told from files still being written without guessing from process ids or ages.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Self


_TEMPORARY = re.compile(r"\.(.*)\.[0-9a-f]{16}\.tmp", re.DOTALL)
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NAME_BYTES = 200
"""Of the target's name in that of its temporary file; file systems allow 255 in all."""
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
_NO_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})


def publish_whole(temporary: str, path: str) -> None:
    """Give a file its name if that is free. Without hard links (some mounts) two writers at once may both succeed.

    Raises:
        FileExistsError: The name is taken.
    """
    if not _linked(temporary, path):
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        Path(temporary).rename(path)


def publish_exclusive(temporary: str, path: str) -> None:
    """Give a file its name if that is free. Without hard links the name appears first, its content right after.

    Raises:
        FileExistsError: The name is taken.
    """
    if not _linked(temporary, path):
        os.close(os.open(path, _NEW, 0o600))
        Path(temporary).replace(path)


def publish_over(temporary: str, path: str) -> None:
    """Give a file its name, in place of what has it."""
    Path(temporary).replace(path)


class LocalSink:
    """A file in the making; see :class:`~modelcall.fs.base.Sink`."""

    def __init__(
        self, path: str, *, overwrite: bool, mode: int, publish: Callable[[str, str], None] | None = None
    ) -> None:
        self._path = path
        self._publish = publish or (publish_over if overwrite else publish_whole)
        self._temporary, descriptor = _new_temporary(path, mode)
        self._stream = os.fdopen(descriptor, "wb", buffering=1 << 20)

    def write(self, data: bytes | memoryview) -> int:
        """Add bytes."""
        with _naming(self._path):
            return self._stream.write(data)

    def tell(self) -> int:
        """Bytes written."""
        return self._stream.tell()

    def commit(self) -> None:
        """Make the file visible under its name, whole and durable. A failed sync is an error and never repeated.

        Raises:
            FileExistsError: The name exists and ``overwrite`` was not asked for.
            OSError: As the disk says, with the path.
        """
        with _naming(self._path):
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._publish(self._temporary, self._path)
            self._discard()
            sync_folder(str(Path(self._path).parent))

    def abort(self) -> None:
        """Leave no trace; what the disk does not let go of is swept by the next start. No effect after a commit."""
        if not self._stream.closed:
            with suppress(OSError):  # why it is given up matters more
                self._discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.abort()

    def _discard(self) -> None:
        """Remove the temporary name if it is still there, then let go of its lock."""
        try:
            Path(self._temporary).unlink(missing_ok=True)
        finally:
            with suppress(OSError):  # bytes that cannot be flushed belong to a file that is given up
                self._stream.close()


def clean_temporaries(folder: str) -> list[str]:
    """Remove what dead writers left in a folder, and return the names; files still being written stay."""
    with os.scandir(folder) as entries:
        leftovers = sorted(entry.path for entry in entries if _TEMPORARY.fullmatch(entry.name) and _is_file(entry))
    return [Path(path).name for path in leftovers if _removed(path)]


def remove_temporaries(folder: str, names: Iterable[str]) -> None:
    """Remove the temporary files of these names, whoever is writing them."""
    wanted = {_shortened(name) for name in names}
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            found = _TEMPORARY.fullmatch(entry.name)
            if found and found[1] in wanted and _is_file(entry):
                Path(entry.path).unlink(missing_ok=True)


def sync_folder(path: str) -> None:
    """Make the names in a folder durable, where the file system knows how."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise OSError(error.errno, error.strerror, path) from error
    finally:
        os.close(descriptor)


def _new_temporary(path: str, mode: int) -> tuple[str, int]:
    target = Path(path)
    while True:
        temporary = str(target.with_name(f".{_shortened(target.name)}.{secrets.token_hex(8)}.tmp"))
        descriptor = os.open(temporary, _NEW, mode)
        with suppress(OSError):  # no locks on this mount: leftovers then stay
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            if os.fstat(descriptor).st_nlink:  # else cleaned away between the two calls
                return temporary, descriptor
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _shortened(name: str) -> str:
    return name.encode()[:_NAME_BYTES].decode(errors="ignore")


def _linked(temporary: str, path: str) -> bool:
    try:
        Path(path).hardlink_to(temporary)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return False
    return True


def _is_file(entry: os.DirEntry[str]) -> bool:
    return entry.is_file(follow_symlinks=False)


def _removed(path: str) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        Path(path).unlink()
    except OSError:
        return False  # locked by a living writer, or there are no locks here to tell
    finally:
        os.close(descriptor)
    return True


@contextmanager
def _naming(path: str) -> Iterator[None]:
    """Give errors the path of the file in the making: writing knows none, linking knows the temporary one."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
