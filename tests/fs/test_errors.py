from __future__ import annotations

import errno

import pytest

from modelcall.errors import FatalError, FileFailure
from modelcall.fs.errors import storage_failure

FATAL_WHEN_WRITING = [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM]


@pytest.mark.parametrize("number", FATAL_WHEN_WRITING)
def test_a_disk_that_takes_no_more_stops_the_run(number: int) -> None:
    failure = storage_failure(OSError(number, "what happened", "/data/out/a.parquet"), writing=True)
    assert type(failure) is FatalError
    assert failure.message == "/data/out/a.parquet: cannot be written: what happened"
    assert failure.hint


@pytest.mark.parametrize("number", FATAL_WHEN_WRITING)
def test_one_unreadable_file_is_one_file(number: int) -> None:
    failure = storage_failure(OSError(number, "what happened", "/data/in/a.parquet"), writing=False)
    assert type(failure) is FileFailure
    assert failure.message == "/data/in/a.parquet: cannot be read: what happened"


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
@pytest.mark.parametrize("writing", [True, False])
def test_an_exhausted_machine_stops_the_run(number: int, *, writing: bool) -> None:
    assert type(storage_failure(OSError(number, "x"), writing=writing)) is FatalError


@pytest.mark.parametrize("error", [FileExistsError(errno.EEXIST, "taken", "/a"), OSError("no number")])
def test_anything_else_is_the_files_own(error: OSError) -> None:
    assert type(storage_failure(error, writing=True)) is FileFailure
