"""Many clients at once: one winner, whole objects, and every state that a reader could see."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import pytest
from tos.exceptions import TosServerError

from tests.mock_tos.sdk import BUCKET, OTHER, connected, running

if TYPE_CHECKING:
    from collections.abc import Callable

    from tos import TosClientV2

    from modelcall.mock.tos.store import Change
    from modelcall.mock.tos.thread import LocalTos

RACERS = 8
LARGE = 1 << 20


def race(run: Callable[[int], object]) -> list[int]:
    """Run in threads that start together; return the statuses."""
    barrier = threading.Barrier(RACERS)

    def one(number: int) -> int:
        barrier.wait()
        try:
            run(number)
        except TosServerError as error:
            status: int = error.status_code
            return status
        return 200

    with ThreadPoolExecutor(RACERS) as pool:
        return sorted(pool.map(one, range(RACERS)))


def put(client: TosClientV2, key: str, number: int) -> None:
    client.put_object(BUCKET, key, content=bytes([number]) * 100_000, forbid_overwrite=True)


def copy(client: TosClientV2, key: str, number: int) -> None:
    client.copy_object(BUCKET, key, OTHER, f"source{number}", forbid_overwrite=True)


def complete(client: TosClientV2, key: str, number: int) -> None:
    upload_id = client.create_multipart_upload(BUCKET, key).upload_id
    part = client.upload_part(BUCKET, key, upload_id, 1, content=bytes([number]) * 100_000)
    client.complete_multipart_upload(BUCKET, key, upload_id, parts=[part], forbid_overwrite=True)


def rename(client: TosClientV2, key: str, number: int) -> None:
    client.rename_object(BUCKET, f"own{number}", key, forbid_overwrite=True)


@pytest.mark.parametrize("attempt", [put, copy, complete, rename])
def test_put_if_absent_has_one_winner(
    client: TosClientV2, tos: LocalTos, attempt: Callable[[TosClientV2, str, int], None]
) -> None:
    for number in range(RACERS):
        tos.put(f"source{number}", bytes([number]) * 100_000, bucket=OTHER)
    for trial in range(3):
        for number in range(RACERS):
            tos.put(f"own{number}", bytes([number]) * 100_000)
        key = f"race{trial}"
        assert race(partial(attempt, client, key)) == [200] + [409] * (RACERS - 1)
        stored = tos.read(key)
        assert stored is not None
        assert (len(stored), len(set(stored))) == (100_000, 1)


def test_compare_and_swap_loses_no_update(client: TosClientV2, tos: LocalTos) -> None:
    tos.put("count", b"0")

    def increment(_: int) -> None:
        while True:
            answer = client.get_object(BUCKET, "count")
            value = int(answer.read())
            with suppress(TosServerError):
                client.put_object(BUCKET, "count", content=str(value + 1).encode(), if_match=answer.etag)
                return

    assert race(increment) == [200] * RACERS
    assert tos.read("count") == str(RACERS).encode()
    assert {entry.status for entry in tos.requests("put_object")} <= {200, 412}


def test_readers_see_one_version_each(client: TosClientV2, tos: LocalTos) -> None:
    tos.put("k", bytes([255]) * LARGE)

    def run(number: int) -> None:
        for turn in range(5):
            if number % 2:
                client.put_object(BUCKET, "k", content=bytes([number * 10 + turn]) * LARGE)
            else:
                assert len(set(b"".join(client.get_object(BUCKET, "k")))) == 1

    assert race(run) == [200] * RACERS


def test_an_open_reader_keeps_its_version(client: TosClientV2, tos: LocalTos) -> None:
    content = bytes(range(256)) * (8 * LARGE // 256)
    tos.put("k", content)
    answer = client.get_object(BUCKET, "k")
    begun = answer.read(1000)
    tos.put("k", b"new")
    client.delete_object(BUCKET, "k")
    assert begun + b"".join(answer) == content
    assert tos.read("k") is None


def test_bytes_that_nobody_can_reach_are_off_the_disk(client: TosClientV2, tos: LocalTos) -> None:
    folder = tos.store.blobs.folder
    for turn in range(5):
        client.put_object(BUCKET, "k", content=bytes([turn]) * 1000)
    client.copy_object(BUCKET, "copy", BUCKET, "k")
    upload_id = client.create_multipart_upload(BUCKET, "k").upload_id
    client.upload_part(BUCKET, "k", upload_id, 1, content=b"part")
    assert sum(path.stat().st_size for path in folder.iterdir()) == 1004
    client.abort_multipart_upload(BUCKET, "k", upload_id)
    client.delete_object(BUCKET, "k")
    assert sum(path.stat().st_size for path in folder.iterdir()) == 1000
    client.delete_object(BUCKET, "copy")
    assert list(folder.iterdir()) == []


def test_a_watcher_sees_every_state_that_a_reader_could(client: TosClientV2, tos: LocalTos) -> None:
    states: list[tuple[str, str, bytes | None, list[str]]] = []

    def note(change: Change) -> None:
        states.append((change.bucket, change.key, tos.read(change.key), tos.keys()))

    tos.watch(note)
    client.put_object(BUCKET, "a", content=b"1")
    upload_id = client.create_multipart_upload(BUCKET, "b").upload_id
    client.upload_part(BUCKET, "b", upload_id, 1, content=b"2")
    assert len(states) == 1
    client.complete_multipart_upload(BUCKET, "b", upload_id, complete_all=True)
    client.rename_object(BUCKET, "b", "c")
    client.delete_object(BUCKET, "a")
    client.delete_object(BUCKET, "a")
    assert states == [
        (BUCKET, "a", b"1", ["a"]),
        (BUCKET, "b", b"2", ["a", "b"]),
        (BUCKET, "c", b"2", ["a", "c"]),
        (BUCKET, "b", None, ["a", "c"]),
        (BUCKET, "a", None, ["c"]),
    ]


def test_the_log_counts_what_was_in_flight() -> None:
    with running(latency=0.05) as (tos, client), connected(tos) as other:
        race(lambda number: (client if number % 2 else other).head_bucket(BUCKET))
        report = tos.log.report()
    assert (report["requests"], report["operations"], report["statuses"]) == (8, {"head_bucket": 8}, {"200": 8})
    assert 2 <= report["most_in_flight"] <= RACERS
    assert report["in_flight"] == 0
