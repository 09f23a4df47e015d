"""The contract, and open questions, against a real bucket::

    MODELCALL_LIVE_TOS=1 pytest -s tests/fs_tos/test_live.py

TOS_ENDPOINT, REGION, TOS_ACCESS_KEY, TOS_SECRET_KEY and TOS_BUCKET name it, as for a run. Everything is made below one
random prefix and removed at the end, failed or not; it takes a few hundred requests and some 100 MB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from modelcall.fs.contract import FileSystemContract
from modelcall.fs.tos import writing
from tests.fs_tos.live import NEEDED, QUESTIONS, SWITCH, VARIABLES, Live, live

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelcall.fs.base import FileSystem

pytestmark = pytest.mark.skipif(VARIABLES.get(SWITCH) != "1", reason=f"asks a real bucket; {SWITCH}=1 turns it on")


@pytest.fixture(scope="module")
def it() -> Iterator[Live]:
    with live() as it:
        yield it


class TestLive(FileSystemContract):
    @pytest.fixture(autouse=True)
    def _store(self, it: Live) -> None:
        self.fs, self.root = it.fs, f"{it.root}/{uuid4().hex}"

    def setup_method(self) -> None:
        """A fixture makes the store."""

    def make(self) -> tuple[FileSystem, str]:
        return self.fs, self.root


def test_a_file_of_several_parts(it: Live) -> None:
    data = bytes(range(256)) * (writing.PART_BYTES // 128 + 5)
    with it.fs.sink(f"{it.root}/large") as sink:
        sink.write(data)
        sink.commit()
    assert it.fs.read_bytes(f"{it.root}/large") == data


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_zombie_cannot_commit(it: Live, *, overwrite: bool) -> None:
    path = f"{it.root}/zombie-{overwrite}"
    zombie = it.fs.sink(path, overwrite=overwrite)
    zombie.write(b"late")
    it.fs.evict([path])
    with pytest.raises(OSError, match="somebody aborted it"), zombie:
        zombie.commit()
    assert not it.fs.exists(path)


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_the_documentation_does_not_say(it: Live, question: str) -> None:
    answer = QUESTIONS[question](it)
    print(f"\nANSWER {question}: {answer}")
    assert answer.startswith(NEEDED.get(question, ("",)))
