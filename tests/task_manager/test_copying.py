"""Copies of what workers write: sent by their owner, whole before anybody counts on them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from modelcall.errors import FatalError
from modelcall.task_manager.copying import CopiedByOwner, CopyDesk
from modelcall.task_manager.crew_messages import CopyDone
from tests.state.test_copies import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME = "a.000001.0001-00000.log"


class Line:
    """A worker's line to a desk in the same process."""

    worker = 1

    def __init__(self, desk: CopyDesk) -> None:
        self.desk = desk
        self.loop = asyncio.get_running_loop()
        self.end = CopiedByOwner(self)

    def tell(self, message: object) -> None:
        self.loop.call_soon_threadsafe(lambda: self.desk.heed(message, self._hear))

    def _hear(self, message: object) -> None:
        assert isinstance(message, CopyDone)
        self.end.done(message)

    def heed(self, hear: Callable[[Any], None]) -> None:
        raise NotImplementedError


def restored(store: Store, machine: Path) -> dict[str, bytes]:
    store.owner(2, machine).restore()
    return {path.name: path.read_bytes() for path in machine.glob("*.log")}


async def test_who_waits_for_it_finds_all_that_was_handed_on_in_the_store(tmp_path: Path) -> None:
    store, failures = Store(), list[BaseException]()
    desk = CopyDesk(store.owner(1, tmp_path / "here"), str(tmp_path / "here"), fail=failures.append)
    line = Line(desk)
    line.end.add(NAME, b"one\n")
    line.end.add(NAME, b"two\n")
    await asyncio.to_thread(line.end.send)
    assert restored(store, tmp_path / "there") == {NAME: b"one\ntwo\n"}
    await desk.close()
    assert failures == []


async def test_what_a_dead_worker_wrote_and_did_not_hand_on_is_taken_from_its_files(tmp_path: Path) -> None:
    store, here = Store(), tmp_path / "here"
    desk = CopyDesk(store.owner(1, here), str(here), fail=lambda _: None)
    Line(desk).end.add(NAME, b"one\n")
    await asyncio.sleep(0)
    (here / NAME).write_bytes(b"one\ntwo\nto")
    (here / "b.000001.0002-00000.log").write_bytes(b"of another\n")
    desk.died(1)
    await desk.close()
    assert restored(store, tmp_path / "there") == {NAME: b"one\ntwo\nto"}


async def test_published_files_need_no_copies(tmp_path: Path) -> None:
    store = Store()
    desk = CopyDesk(store.owner(1, tmp_path / "here"), str(tmp_path / "here"), fail=lambda _: None)
    line = Line(desk)
    line.end.add(NAME, b"one\n")
    line.end.retire({"a"})
    await asyncio.to_thread(line.end.send)
    await desk.close()
    assert store.names() == []


async def test_a_store_that_refuses_ends_who_waits_and_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, failures = Store(), list[BaseException]()
    desk = CopyDesk(store.owner(1, tmp_path / "here"), str(tmp_path / "here"), fail=failures.append)
    line = Line(desk)

    def refuse(*_: object) -> bool:
        raise PermissionError(13, "access denied", store.folder)

    monkeypatch.setattr(store, "put_if_absent", refuse)
    line.end.add(NAME, b"one\n")
    with pytest.raises(FatalError, match="the journal cannot be copied"):
        await asyncio.to_thread(line.end.send)
    with pytest.raises(FatalError, match="the journal cannot be copied"):
        await desk.close()


async def test_copies_that_cannot_be_removed_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, failures = Store(), list[BaseException]()
    desk = CopyDesk(store.owner(1, tmp_path / "here"), str(tmp_path / "here"), fail=failures.append)
    line = Line(desk)
    line.end.add(NAME, b"one\n")
    await asyncio.to_thread(line.end.send)

    def refuse(path: str) -> None:
        raise PermissionError(13, "access denied", path)

    monkeypatch.setattr(store, "remove", refuse)
    line.end.retire({"a"})
    await asyncio.to_thread(line.end.send)  # comes after it
    await asyncio.sleep(0)
    assert [type(error) for error in failures] == [FatalError]
    assert "the journal's copies cannot be kept" in str(failures[0])
    await desk.close()
