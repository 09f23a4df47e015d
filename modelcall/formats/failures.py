"""The one edge where pyarrow's exceptions become ours."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

from modelcall.errors import FileFailure

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn what pyarrow says of damaged content into an error that names the file.

    An ``OSError`` with an error number comes from the store below and passes.

    Raises:
        FileFailure: The content cannot be read.
    """
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = str(error).strip().partition("\n")[0]
        raise FileFailure(
            f"{name}: cannot be read: {reason}", hint="The file is damaged or cut short; replace it."
        ) from error


def changed(name: str) -> FileFailure:
    """Make the error for a file that no longer is what an earlier pass saw."""
    return FileFailure(
        f"{name}: changed while it was being read", hint="Leave input files alone while a run reads them."
    )
