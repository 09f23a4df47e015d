"""A successor aborts what an owner that slept was writing: the owner wakes, and cannot publish."""

from __future__ import annotations

import errno
import threading
from typing import TYPE_CHECKING

import pytest

from modelcall.mock.tos.uploads import Upload
from tests.fs_tos.kit import PART, ROOT, store
from tests.mock_tos.sdk import BUCKET, OTHER

if TYPE_CHECKING:
    from modelcall.fs.base import Sink
    from modelcall.fs.tos.filesystem import TosFileSystem
    from modelcall.mock.tos.thread import LocalTos

SIZES = [0, 100, 3 * PART + 7]


def begun(fs: TosFileSystem, path: str, *, size: int = 100, overwrite: bool = False) -> Sink:
    sink = fs.sink(path, overwrite=overwrite)
    sink.write(b"z" * size)
    return sink


def begin_many(tos: LocalTos, *keys: str) -> None:
    """Uploads of others, without a request each."""
    uploads = tos.store.bucket(BUCKET).uploads
    for key in keys:
        upload_id = f"{len(uploads):032x}"
        uploads[upload_id] = Upload(upload_id, key, {}, 0.0)


def open_keys(tos: LocalTos) -> list[str]:
    return sorted(upload.key for upload in tos.uploads())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_zombie_cannot_commit(fs: TosFileSystem, tos: LocalTos, size: int, *, overwrite: bool) -> None:
    if overwrite:
        fs.replace(f"{ROOT}/a", b"the successor's")
    zombie = begun(fs, f"{ROOT}/a", size=size, overwrite=overwrite)
    fs.evict([f"{ROOT}/a"])
    with pytest.raises(OSError, match="somebody aborted it") as caught, zombie:
        zombie.commit()
    assert (caught.value.errno, caught.value.filename) == (errno.ECANCELED, f"{ROOT}/a")
    assert tos.read("folder/a") == (b"the successor's" if overwrite else None)
    assert tos.uploads() == []


def test_a_zombie_that_wakes_while_writing_is_told(fs: TosFileSystem, tos: LocalTos) -> None:
    zombie = begun(fs, f"{ROOT}/a", size=PART)
    fs.evict([f"{ROOT}/a"])
    with pytest.raises(OSError, match="somebody aborted it"), zombie:
        zombie.write(b"z" * 8 * PART)  # of which not all can be on their way at once
    assert (tos.keys(), tos.uploads()) == ([], [])


def test_exactly_the_names_that_are_given_are_evicted(fs: TosFileSystem, tos: LocalTos) -> None:
    first, second, foreign = (begun(fs, f"{ROOT}/{name}") for name in ("a", "b/c d#?%20*.jsonl", "ab"))
    fs.evict([f"{ROOT}/a", f"{ROOT}/b/c d#?%20*.jsonl", f"{ROOT}/never begun"])
    assert open_keys(tos) == ["folder/ab"]
    for zombie in (first, second):
        with pytest.raises(OSError, match="somebody aborted it"), zombie:
            zombie.commit()
    with foreign:
        foreign.commit()
    assert tos.keys() == ["folder/ab"]


def test_a_sink_that_is_begun_later_commits(fs: TosFileSystem, tos: LocalTos) -> None:
    zombie = begun(fs, f"{ROOT}/a", size=10)
    fs.evict([f"{ROOT}/a"])
    with begun(fs, f"{ROOT}/a") as sink:
        sink.commit()
    with pytest.raises(OSError, match="somebody aborted it"), zombie:
        zombie.commit()
    assert tos.read("folder/a") == b"z" * 100


def test_what_killed_writers_left_is_cleared_away_as_well(fs: TosFileSystem, tos: LocalTos) -> None:
    for _ in range(3):
        begun(fs, f"{ROOT}/a", size=2 * PART)
    fs.sweep(ROOT, deep=True)
    assert len(tos.uploads()) == 3, "sweep cannot tell whose they are"
    fs.evict([f"{ROOT}/a"])
    assert tos.uploads() == []


