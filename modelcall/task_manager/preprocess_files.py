"""Which files are preprocessed, and under which names they come out."""

from __future__ import annotations

import fnmatch
import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelcall.config.paths import is_below
from modelcall.data_processing.report import FileJob
from modelcall.errors import ConfigError
from modelcall.formats.detect import file_type, is_data_file, output_name
from modelcall.fs.errors import storage_failure
from modelcall.pipeline.placement import refuse_shared
from modelcall.state.listing import ListedFile, list_input, matches, split_glob

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelcall.fs.base import FileSystem
    from modelcall.task_manager.preprocess_plan import PreprocessPlan


@dataclass(frozen=True, slots=True)
class RawFiles:
    """The files of a raw folder."""

    jobs: Sequence[FileJob]
    """To do: the first ``num_files``, by name."""
    outputs: frozenset[str]
    """Names of the outputs of all files."""
    passed_over: Sequence[str] = ()
    """Names of files that are no data."""


class _Listed:
    """The data files of the raw path, listed when first asked for."""

    def __init__(self, plan: PreprocessPlan, fs: FileSystem) -> None:
        self._raw = plan.paths.raw
        self._pattern = plan.config.file_pattern
        self._fs = fs
        self.files: dict[str, ListedFile] = {}
        self.passed_over: Sequence[str] = ()

    def paths(self) -> list[str]:
        """Return their paths, sorted by name."""
        listing = list_input(self._fs, self._raw, is_data=is_data_file)
        self.passed_over = listing.passed_over
        wanted = [file for file in listing.files if self._pattern is None or _fits(file.name, self._pattern)]
        if not wanted:
            raise ConfigError(
                f"{self._raw}: no file fits file_pattern {self._pattern!r}; the first of {len(listing.files)} files is "
                f"{listing.files[0].name}"
            )
        self.files = {file.path: file for file in wanted}
        return list(self.files)

    def file(self, path: str) -> ListedFile:
        """Return a file by its path: as it was listed, or as it is now."""
        if path in self.files:
            return self.files[path]
        absolute = path if "://" in path or path.startswith("/") else f"{_folder(self._raw)}/{path}"
        try:
            stat = self._fs.stat(absolute)
        except OSError as error:
            raise ConfigError(
                f"get_file_list names a file that is not there: {storage_failure(error, writing=False)}"
            ) from error
        return ListedFile(_name(absolute, self._raw), absolute, stat.size, stat.etag)


def raw_files(plan: PreprocessPlan, fs: FileSystem) -> RawFiles:
    """List the files that are to be preprocessed.

    Raises:
        ConfigError: There are none, one cannot be read, or two would come out under one name.
    """
    listed = _Listed(plan, fs)
    asked = plan.make(listed=listed.paths).get_file_list()
    jobs = sorted((_job(entry, listed) for entry in asked), key=lambda job: job.name)
    if not jobs:
        raise ConfigError(
            "get_file_list names no file", hint="It returns paths, or pairs of a path and an output name."
        )
    names = ((job.name, job.output) for job in jobs)
    refuse_shared(names, what="raw files", hint="Rename one of each.")
    most = plan.config.num_files
    outputs = frozenset(job.output for job in jobs)
    return RawFiles(jobs if most < 0 else jobs[:most], outputs, listed.passed_over)


def refuse_nested(plan: PreprocessPlan) -> None:
    """Refuse folders that lie in each other, so that what is written would be read.

    Raises:
        ConfigError: Output in input, input in output, or reports where they would be taken for output.
    """
    raw, output, stat = _folder(plan.paths.raw), plan.paths.output, plan.stat
    if is_below(output, raw) or is_below(raw, output):
        raise ConfigError(
            f"{output}: the output folder and the raw folder {raw} lie in each other",
            hint="Choose an output folder beside the input: what is written must not be read as input.",
        )
    if is_below(stat, raw) or (is_below(stat, output) and "/." not in stat[len(output) :]):
        raise ConfigError(
            f"{stat}: the folder for statistics lies among data, and would be read as such",
            hint="Choose one beside input and output.",
        )


def _job(entry: str | tuple[str, str], listed: _Listed) -> FileJob:
    path, output = (entry, None) if isinstance(entry, str) else entry
    file = listed.file(str(path))
    name = output_name(file.name) if output is None else str(output)
    if file_type(name).format != "parquet" or name.startswith("/") or ".." in name.split("/"):
        raise ConfigError(f"get_file_list: {name} is no name of an output", hint="Name it x/y.parquet.")
    return FileJob(file.name, file.path, file.fingerprint, file.size, name)


def _fits(name: str, pattern: str) -> bool:
    if "/" in pattern:
        return matches(name, pattern)
    return fnmatch.fnmatchcase(posixpath.basename(name), pattern)


def _folder(raw: str) -> str:
    """Return the folder that names are relative to: of a glob, of a file, or the path itself."""
    folder, pattern = split_glob(raw)
    return posixpath.dirname(raw) if not pattern and is_data_file(raw) else folder


def _name(path: str, raw: str) -> str:
    base = f"{_folder(raw)}/"
    return path.removeprefix(base) if path.startswith(base) else posixpath.basename(path)
