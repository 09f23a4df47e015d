"""Copies of the journal: whole, in order, only what is still of use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcall.errors import FatalError
from modelcall.fs.remote import RemoteFileSystem
from modelcall.state.copies import COPY_BYTES, COPY_SECONDS, Copies

if TYPE_CHECKING:
    from pathlib import Path


class Store(RemoteFileSystem):
    """An empty store in memory that remembers what was read."""

    def __init__(self) -> None:
        super().__init__("memory")
        self.folder = f"memory://{uuid4().hex}/copies"
        self.reads: list[str] = []

    def read_bytes(self, path: str) -> bytes:
        self.reads.append(path.removeprefix(self.folder))
        return super().read_bytes(path)

    def owner(self, epoch: int, **options: Any) -> Copies:
        return Copies(self, self.folder, epoch=epoch, **options)

    def names(self) -> list[str]:
        return sorted(stat.path.removeprefix(self.folder) for stat in self.walk(self.folder))


def send(copies: Copies) -> None:
    taken = copies.take()
    assert taken is not None
    copies.send(*taken)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


pieces = st.lists(st.tuples(st.sampled_from("abc"), st.binary(max_size=40)), max_size=8)


@given(sent=st.lists(pieces, max_size=40))
def test_another_machine_gets_all_that_was_sent_in_its_order(
    tmp_path_factory: pytest.TempPathFactory, sent: list[list[tuple[str, bytes]]]
) -> None:
    store, folder = Store(), tmp_path_factory.mktemp("local")
    writer = store.owner(1)
    wanted: dict[str, bytes] = {}
    for some in sent:
        for name, data in some:
            writer.add(f"{name}.000001.log", data)
            wanted[f"{name}.000001.log"] = wanted.get(f"{name}.000001.log", b"") + data
        if some:
            send(writer)
    store.owner(2).restore(str(folder))
    assert content(folder) == wanted


def test_what_this_machine_has_is_kept_if_it_is_more(tmp_path: Path) -> None:
    store = Store()
    writer = store.owner(1)
    for name in ("more.000001.log", "less.000001.log"):
        writer.add(name, b"12345")
    send(writer)
    (tmp_path / "more.000001.log").write_bytes(b"1234567")
    (tmp_path / "less.000001.log").write_bytes(b"123")
    store.owner(3).restore(str(tmp_path))
    assert content(tmp_path) == {"more.000001.log": b"1234567", "less.000001.log": b"12345"}


def test_copies_are_due_by_size_or_by_time() -> None:
    now = [0.0]
    copies = Store().owner(1, clock=lambda: now[0])
    assert not copies.is_due
    copies.add("a", b"x")
    now[0] = COPY_SECONDS - 0.1
    assert not copies.is_due
    now[0] = COPY_SECONDS
    assert copies.is_due
    assert copies.take() is not None
    assert (copies.is_due, copies.take()) == (False, None)
    copies.add("a", bytes(COPY_BYTES))
    assert copies.is_due


def test_copies_of_published_files_are_removed_and_not_read_again(tmp_path: Path) -> None:
    store = Store()
    writer = store.owner(1)
    for names in ("a", "ab", "b", "a", "c"):
        for name in names:
            writer.add(name, name.encode())
        send(writer)
    writer.retire({"a"})
    assert store.names()[0] == "/000001/00000002.copy"
    writer.retire({"b"})
    assert store.names() == ["/000001/00000005.copy", "/000001/base.json"]
    heir = store.owner(2)
    heir.restore(str(tmp_path))
    assert content(tmp_path) == {"c": b"c"}
    assert "/000001/00000001.copy" not in store.reads
    heir.retire({"c"})
    assert store.names() == ["/000001/base.json"]
    again = store.owner(3)
    again.restore(str(tmp_path))


def test_two_owners_of_one_number_do_not_overwrite_each_other() -> None:
    store = Store()
    one, two = store.owner(1), store.owner(1)
    one.add("a", b"one")
    two.add("a", b"two")
    send(one)
    with pytest.raises(FatalError, match="under our name"):
        send(two)


@pytest.mark.parametrize("cut", [1, 20, 40])
def test_a_damaged_segment_is_refused_and_nothing_half_is_left(tmp_path: Path, cut: int) -> None:
    store = Store()
    writer = store.owner(1)
    writer.add("a", b"a" * 20)
    send(writer)
    path = f"{store.folder}/000001/00000001.copy"
    store.replace(path, store.read_bytes(path)[:-cut])
    with pytest.raises(FatalError, match="damaged"):
        store.owner(2).restore(str(tmp_path))
    assert content(tmp_path) == {}
