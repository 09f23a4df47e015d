from __future__ import annotations

import errno
from socket import gaierror

import pytest

from modelcall.errors import FatalError, FileFailure
from modelcall.fs.errors import storage_failure

FATAL_WHEN_WRITING = [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM, errno.ECANCELED]
STORE_AWAY = [
    *(errno.ETIMEDOUT, errno.ECONNRESET, errno.ECONNREFUSED, errno.ECONNABORTED, errno.EPIPE, errno.ENOTCONN),
    *(errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ENETUNREACH, errno.ENETDOWN, errno.ENETRESET),
    *(errno.ESTALE, errno.EPROTO),
]


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


@pytest.mark.parametrize("error", [OSError(number, "what happened", "/data/a") for number in STORE_AWAY], ids=str)
@pytest.mark.parametrize("writing", [True, False])
def test_a_store_that_is_away_says_nothing_of_the_file(error: OSError, *, writing: bool) -> None:
    failure = storage_failure(error, writing=writing)
    assert type(failure) is FatalError
    assert failure.message == f"/data/a: cannot be {'written' if writing else 'read'}: what happened"
    assert "start again" in (failure.hint or "")


@pytest.mark.parametrize(
    "error",
    [TimeoutError("timed out"), ConnectionError("lost"), ConnectionResetError(), gaierror(-2, "Name not known")],
    ids=repr,
)
@pytest.mark.parametrize("writing", [True, False])
def test_nor_does_it_without_a_number(error: OSError, *, writing: bool) -> None:
    assert type(storage_failure(error, writing=writing)) is FatalError


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
@pytest.mark.parametrize("writing", [True, False])
def test_an_exhausted_machine_stops_the_run(number: int, *, writing: bool) -> None:
    assert type(storage_failure(OSError(number, "x"), writing=writing)) is FatalError


@pytest.mark.parametrize("error", [FileExistsError(errno.EEXIST, "taken", "/a"), OSError("no number")])
def test_anything_else_is_the_files_own(error: OSError) -> None:
    assert type(storage_failure(error, writing=True)) is FileFailure
