"""The journal whose copies are in a store: what is told to be there is there, and no store keeps the disk from it."""

import asyncio
import errno
import threading
from pathlib import Path
from unittest.mock import Mock

import pytest

from modelcall.errors import FatalError
from modelcall.state.file_journal import FileJournal
from modelcall.state.journal import ShardJournal
from tests.state.test_copies import Store
from tests.state.test_journal import SCORED, cancelled, reopen

AWAY = TimeoutError(errno.ETIMEDOUT, "it does not answer", "memory://x")
EXPIRED = FatalError("memory://x: it refuses", hint="Get another token.")


def opened(store: Store, machine: Path) -> tuple[ShardJournal, FileJournal]:
    shard = ShardJournal(str(machine), epoch=1, identity="run", copies=store.owner(1, machine))
    shard.prepare()
    return shard, shard.open("a.jsonl", fingerprint="1-x")


def elsewhere(store: Store, folder: Path) -> list[int]:
    """Rows that another machine finds."""
    store.owner(2, folder).restore()
    return sorted(reopen(folder, 2))


async def test_what_is_secured_is_on_other_machines_too(tmp_path: Path) -> None:
    store = Store()
    shard, journal = opened(store, tmp_path / "here")
    journal.record(7, SCORED)
    await shard.secure()
    assert elsewhere(store, tmp_path / "there") == [7]
    await shard.close()


async def test_the_rest_is_sent_at_the_close(tmp_path: Path) -> None:
    store = Store()
    shard, journal = opened(store, tmp_path / "here")
    journal.record(7, SCORED)
    await shard.flush()
    assert store.names() == []
    await shard.close()
    assert elsewhere(store, tmp_path / "there") == [7]


async def test_what_is_being_written_when_the_background_ends_is_sent_at_the_close(tmp_path: Path) -> None:
    store = Store()
    shard, journal = opened(store, tmp_path / "here")
    gate = threading.Event()
    shard._writer.submit(gate.wait)
    journal.record(7, SCORED)
    await cancelled(asyncio.create_task(shard.flush()))
    asyncio.get_running_loop().call_later(0.05, gate.set)  # long enough to sync and send what there is without it
    await shard.close()
    assert elsewhere(store, tmp_path / "there") == [7]


@pytest.mark.parametrize(("refusal", "way_out"), [(AWAY, "Look at the network"), (EXPIRED, "Get another token.")])
async def test_a_store_that_refuses_ends_the_run_and_what_is_still_answered_is_written_here(
    tmp_path: Path, refusal: Exception, way_out: str
) -> None:
    store = Store()
    shard, journal = opened(store, tmp_path)
    store.before_put = Mock(side_effect=refusal)
    journal.record(1, SCORED)
    with pytest.raises(FatalError, match=r"memory://x: .*it (does not|refuses)") as caught:
        await shard.secure()
    assert caught.value.hint is not None
    assert way_out in caught.value.hint
    journal.record(2, SCORED)
    with pytest.raises(FatalError) as at_the_close:
        await shard.close()
    assert at_the_close.value is caught.value
    assert store.names() == []  # the next copy would have had a hole before it
    assert sorted(reopen(tmp_path, 2)) == [1, 2]


async def test_an_owner_that_was_replaced_secures_nothing(tmp_path: Path) -> None:
    store = Store()
    shard, journal = opened(store, tmp_path / "here")
    journal.record(1, SCORED)
    assert elsewhere(store, tmp_path / "there") == []
    with pytest.raises(FatalError, match="taken over"):
        await shard.secure()
    with pytest.raises(FatalError, match="taken over"):
        await shard.close()
