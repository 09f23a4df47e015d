"""Copies of the journal: whole, in order, only what is still of use."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelcall.errors import FatalError
from modelcall.fs.remote import RemoteFileSystem
from modelcall.state.copies import COPY_BYTES, COPY_SECONDS, Copies

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Store(RemoteFileSystem):
    """An empty store in memory that remembers which copies were read."""

    def __init__(self) -> None:
        super().__init__("memory")
        self.folder = f"memory://{uuid4().hex}/copies"
        self.reads: list[str] = []
        self.before_put: Callable[[], object] | None = None
        """Happens once."""
        self.before_read: dict[str, Callable[[], object]] = {}
        """Happen once each."""

    def put_if_absent(self, path: str, data: bytes) -> bool:
        act, self.before_put = self.before_put, None
        if act is not None:
            act()
        return super().put_if_absent(path, data)

    def read_bytes(self, path: str) -> bytes:
        if act := self.before_read.pop(path.removeprefix(self.folder), None):
            act()
        data = super().read_bytes(path)
        if path.endswith(".copy") and data:
            self.reads.append(path.removeprefix(self.folder))
        return data

    def owner(self, epoch: int, machine: Path, **options: Any) -> Copies:
        machine.mkdir(exist_ok=True)
        return Copies(self, self.folder, epoch=epoch, local=str(machine), **options)

    def names(self, *, closing: bool = False) -> list[str]:
        """Return what is there: what holds something, or what keeps owners that were replaced from storing more."""
        found = (stat for stat in self.walk(self.folder) if (not stat.size) == closing)
        return sorted(stat.path.removeprefix(self.folder) for stat in found)


def write(copies: Copies, machine: Path, name: str, data: bytes) -> None:
    """Write to a journal file as its owner does: to the disk, then to its copies."""
    with (machine / name).open("ab") as stream:
        stream.write(data)
    copies.add(name, data)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "copies.json"}


pieces = st.lists(st.tuples(st.sampled_from("abc"), st.binary(max_size=40)), max_size=8)


@settings(max_examples=40, deadline=None)  # files are synced
@given(sent=st.lists(pieces, max_size=40), known=st.dictionaries(st.sampled_from("abc"), st.integers(0, 200)))
def test_another_machine_gets_all_that_was_sent_in_its_order(
    tmp_path_factory: pytest.TempPathFactory, sent: list[list[tuple[str, bytes]]], known: dict[str, int]
) -> None:
    store, here, there = Store(), tmp_path_factory.mktemp("here"), tmp_path_factory.mktemp("there")
    writer = store.owner(1, here)
    for some in sent:
        for name, data in some:
            write(writer, here, f"{name}.000001.log", data)
        writer.send()
    wanted = content(here)
    for name, size in known.items():  # a part of it is there already
        if whole := wanted.get(f"{name}.000001.log"):
            (there / f"{name}.000001.log").write_bytes(whole[:size])
    store.owner(2, there).restore()
    assert content(there) == wanted


def test_what_this_machine_has_is_kept_if_it_is_more_and_mended_if_it_is_other(tmp_path: Path) -> None:
    store, here = Store(), tmp_path / "here"
    writer = store.owner(1, here)
    for name in ("more.000001.log", "less.000001.log", "torn.000001.log"):
        writer.add(name, b"12345")
    writer.send()
    (here / "more.000001.log").write_bytes(b"1234567")
    (here / "less.000001.log").write_bytes(b"123")
    (here / "torn.000001.log").write_bytes(b"12\0\0\0\0\0")
    (here / "copies.json").unlink()
    store.owner(3, here).restore()
    assert content(here) == {
        "more.000001.log": b"1234567",
        "less.000001.log": b"12345",
        "torn.000001.log": b"12345\0\0",
    }


def test_a_restart_on_the_same_machine_fetches_nothing_that_is_there(tmp_path: Path) -> None:
    store, here, there = Store(), tmp_path / "here", tmp_path / "there"
    writer = store.owner(1, here)
    for data in (b"one", b"two"):
        write(writer, here, "a.000001.log", data)
        writer.send()
    heir = store.owner(2, here)
    heir.restore()
    assert store.reads == []
    write(heir, here, "a.000002.log", b"three")
    heir.send()

    other = store.owner(3, there)
    other.restore()
    assert content(there) == {"a.000001.log": b"onetwo", "a.000002.log": b"three"}
    write(other, there, "a.000003.log", b"four")
    other.send()

    store.reads.clear()
    store.owner(4, here).restore()
    assert store.reads == ["/000003/00000001.copy"]
    assert content(here)["a.000003.log"] == b"four"

    (here / "a.000001.log").unlink()  # what is noted does not count if what it is about is gone
    store.owner(5, here).restore()
    assert content(here)["a.000001.log"] == b"onetwo"


def test_after_a_start_of_the_machine_nothing_is_sure(tmp_path: Path) -> None:
    store = Store()
    writer = store.owner(1, tmp_path)
    write(writer, tmp_path, "a.000001.log", b"one")
    writer.send()
    (tmp_path / "a.000001.log").write_bytes(b"\0\0\0")
    note = tmp_path / "copies.json"
    note.write_text(re.sub('"boot":"[^"]*"', '"boot":"before"', note.read_text()))
    store.owner(2, tmp_path).restore()
    assert content(tmp_path) == {"a.000001.log": b"one"}


def test_copies_are_due_by_size_or_by_time(tmp_path: Path) -> None:
    now, store = [0.0], Store()
    copies = store.owner(1, tmp_path, clock=lambda: now[0])
    assert not copies.is_due
    copies.add("a", b"x")
    now[0] = COPY_SECONDS - 0.1
    assert not copies.is_due
    now[0] = COPY_SECONDS
    assert copies.is_due
    copies.send()
    assert not copies.is_due
    copies.send()
    assert store.names() == ["/000001/00000001.copy"]
    copies.add("a", bytes(COPY_BYTES))
    assert copies.is_due


def test_copies_of_published_files_are_removed_and_not_read_again(tmp_path: Path) -> None:
    store, here, there = Store(), tmp_path / "here", tmp_path / "there"
    writer = store.owner(1, here)
    for names in ("a", "ab", "b", "a", "c"):
        for name in names:
            writer.add(name, name.encode())
        writer.send()
    writer.retire({"a"})
    assert store.names()[0] == "/000001/00000002.copy"
    writer.retire({"b"})
    assert store.names() == ["/000001/00000005.copy", "/000001/base.json"]
    heir = store.owner(2, there)
    heir.restore()
    assert content(there) == {"c": b"c"}
    assert store.reads == ["/000001/00000005.copy"]
    heir.retire({"c"})
    assert store.names() == ["/000001/base.json", "/000002/base.json"]
    store.reads.clear()
    store.owner(3, tmp_path / "elsewhere").restore()
    assert store.reads == []


def test_a_published_file_whose_beginning_is_gone_is_not_put_together(tmp_path: Path) -> None:
    store, here, there = Store(), tmp_path / "here", tmp_path / "there"
    writer = store.owner(1, here)
    for names in ("a", "ab"):
        for name in names:
            writer.add(name, name.encode() * 3)
        writer.send()
    writer.retire({"a"})
    heir = store.owner(2, there)
    heir.restore()
    assert content(there) == {"b": b"bbb"}
    heir.retire({"b"})
    assert store.names() == ["/000001/base.json", "/000002/base.json"]


def test_what_waits_of_a_published_file_is_never_sent(tmp_path: Path) -> None:
    store, there = Store(), tmp_path / "there"
    writer = store.owner(1, tmp_path)
    writer.add("a.1.log", b"a")
    writer.add("b.1.log", b"b")
    writer.retire({"a"})
    writer.send()
    store.owner(2, there).restore()
    assert content(there) == {"b.1.log": b"b"}


def test_what_an_owner_that_died_had_yet_to_remove_is_removed(tmp_path: Path) -> None:
    store = Store()
    writer = store.owner(1, tmp_path / "here")
    for name in "abc":
        writer.add(name, name.encode())
        writer.send()
    left = [store.read_bytes(f"{store.folder}/000001/0000000{number}.copy") for number in (1, 2)]
    writer.retire({"a", "b"})
    for number, data in enumerate(left, 1):
        store.replace(f"{store.folder}/000001/0000000{number}.copy", data)
    store.owner(2, tmp_path / "there").restore()
    assert store.names() == ["/000001/00000003.copy", "/000001/base.json"]
    assert content(tmp_path / "there") == {"c": b"c"}


def test_two_owners_of_one_number_do_not_overwrite_each_other(tmp_path: Path) -> None:
    store = Store()
    one, two = store.owner(1, tmp_path / "one"), store.owner(1, tmp_path / "two")
    one.add("a", b"one")
    two.add("a", b"two")
    one.send()
    with pytest.raises(FatalError, match="under our name"):
        two.send()


@pytest.mark.parametrize("cut", [1, 20, 40])
def test_a_damaged_copy_is_refused_and_nothing_half_is_left(tmp_path: Path, cut: int) -> None:
    store = Store()
    writer = store.owner(1, tmp_path / "here")
    writer.add("a", b"a" * 20)
    writer.send()
    path = f"{store.folder}/000001/00000001.copy"
    store.replace(path, store.read_bytes(path)[:-cut])
    with pytest.raises(FatalError, match="damaged"):
        store.owner(2, tmp_path / "there").restore()
    assert content(tmp_path / "there") == {}


def test_a_piece_that_is_missing_in_the_middle_is_refused(tmp_path: Path) -> None:
    store = Store()
    writer = store.owner(1, tmp_path / "here")
    for _ in range(3):
        writer.add("a", b"a" * 20)
        writer.send()
    third = f"{store.folder}/000001/00000003.copy"
    store.replace(f"{store.folder}/000001/00000002.copy", store.read_bytes(third))
    with pytest.raises(FatalError, match="a piece is missing"):
        store.owner(2, tmp_path / "there").restore()
    assert content(tmp_path / "there") == {}


def test_an_owner_that_was_replaced_can_store_nothing_more(tmp_path: Path) -> None:
    store = Store()
    silent, sleeper = store.owner(1, tmp_path / "silent"), store.owner(2, tmp_path / "sleeper")
    sleeper.add("a.2.log", b"before")
    sleeper.send()
    store.owner(3, tmp_path / "heir").restore()
    for replaced in (silent, sleeper):
        replaced.add("a.2.log", b"after")
        with pytest.raises(FatalError, match="taken over"):
            replaced.send()
    assert store.names(closing=True) == ["/000001/00000001.copy", "/000002/00000002.copy"]
    store.owner(4, tmp_path / "there").restore()
    assert content(tmp_path / "there") == {"a.2.log": b"before"}
    assert store.names(closing=True)[:-1] == ["/000001/00000001.copy", "/000002/00000002.copy"]


def test_what_is_stored_in_the_last_moment_before_a_takeover_is_taken_over(tmp_path: Path) -> None:
    store = Store()
    sleeper = store.owner(1, tmp_path / "sleeper")
    sleeper.add("a.1.log", b"late")
    store.before_put = sleeper.send
    store.owner(2, tmp_path / "there").restore()
    assert content(tmp_path / "there") == {"a.1.log": b"late"}
    assert store.names(closing=True) == ["/000001/00000002.copy"]


@pytest.mark.parametrize(("by_heir", "by_sleeper"), [("ab", "a"), ("a", "ab")])
def test_an_owner_that_was_replaced_takes_nothing_back(tmp_path: Path, by_heir: str, by_sleeper: str) -> None:
    """It, or its heir, knows less of what has been removed."""
    store = Store()
    sleeper = store.owner(1, tmp_path / "sleeper")
    for name in "abc":
        sleeper.add(name, name.encode())
        sleeper.send()
    heir = store.owner(2, tmp_path / "heir")
    heir.restore()
    heir.retire(set(by_heir))
    sleeper.retire(set(by_sleeper))
    store.owner(3, tmp_path / "there").restore()
    assert content(tmp_path / "there") == {"c": b"c"}


@pytest.mark.parametrize("read", [1, 2, 3, 4])
def test_who_reads_while_the_first_copies_are_removed_sees_the_last(tmp_path: Path, read: int) -> None:
    store, there = Store(), tmp_path / "there"
    owner = store.owner(1, tmp_path / "here")
    for names in ("ab", "a", "b", "c"):
        for name in names:
            owner.add(name, name.encode())
        owner.send()
    store.before_read[f"/000001/{read:08d}.copy"] = lambda: owner.retire({"a", "b"})
    store.owner(2, there).fetch()
    in_time = {"a": b"aa", "b": b"bb"} if read == 4 else {}
    assert content(there) == {"c": b"c"} | in_time