def test_thousands_of_names_and_uploads_cost_a_few_listings(fs: TosFileSystem, tos: LocalTos) -> None:
    begin_many(tos, *(f"folder/others/{number:05d}" for number in range(2100)))
    begin_many(tos, "elsewhere", "folder/a", "folder/others/00999a", "folder/z")
    mine = [f"{ROOT}/a", f"{ROOT}/others/00999a", f"{ROOT}/z", *(f"{ROOT}/mine/{number}" for number in range(3000))]
    fs.evict(mine)
    assert len(tos.uploads()) == 2101
    assert len(tos.requests("list_multipart_uploads")) == 3
    assert len(tos.requests("abort_multipart_upload")) == 3


def test_uploads_of_one_name_on_both_sides_of_a_page_are_found(fs: TosFileSystem, tos: LocalTos) -> None:
    others = [f"folder/a/{number:04d}" for number in range(30)]
    begin_many(tos, *(f"folder/0{number:04d}" for number in range(998)), *["folder/a"] * 5, *others)
    fs.evict([f"{ROOT}/a", f"{ROOT}/0"])
    assert len(tos.requests("list_multipart_uploads")) == 2
    assert (len(tos.uploads()), open_keys(tos)[-30:]) == (998 + 30, others)


def test_each_bucket_is_looked_at(fs: TosFileSystem, tos: LocalTos) -> None:
    begun(fs, f"{ROOT}/a")
    begun(fs, f"tos://{OTHER}/x")
    fs.evict([f"{ROOT}/a", f"tos://{OTHER}/x"])
    assert (tos.uploads(), tos.uploads(bucket=OTHER)) == ([], [])


def test_no_names_ask_nothing(fs: TosFileSystem, tos: LocalTos) -> None:
    fs.evict([])
    assert tos.requests() == []


@pytest.mark.parametrize(
    "fault",
    [
        "unavailable,op=list_multipart_uploads,times=2",
        "lost_ack,op=abort_multipart_upload,times=1",
        "drop,op=abort_multipart_upload,times=2",
        "mix=0.3",
    ],
)
def test_faults_on_the_way_are_overcome(fs: TosFileSystem, tos: LocalTos, fault: str) -> None:
    begin_many(tos, *["folder/a", "folder/b"] * 5, "folder/c")
    tos.set_faults(fault)
    fs.evict([f"{ROOT}/a", f"{ROOT}/b"])
    assert open_keys(tos) == ["folder/c"]


@pytest.mark.parametrize("operation", ["list_multipart_uploads", "abort_multipart_upload"])
def test_an_eviction_that_did_not_happen_is_an_error(tos: LocalTos, operation: str) -> None:
    fs = store(tos, budget=0.3)
    begin_many(tos, "folder/a")
    tos.set_faults(f"unavailable,op={operation}")
    with pytest.raises(TimeoutError):
        fs.evict([f"{ROOT}/a"])
    fs.close()


def test_a_commit_at_the_same_time_is_either_seen_or_refused(fs: TosFileSystem, tos: LocalTos) -> None:
    outcomes = set()
    for number in range(30):
        path, barrier = f"{ROOT}/{number}", threading.Barrier(2)
        zombie = begun(fs, path)
        failures: list[OSError] = []

        def commit(sink: Sink = zombie, barrier: threading.Barrier = barrier, into: list[OSError] = failures) -> None:
            barrier.wait()
            try:
                sink.commit()
            except OSError as error:
                into.append(error)

        thread = threading.Thread(target=commit)
        thread.start()
        barrier.wait()
        fs.evict([path])
        seen = tos.read(f"folder/{number}") is not None
        thread.join()
        assert seen == (not failures), "what the successor does not see must not appear later"
        outcomes.add(seen)
    assert tos.uploads() == []
    assert outcomes
