"""The local disk, and whatever is mounted into it."""

from __future__ import annotations

import errno
import logging
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from modelcall.fs.base import Capabilities, FileStat, FileSystem, is_hidden
from modelcall.fs.folders import make_folder
from modelcall.fs.local_sink import LocalSink, clean_temporaries, publish_exclusive, remove_temporaries, sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MODES = frozenset({"rb", "wb"})
_log = logging.getLogger(__name__)


class LocalFileSystem(FileSystem):
    """Files under absolute local paths. Published atomically, and durable when a call returns.

    Links are followed when reading, never when writing. Only regular files are opened: a pipe or device would block.
    With ``private`` set, what it makes is for this user only (folders 0700, files 0600); else the umask decides.
    """

    capabilities = Capabilities(atomic=True, put_if_absent=True, append=True)

    def __init__(self, *, private: bool = False) -> None:
        self._file_mode, self._folder_mode = (0o600, 0o700) if private else (0o666, 0o777)
        self._folders: set[str] = set()  # known to be durable

    def open(self, path: str, mode: str = "rb") -> BinaryIO:
        """Open for reading (``rb``) or writing (``wb``, neither atomic nor durable: see :meth:`sink`)."""
        if mode not in _MODES:
            raise ValueError(f"mode {mode!r} is none of {', '.join(sorted(_MODES))}")
        return open(path, mode, opener=self._open_regular)  # type: ignore[return-value]  # both modes are binary

    def exists(self, path: str) -> bool:
        """Whether anything has this name; a link whose target is gone has not."""
        return Path(path).exists()

    def listdir(self, path: str) -> list[str]:
        """Names in a folder, sorted; folders and links to them end with a slash."""
        with os.scandir(path) as entries:
            return sorted(entry.name + ("/" if entry.is_dir() else "") for entry in entries)

    def makedirs(self, path: str) -> None:
        """Make a folder and its parents, durably."""
        if path not in self._folders or not Path(path).is_dir():
            make_folder(Path(path), mode=self._folder_mode, parents=self._folder_mode)
            self._folders.add(path)

    def remove(self, path: str) -> None:
        """Remove a file or link."""
        Path(path).unlink()

    def stat(self, path: str) -> FileStat:
        """Size of a regular file, and an etag of size and time of the last change in nanoseconds."""
        facts = Path(path).stat()
        _check_regular(facts, path)
        return _file_stat(path, facts)

    def walk(self, folder: str) -> Iterator[FileStat]:
        """All regular files below a folder, sorted at each level. Links are followed, loops and dead ends are not.

        Pipes, sockets, devices and dead links are left out, with a warning in the log.

        Raises:
            OSError: A folder cannot be read (nothing is left out silently), or a name is not UTF-8.
        """
        yield from _walk(folder.rstrip("/") or "/", frozenset())

    def sink(self, path: str, *, overwrite: bool = False) -> LocalSink:
        """Begin a file: a temporary one in the target folder that is linked or renamed at ``commit``."""
        self.makedirs(str(Path(path).parent))
        return LocalSink(path, overwrite=overwrite, mode=self._file_mode)

    def put_if_absent(self, path: str, data: bytes) -> bool:
        """Write a small file whole if the name is free: of any number of writers exactly one succeeds."""
        if os.path.lexists(path):
            return False
        self.makedirs(str(Path(path).parent))
        try:
            with LocalSink(path, overwrite=False, mode=self._file_mode, publish=publish_exclusive) as sink:
                sink.write(data)
                sink.commit()
        except FileExistsError:
            return False
        return True

    def sweep(self, folder: str, *, deep: bool) -> None:
        """Remove temporary files whose writers died, in a folder (``deep``: and below). Links are not followed.

        A name that one of them gave, and had not synced, is made durable: whoever finds it relies on it.
        """
        for parent, _, _ in os.walk(folder):
            clean_temporaries(parent)
            sync_folder(parent)
            if not deep:
                return

    def evict(self, paths: Iterable[str]) -> None:
        """Remove the temporary files that are being written for these names: linking and renaming then fail.

        Sees what the folder's listing shows: on a network mount that lists late, less.
        """
        by_folder: dict[str, list[str]] = {}
        for path in paths:
            folder, _, name = path.rpartition("/")
            by_folder.setdefault(folder, []).append(name)
        for folder, names in by_folder.items():
            remove_temporaries(folder, names)

    def _open_regular(self, path: str, flags: int) -> int:
        if flags & os.O_ACCMODE != os.O_RDONLY:
            flags |= os.O_NOFOLLOW
        descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, self._file_mode)
        try:
            _check_regular(os.fstat(descriptor), path)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor


def _check_regular(facts: os.stat_result, path: str) -> None:
    if stat.S_ISDIR(facts.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(facts.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", path)


def _file_stat(path: str, facts: os.stat_result) -> FileStat:
    return FileStat(path, facts.st_size, f"{facts.st_mtime_ns:x}-{facts.st_size:x}")


def _walk(folder: str, above: frozenset[tuple[int, int]]) -> Iterator[FileStat]:
    facts = Path(folder).stat()
    here = (facts.st_dev, facts.st_ino)
    if here in above:
        _log.warning("%s leads back to a folder above it and is left out", folder)
        return
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if not is_hidden(entry.name))
    above |= {here}
    for name in names:
        yield from _walk_entry(f"{folder.rstrip('/')}/{name}", above)


def _walk_entry(path: str, above: frozenset[tuple[int, int]]) -> Iterator[FileStat]:
    _check_name(path)
    try:
        facts = Path(path).stat()
    except FileNotFoundError:
        _log.warning("%s is gone, or a link to nothing, and is left out", path)
        return
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        _log.warning("%s is a link to itself and is left out", path)
        return
    if stat.S_ISDIR(facts.st_mode):
        yield from _walk(path, above)
    elif stat.S_ISREG(facts.st_mode):
        yield _file_stat(path, facts)
    else:
        _log.warning("%s is no regular file and is left out", path)


def _check_name(path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError:
        shown = path.encode(errors="backslashreplace").decode()
        raise OSError(errno.EILSEQ, "the name is not UTF-8; rename the file", shown) from None
