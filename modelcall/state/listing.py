"""The listing: which input files a run reads, fixed when its first shard starts."""

from __future__ import annotations

import fnmatch
import posixpath
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from modelcall.errors import ConfigError
from modelcall.fs.base import FileStat

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from modelcall.fs.base import FileSystem

_WILDCARDS = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class ListedFile:
    """One input file as it was listed. ``name`` is relative to the input folder."""

    name: str
    path: str
    size: int
    etag: str

    @property
    def stat(self) -> FileStat:
        """The file itself, as its store told of it."""
        return FileStat(self.path, self.size, self.etag)

    @property
    def fingerprint(self) -> str:
        """Differs whenever the content does, as far as the store can tell."""
        return self.stat.fingerprint


@dataclass(frozen=True, slots=True)
class Listing:
    """Input files in sorted order, and names passed over for their suffix."""

    files: tuple[ListedFile, ...]
    passed_over: tuple[str, ...] = ()
    single: bool = False
    """The input is one file, named by its path."""

    def only(self, names: Collection[str]) -> Listing:
        """Return the listing with only the files of these names; the others are passed over."""
        others = [file.name for file in self.files if file.name not in names]
        kept = tuple(file for file in self.files if file.name in names)
        return replace(self, files=kept, passed_over=tuple(sorted((*self.passed_over, *others))))


def split_glob(path: str) -> tuple[str, str]:
    """Return the longest folder without wildcards, and the pattern below it (empty if there is none)."""
    parts = path.split("/")
    for index, part in enumerate(parts):
        if _WILDCARDS & set(part):
            return "/".join(parts[:index]) or "/", "/".join(parts[index:])
    return path, ""


def list_input(fs: FileSystem, path: str, *, is_data: Callable[[str], bool]) -> Listing:
    """List a file, a folder or a glob. A name that exists is taken as it is, whatever characters it has.

    Raises:
        ConfigError: Nothing there, or nothing of a known format.
    """
    path = path.rstrip("/") or "/"
    try:
        if fs.exists(path):
            return _listed(fs, path, is_data=is_data)
        folder, pattern = split_glob(path)
        if pattern and fs.exists(folder):
            return _from_walk(
                fs.walk(folder), folder, asked=path, is_data=is_data, wanted=lambda name: matches(name, pattern)
            )
    except OSError as error:
        raise ConfigError(f"{path}: the input cannot be listed: {error.strerror or error}") from error
    raise ConfigError(
        f"{path}: no such file or folder", hint="Check the path of the input, and --root if it is relative."
    )


def matches(name: str, pattern: str) -> bool:
    """Glob by path segments; ``**`` stands for any number of folders."""
    return _match_parts(name.split("/"), pattern.split("/"))


def _match_parts(name: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not name
    if pattern[0] == "**":
        return any(_match_parts(name[skip:], pattern[1:]) for skip in range(len(name) + 1))
    return bool(name) and fnmatch.fnmatchcase(name[0], pattern[0]) and _match_parts(name[1:], pattern[1:])


def _listed(fs: FileSystem, path: str, *, is_data: Callable[[str], bool]) -> Listing:
    try:
        stat = fs.stat(path)
    except (IsADirectoryError, FileNotFoundError):
        return _from_walk(fs.walk(path), path, asked=path, is_data=is_data, wanted=lambda _: True)
    name = posixpath.basename(path)
    if not is_data(name):
        raise ConfigError(
            f"{path}: unknown file format",
            hint="Known suffixes: .jsonl, .ndjson, .parquet, .pq, and .gz or .zst after .jsonl.",
        )
    return Listing((ListedFile(name, path, stat.size, stat.etag),), single=True)


def _from_walk(
    stats: Iterable[FileStat],
    folder: str,
    *,
    asked: str,
    is_data: Callable[[str], bool],
    wanted: Callable[[str], bool],
) -> Listing:
    base = folder.rstrip("/") + "/"
    files: list[ListedFile] = []
    others: list[str] = []
    for stat in stats:
        name = stat.path.removeprefix(base)
        if not wanted(name):
            continue
        if is_data(name):
            files.append(ListedFile(name, stat.path, stat.size, stat.etag))
        else:
            others.append(name)
    if not files:
        found = f"; {len(others)} others were passed over, the first is {min(others)}" if others else ""
        raise ConfigError(f"{asked}: no JSONL or Parquet file there{found}", hint="Check the path of the input.")
    return Listing(tuple(sorted(files, key=lambda file: file.name)), tuple(sorted(others)))
