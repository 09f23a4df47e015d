"""Writers and readers under all faults at once: what is there is whole, and what was acknowledged is there."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import requests
from tos.exceptions import TosError, TosServerError

from tests.mock_tos.sdk import BUCKET, PART, running

if TYPE_CHECKING:
    from collections.abc import Callable

    from tos import TosClientV2

    from modelcall.mock.tos.store import Change
    from modelcall.mock.tos.thread import LocalTos

WRITERS = 3
FAILURES = (TosError, requests.exceptions.RequestException)


def contents(draw: random.Random) -> bytes:
    """Parts of one letter each; a whole object names its own length."""
    size = draw.choice([0, 1, 700, 3 * PART, 40_000])
    return b"%08d" % size + bytes([draw.randrange(256)]) * size


def is_whole(content: bytes | None) -> bool:
    return content is None or (len(content) == 8 + int(content[:8]) and len(set(content[8:])) <= 1)


def write(client: TosClientV2, key: str, content: bytes, draw: random.Random) -> None:
    if draw.random() < 0.5:
        client.put_object(BUCKET, key, content=content)
        return
    upload_id = client.create_multipart_upload(BUCKET, key).upload_id
    pieces = [content[start : start + PART] for start in range(0, len(content), PART)]
    parts = [client.upload_part(BUCKET, key, upload_id, n, content=piece) for n, piece in enumerate(pieces, 1)]
    client.complete_multipart_upload(BUCKET, key, upload_id, parts=parts)


def work(tos: LocalTos, client: TosClientV2, key: str, draw: random.Random, turns: int) -> int:
    """Write one key again and again; return how many writes were acknowledged."""
    acknowledged = 0
    for _ in range(turns):
        before, content = tos.read(key), contents(draw)
        try:
            write(client, key, content, draw)
        except FAILURES:
            assert tos.read(key) in {before, content}
        else:
            assert tos.read(key) == content
            acknowledged += 1
        check_reading(tos, client, key)
    return acknowledged


def check_reading(tos: LocalTos, client: TosClientV2, key: str) -> None:
    try:
        assert b"".join(client.get_object(BUCKET, key)) == tos.read(key)
    except TosServerError as error:
        assert error.status_code != 404 or tos.read(key) is None  # noqa: PT017  the other failures are the faults'
    except FAILURES:
        return


@pytest.mark.parametrize(
    ("seed", "turns"), [(1, 40), *(pytest.param(seed, 1500, marks=pytest.mark.long) for seed in range(100, 103))]
)
def test_no_object_is_ever_half_there(seed: int, turns: int, record_property: Callable[[str, object], None]) -> None:
    print(f"seed {seed}")
    broken: list[Change] = []
    with running(seed=seed) as (tos, client):
        tos.watch(lambda change: None if is_whole(tos.read(change.key)) else broken.append(change))
        tos.set_faults({"fault": "mix", "rate": 0.2, "seconds": 0.001})
        with ThreadPoolExecutor(WRITERS) as pool:
            jobs = [
                pool.submit(work, tos, client, f"k{n}", random.Random(f"{seed}-{n}"), turns) for n in range(WRITERS)
            ]
            acknowledged = [job.result() for job in jobs]
        report = tos.log.report()
    assert broken == []
    assert min(acknowledged) >= turns // 10
    assert {"drop", "lost_ack", "truncate", "bad_crc"} <= report["faults"].keys()
    record_property("requests", report["requests"])
    record_property("faults", sum(report["faults"].values()))
