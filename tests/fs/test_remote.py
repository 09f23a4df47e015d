"""What errors of fsspec implementations become."""

from __future__ import annotations

import errno
from socket import gaierror
from typing import Any

import pytest

from modelcall.errors import FatalError, FileFailure
from modelcall.fs.errors import storage_failure
from modelcall.fs.remote import RemoteFileSystem


class _OfSomeClient(Exception):  # noqa: N818  as clients name theirs
    """No OSError, as those of botocore are."""


def raised(error: Exception, monkeypatch: pytest.MonkeyPatch) -> OSError:
    fs = RemoteFileSystem("memory")

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(fs._fs, "info", fail)
    with pytest.raises(OSError, match="memory://a/b") as caught:
        fs.stat("memory://a/b")
    return caught.value


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (TimeoutError(), errno.ETIMEDOUT),
        (ConnectionError("lost"), errno.ECONNRESET),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), errno.ECONNREFUSED),
        (gaierror(-2, "no such host"), errno.EHOSTUNREACH),
        (OSError(errno.EIO, "SlowDown"), errno.EPROTO),
        (OSError("no number"), errno.EPROTO),
        (_OfSomeClient("could not connect"), errno.EPROTO),
    ],
    ids=repr,
)
def test_what_says_nothing_of_the_file_ends_the_run(
    error: Exception, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = raised(error, monkeypatch)
    assert (found.errno, found.filename) == (number, "memory://a/b")
    assert type(storage_failure(found, writing=False)) is FatalError


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (FileNotFoundError("b"), errno.ENOENT),
        (PermissionError("Forbidden"), errno.EACCES),
        (PermissionError(errno.EPERM, "no"), errno.EPERM),
        (IsADirectoryError("b"), errno.EISDIR),
        (OSError(errno.EBUSY, "expired"), errno.EBUSY),
    ],
    ids=repr,
)
def test_what_concerns_the_file_fails_the_file(error: Exception, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = raised(error, monkeypatch)
    assert (found.errno, type(storage_failure(found, writing=False))) == (number, FileFailure)
    assert str(error.args[-1]) in str(found), "what was said is kept"
