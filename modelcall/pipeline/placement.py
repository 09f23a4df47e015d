"""Where output goes: refused before anything is written if it would hurt the input or itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcall.config.paths import is_below
from modelcall.errors import ConfigError, Mistake
from modelcall.formats.detect import file_type

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelcall.fs.base import FileSystem
    from modelcall.state.run import RunRecord


def check_placement(record: RunRecord, output: str) -> None:
    """Check the output folder of a pass against the input.

    Raises:
        ConfigError: Output in the input, on top of it, or two inputs with one output name.
    """
    if record.output_file is not None and len(record.files) > 1:
        raise ConfigError(
            f"{output}/{record.output_file}: one output file for {len(record.files)} input files",
            hint="Name a folder for the output.",
        )
    if record.output_file is not None and file_type(record.output_file).compression:
        raise ConfigError(
            f"{output}/{record.output_file}: this version does not support compressed output",
            hint="Name it without .gz or .zst; Parquet compresses its columns itself.",
        )
    names = ((file.name, record.output_of(file)) for file in record.files)
    refuse_shared(names, what="input files", hint="Rename one of each, or set data.output_format: same.")
    for file in record.files:
        target = f"{output}/{record.output_of(file)}"
        if target == file.path:
            raise ConfigError(f"{target}: the output would replace its own input", hint="Choose another output.")
    folder = _input_folder(record)
    if folder is not None and is_below(output, folder):
        raise ConfigError(
            f"{output}: the output folder lies in the input folder {folder}, and would be read as input",
            hint="Choose an output folder beside the input.",
        )


def check_folder(fs: FileSystem, path: str, *, key: str) -> bool:
    """Check that a folder to be written into is one, or can become one; return whether it is there.

    Raises:
        ConfigError: It, or a folder above it, is a file.
    """
    above = path
    while above and not fs.exists(above):
        above = above.rpartition("/")[0]
    try:
        fs.stat(above or "/")
    except OSError:
        return above == path  # a folder has no size to tell
    raise ConfigError(f"{above} is a file, and {key} needs a folder there", hint=f"Set {key} to another folder.")


def _input_folder(record: RunRecord) -> str | None:
    """Return the folder that a listing walks through; None for a single file."""
    first = record.files[0]
    if first.path == record.input:
        return None
    return first.path.removesuffix(f"/{first.name}")


def refuse_shared(names: Iterable[tuple[str, str]], *, what: str, hint: str) -> None:
    """Refuse inputs of which two would come out under one name.

    Raises:
        ConfigError: With all of them.
    """
    inputs: dict[str, list[str]] = {}
    for name, output in names:
        inputs.setdefault(output, []).append(name)
    shared = [f"{' and '.join(names)} both become {output}" for output, names in inputs.items() if len(names) > 1]
    if shared:
        raise ConfigError(f"{what} would share an output name", hint=hint, mistakes=list(map(Mistake, shared)))
