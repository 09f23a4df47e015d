"""What each answer of TOS ends: one file, or the run, with what to do about it."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, TypeAlias

import pytest

from modelcall.errors import FatalError, FileFailure
from modelcall.fs.errors import storage_failure
from modelcall.fs.tos.filesystem import TosFileSystem
from modelcall.mock.tos.thread import LocalTos
from modelcall.types import Secret, TosAccess
from tests.fs_tos.kit import ROOT, store
from tests.mock_tos.sdk import BUCKET, small

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask: TypeAlias = Callable[[TosFileSystem], object]


ASK: dict[str, Ask] = {
    "stat": lambda fs: fs.stat(f"{ROOT}/a"),
    "read": lambda fs: fs.read_bytes(f"{ROOT}/a"),
    "exists": lambda fs: fs.exists(f"{ROOT}/a"),
    "walk": lambda fs: list(fs.walk(ROOT)),
    "listdir": lambda fs: fs.listdir(ROOT),
    "remove": lambda fs: fs.remove(f"{ROOT}/a"),
    "sink": lambda fs: fs.sink(f"{ROOT}/a"),
    "replace": lambda fs: fs.replace(f"{ROOT}/a", b"x"),
    "put_if_absent": lambda fs: fs.put_if_absent(f"{ROOT}/a", b"x"),
    "evict": lambda fs: fs.evict([f"{ROOT}/a"]),
}


def wrong(tos: LocalTos, **changes: str) -> TosFileSystem:
    options = tos.options
    right = {"region": options.region, "access_key": options.access_key, "secret_key": options.secret_key, **changes}
    token = right.get("security_token")
    return TosFileSystem(
        TosAccess(
            endpoint=f"http://{options.endpoint}",
            region=right["region"],
            access_key=Secret(right["access_key"]),
            secret_key=Secret(right["secret_key"]),
            security_token=Secret(token) if token else None,
        ),
        budget=0.3,
    )


def fatal(fs: TosFileSystem, ask: Ask) -> FatalError:
    with pytest.raises(FatalError) as caught:
        ask(fs)
    fs.close()
    return caught.value


@pytest.mark.parametrize("ask", ASK.values(), ids=ASK)
@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"access_key": "nobody"}, "TOS does not know this TOS_ACCESS_KEY"),
        ({"secret_key": "wrong"}, "TOS_SECRET_KEY is not that of TOS_ACCESS_KEY"),
        ({"security_token": "old"}, "Set TOS_SECURITY_TOKEN, TOS_ACCESS_KEY and TOS_SECRET_KEY anew"),
    ],
)
def test_wrong_credentials_end_the_run_whatever_is_asked(
    tos: LocalTos, ask: Ask, changes: dict[str, str], hint: str
) -> None:
    error = fatal(wrong(tos, **changes), ask)
    assert hint in (error.hint or "")
    assert f"bucket {BUCKET}" in error.message
    assert len(tos.requests()) <= 2, "a refusal is not tried again"


@pytest.mark.parametrize("ask", ASK.values(), ids=ASK)
def test_a_bucket_that_is_missing_ends_the_run_whatever_is_asked(tos: LocalTos, ask: Ask) -> None:
    tos.store.drop(BUCKET)
    error = fatal(wrong(tos), ask)
    assert error.message.startswith(f"There is no bucket {BUCKET} (endpoint http://tos.test, region cn-local)")
    assert "TOS_BUCKET" in (error.hint or "")


def test_a_wrong_clock_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with LocalTos(small(clock_offset=3600.0)) as tos:
        for name, value in tos.environment.items():
            monkeypatch.setenv(name, value)
        error = fatal(wrong(tos), ASK["stat"])
    assert "RequestTimeTooSkewed" in error.message
    assert "clock of this machine" in (error.hint or "")


@pytest.mark.parametrize("ask", ASK.values(), ids=ASK)
def test_a_token_that_expires_while_the_run_goes_on_ends_it(tos: LocalTos, ask: Ask) -> None:
    tos.put("folder/a", b"x")
    tos.set_faults("expired_token")
    assert "given out together" in (fatal(wrong(tos), ask).hint or "")


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("AccessDenied", 403, PermissionError),
        ("InvalidObjectState", 403, PermissionError),
        ("AccountSuspended", 403, FatalError),
        ("Unauthorized", 401, FatalError),
        ("ExpiredToken", 400, FatalError),
        ("NoSuchBucket", 404, FatalError),
        ("NoSuchKey", 404, FileNotFoundError),
        ("NoSuchUpload", 404, OSError),
        ("OperationAborted", 409, FileExistsError),
        ("PreconditionFailed", 412, FileExistsError),
        ("InvalidRange", 416, OSError),
        ("InvalidArgument", 400, OSError),
        ("MethodNotAllowed", 405, OSError),
        ("NotImplemented", 501, OSError),
        ("RequestTimeout", 408, TimeoutError),
        ("ExceedAccountQPSLimit", 429, TimeoutError),
        ("InternalError", 500, TimeoutError),
        ("BadGateway", 502, TimeoutError),
        ("ServiceUnavailable", 503, TimeoutError),
        ("GatewayTimeout", 504, TimeoutError),
    ],
)
def test_every_code_is_settled(tos: LocalTos, code: str, status: int, kind: type[Exception]) -> None:
    fs = wrong(tos)
    tos.set_faults(f"status,status={status},code={code}")
    with pytest.raises((OSError, FatalError)) as caught:
        fs.listdir(ROOT)
    assert type(caught.value) is kind
    tried = len(tos.requests())
    assert (tried > 1) == (kind is TimeoutError), "what cannot pass is asked once"
    fs.close()


@pytest.mark.parametrize("fault", ["unavailable", "throttled", "drop", "internal_error"])
@pytest.mark.parametrize("ask", [ASK["stat"], ASK["sink"], ASK["walk"]], ids=["stat", "sink", "walk"])
def test_a_store_that_stays_away_fails_no_file(tos: LocalTos, fault: str, ask: Ask) -> None:
    fs = store(tos, budget=0.3)
    tos.set_faults(fault)
    with pytest.raises(TimeoutError) as caught:
        ask(fs)
    for writing in (True, False):
        assert type(storage_failure(caught.value, writing=writing)) is FatalError
    fs.close()


def test_one_object_that_may_not_be_read_is_one_file(tos: LocalTos) -> None:
    tos.put("folder/a", b"x")
    tos.put("folder/b", b"y")
    tos.set_faults("status,status=403,code=AccessDenied,key=folder/a")
    fs = wrong(tos)
    with pytest.raises(PermissionError) as caught:
        fs.stat(f"{ROOT}/a")
    assert type(storage_failure(caught.value, writing=False)) is FileFailure
    assert type(storage_failure(caught.value, writing=True)) is FatalError
    assert fs.read_bytes(f"{ROOT}/b") == b"y"
    fs.close()


def test_an_upload_that_somebody_aborted_ends_the_run(tos: LocalTos) -> None:
    fs = wrong(tos)
    with fs.sink(f"{ROOT}/a") as sink:
        sink.write(b"x")
        fs.evict([f"{ROOT}/a"])
        with pytest.raises(OSError, match="aborted") as caught:
            sink.commit()
    assert caught.value.errno == errno.ECANCELED
    assert type(storage_failure(caught.value, writing=True)) is FatalError
    fs.close()


def test_an_object_that_was_replaced_under_a_reader_ends_the_run(tos: LocalTos) -> None:
    fs = wrong(tos)
    fs.replace(f"{ROOT}/a", b"one")
    with fs.open(f"{ROOT}/a") as stream:
        fs.replace(f"{ROOT}/a", b"two")
        with pytest.raises(OSError, match="replaced") as caught:
            stream.read()
    assert type(storage_failure(caught.value, writing=False)) is FatalError
    fs.close()


def test_a_refusal_tells_no_secret(tos: LocalTos) -> None:
    secrets = {"access_key": "AKLT-canary-1", "secret_key": "canary-2", "security_token": "canary-3"}
    error = fatal(wrong(tos, **secrets), ASK["read"])
    assert "canary" not in f"{error} {error.hint} {error.__cause__}"


def test_a_head_that_tells_its_reason_is_believed(tos: LocalTos) -> None:
    fs = wrong(tos)
    assert not fs.exists(f"{ROOT}/absent")
    assert [entry.operation for entry in tos.requests()] == ["head_object", "list_objects_type2"]
    fs.close()


def test_a_head_that_tells_none_is_asked_again_as_a_get(tos: LocalTos) -> None:
    fs = wrong(tos)
    tos.set_faults("status,status=404,code=NoSuchBucket,op=head_object|get_object")
    error = fatal(fs, ASK["stat"])
    assert error.message.startswith(f"There is no bucket {BUCKET}")
    assert [entry.operation for entry in tos.requests()] == ["head_object", "get_object"]
