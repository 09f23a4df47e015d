"""The tests every store must pass; for authors of one.

Subclass it in a test module, and run pytest::

    class TestMyFileSystem(FileSystemContract):
        def make(self):
            return MyFileSystem(), "mine://bucket/some/empty/folder"

Promises that ``capabilities`` does not make are not asked for. Five methods are enough to pass; whoever overrides more
of them has more to lose here.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelcall.fs.base import FileSystem, Sink

NAMES = ("a b", "a%20b", "a+b", "a#b", "a?b", "a*b", "[a]", "-a", "a'b\"c", "中文", "a.b.c")
"""Of files; some stores take a part of them for something else."""


def _refused(sink: Sink) -> bool:
    """Whether a commit fails."""
    try:
        sink.commit()
    except OSError:
        return True
    return False


class FileSystemContract:
    """What the pipeline relies on. Every test gets a store and an empty folder of its own."""

    fs: FileSystem
    root: str

    def make(self) -> tuple[FileSystem, str]:
        """Return a store, and the path of an empty folder in it (without a slash at the end)."""
        raise NotImplementedError

    def setup_method(self) -> None:
        """Prepare one test."""
        self.fs, self.root = self.make()

    def path(self, name: str) -> str:
        """Return the path of a name below the empty folder."""
        return f"{self.root}/{name}"

    def put(self, name: str, data: bytes = b"x") -> str:
        """Publish a file and return its path."""
        with self.fs.sink(self.path(name)) as sink:
            sink.write(data)
            sink.commit()
        return self.path(name)

    def test_a_committed_file_is_read_back_whole(self) -> None:
        """Whatever the sizes of the pieces."""
        data = bytes(range(256)) * 5000
        with self.fs.sink(self.path("a.bin")) as sink:
            sink.write(data[:1])
            sink.write(memoryview(data)[1:])
            assert sink.tell() == len(data), "tell() must count the bytes written"
            sink.commit()
        assert self.fs.read_bytes(self.path("a.bin")) == data, "other bytes came back"

    def test_nothing_is_visible_before_commit(self) -> None:
        """A file in the making has no name and is in no listing."""
        with self.fs.sink(self.path("a")) as sink:
            sink.write(b"half")
            assert not self.fs.exists(self.path("a")), "the name exists before commit()"
            assert list(self.fs.walk(self.root)) == [], "a temporary file is listed"

    def test_a_block_left_without_commit_leaves_nothing(self) -> None:
        """As an exception in the block would."""
        with self.fs.sink(self.path("a")) as sink:
            sink.write(b"half")
        assert not self.fs.exists(self.path("a")), "an aborted file is visible"

    def test_abort_after_commit_does_nothing(self) -> None:
        """The file stays."""
        with self.fs.sink(self.path("a")) as sink:
            sink.write(b"whole")
            sink.commit()
            sink.abort()
        assert self.fs.read_bytes(self.path("a")) == b"whole", "abort() after commit() took the file away"

    def test_a_taken_name_is_refused_unless_overwriting(self) -> None:
        """The first file stays as it is."""
        path = self.put("a", b"first")
        with self.fs.sink(path) as sink:
            sink.write(b"second")
            try:
                sink.commit()
            except FileExistsError:
                refused = True
            else:
                refused = False
        assert refused, "commit() must raise FileExistsError"
        assert self.fs.read_bytes(path) == b"first", "the first file was overwritten"
        with self.fs.sink(path, overwrite=True) as sink:
            sink.write(b"third")
            sink.commit()
        assert self.fs.read_bytes(path) == b"third", "overwrite=True must replace the file"

    def test_an_empty_file_can_be_committed(self) -> None:
        """No byte is a file, too."""
        assert self.fs.read_bytes(self.put("empty", b"")) == b"", "an empty file must come back empty"

    def test_folders_are_made_as_needed(self) -> None:
        """By sinks, put_if_absent and replace; makedirs twice is no error."""
        self.put("p/q/a")
        assert self.fs.put_if_absent(self.path("r/s/b"), b"1"), "put_if_absent must make the folder"
        self.fs.replace(self.path("t/c"), b"1")
        self.fs.makedirs(self.path("p/q"))
        self.fs.makedirs(self.path("p/q"))
        assert self.fs.exists(self.path("t/c")), "replace must make the folder"

    def test_reading_can_seek(self) -> None:
        """Parquet reads from the end."""
        with self.fs.open(self.put("a", b"0123456789")) as stream:
            assert stream.seek(-3, 2) == 7, "seek from the end must return the position"  # noqa: PLR2004
            assert stream.read() == b"789", "wrong bytes behind the position"
            stream.seek(2)
            assert stream.read(3) == b"234", "wrong bytes behind the position"
            assert stream.tell() == 5, "tell() must follow reads"  # noqa: PLR2004

    def test_absent_files_raise_file_not_found(self) -> None:
        """Each way of asking."""
        absent = self.path("absent")
        assert not self.fs.exists(absent), "an absent file exists"
        for ask in (self.fs.read_bytes, self.fs.stat, self.fs.remove):
            try:
                ask(absent)
            except FileNotFoundError:
                continue
            raise AssertionError(f"{ask} of an absent file must raise FileNotFoundError")

    def test_stat_of_a_folder_is_an_error(self) -> None:
        """So that a listing tells files from folders."""
        self.put("folder/a")
        try:
            self.fs.stat(self.path("folder"))
        except (IsADirectoryError, FileNotFoundError):
            return
        raise AssertionError("stat of a folder must raise IsADirectoryError or FileNotFoundError")

    def test_stat_tells_size_and_change(self) -> None:
        """The etag is steady, and another one after a change."""
        path = self.put("a", b"one")
        first = self.fs.stat(path)
        assert (first.path, first.size) == (path, 3), "wrong path or size"
        assert self.fs.stat(path) == first, "the etag must be steady"
        self.fs.replace(path, b"two")
        assert self.fs.stat(path).etag != first.etag, "the etag must change with the content"

    def test_walk_finds_every_file_once(self) -> None:
        """With the facts stat gives; hidden names and all below hidden folders are left out."""
        wanted = [self.put(name, name.encode()) for name in ("a", "b/c", "b/d e#?%20.jsonl", "b/x/中文.parquet")]
        for hidden in (".h", "_h", ".modelcall/a", "b/_temporary/a"):
            self.put(hidden)
        found = sorted(self.fs.walk(self.root), key=lambda stat: stat.path)
        assert [stat.path for stat in found] == sorted(wanted), "walk must list every visible file once"
        assert found == [self.fs.stat(stat.path) for stat in found], "walk and stat must agree"

    def test_listdir_marks_folders(self) -> None:
        """Names only, folders with a slash."""
        self.put("a")
        self.put("b/c")
        assert sorted(self.fs.listdir(self.root)) == ["a", "b/"], "listdir must name files, and folders with a slash"

    def test_names_are_what_they_are(self) -> None:
        """No character of a name means anything but itself."""
        for name in NAMES:
            self.put(name, name.encode())
        assert sorted(self.fs.listdir(self.root)) == sorted(NAMES), "other names are listed than were written"
        assert sorted(stat.path for stat in self.fs.walk(self.root)) == sorted(map(self.path, NAMES)), "walk renames"
        for name in NAMES:
            assert self.fs.read_bytes(self.path(name)) == name.encode(), f"{name!r} has another file's content"
            self.fs.remove(self.path(name))
        assert list(self.fs.walk(self.root)) == [], "a name cannot be removed"

    def test_an_etag_that_vouches_for_content_changes_with_it(self) -> None:
        """With any byte of it, if the store promises so; writing the same again need not change it."""
        if not self.fs.capabilities.content_etags:
            return
        data = bytearray(300_000)
        seen = set()
        for place in (0, len(data) // 2, len(data) - 1):
            self.fs.replace(self.path("a"), bytes(data))
            seen.add(self.fs.stat(self.path("a")).etag)
            data[place] = 1
        self.fs.replace(self.path("a"), bytes(data))
        seen.add(self.fs.stat(self.path("a")).etag)
        assert len(seen) == 4, "two contents have one etag"  # noqa: PLR2004  as many as were written

    def test_of_two_sinks_of_a_name_the_first_to_commit_wins(self) -> None:
        """The other is told, and the first file stays."""
        first, second = self.fs.sink(self.path("a")), self.fs.sink(self.path("a"))
        with first, second:
            first.write(b"first")
            second.write(b"second")
            first.commit()
            assert _refused(second), "the second commit must fail"
        assert self.fs.read_bytes(self.path("a")) == b"first", "the second writer's content stands"

    def test_sweeping_leaves_what_is_being_written(self) -> None:
        """Other shards write beside us."""
        with self.fs.sink(self.path("a")) as sink:
            sink.write(b"alive")
            self.fs.sweep(self.root, deep=True)
            sink.commit()
        assert self.fs.read_bytes(self.path("a")) == b"alive", "sweep took a living writer's file away"

    def test_an_evicted_sink_is_refused_or_whole(self) -> None:
        """A store that cannot refuse it publishes it whole. Nobody else is hurt: not the next sink of that name."""
        evicted, other = self.fs.sink(self.path("a")), self.fs.sink(self.path("ab"))
        with evicted, other:
            evicted.write(b"slept")
            other.write(b"other")
            self.fs.evict([self.path("a"), self.path("never begun")])
            if _refused(evicted):
                assert not self.fs.exists(self.path("a")), "what was refused is visible"
            other.commit()
        with self.fs.sink(self.path("a"), overwrite=True) as sink:
            sink.write(b"next")
            sink.commit()
        assert self.fs.read_bytes(self.path("a")) == b"next", "a sink begun after evict must commit"
        assert self.fs.read_bytes(self.path("ab")) == b"other", "a name that was not evicted must commit"

    def test_removed_files_are_gone(self) -> None:
        """From every view."""
        path = self.put("a")
        self.fs.remove(path)
        assert not self.fs.exists(path), "a removed file exists"
        assert list(self.fs.walk(self.root)) == [], "a removed file is listed"

    def test_put_if_absent_keeps_the_first(self) -> None:
        """And says who was first."""
        path = self.path("lock")
        assert self.fs.put_if_absent(path, b"first"), "the first writer must succeed"
        assert not self.fs.put_if_absent(path, b"second"), "the second writer must not"
        assert self.fs.read_bytes(path) == b"first", "the first content must stay"

    def test_put_if_absent_has_one_winner(self) -> None:
        """Of many writers at once, if the store promises it."""
        if not self.fs.capabilities.put_if_absent:
            return
        barrier = threading.Barrier(8)
        winners: list[int] = []

        def write(number: int) -> None:
            barrier.wait()
            if self.fs.put_if_absent(self.path("lock"), str(number).encode()):
                winners.append(number)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(winners) == 1, f"{len(winners)} writers believe that they were first"
        assert self.fs.read_bytes(self.path("lock")) == str(winners[0]).encode(), "another writer's content stands"

    def test_replace_writes_whole_content(self) -> None:
        """Longer and shorter than what was there."""
        for data in (b"short", b"much longer than before", b"s"):
            self.fs.replace(self.path("record"), data)
            assert self.fs.read_bytes(self.path("record")) == data, "replace must leave exactly the new content"
