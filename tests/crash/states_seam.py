"""Every call that a run makes to the operating system about files below a folder, seen before and after it is made."""

import builtins
import fcntl
import io
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

BY_PATH = ("stat", "lstat", "scandir", "listdir", "mkdir", "unlink", "link", "rename", "replace")
BY_DESCRIPTOR = ("fsync", "fstat", "close")


@dataclass(frozen=True)
class Call:
    """One call. ``path`` and ``to`` are absolute; where a descriptor is given, ``path`` is what it was opened by.

    ``flags`` are those of the opening, of which a close is told too.
    """

    kind: str
    path: str
    to: str = ""
    descriptor: int = -1
    flags: int = 0
    data: bytes = b""


class Watcher:
    """Sees calls; ``before`` may raise in place of a call, ``write`` may write less."""

    def before(self, call: Call) -> None: ...

    def after(self, call: Call) -> None: ...

    def most(self, call: Call) -> int:
        """How many bytes of a write the system takes."""
        return len(call.data)


@contextmanager
def watched(folder: Path, watcher: Watcher) -> Iterator[None]:
    """Tell ``watcher`` of all calls below a folder, of any thread of this process."""
    seam = _Seam(str(folder), watcher)
    with ExitStack() as stack:
        for name in BY_PATH:
            stack.enter_context(patch.object(os, name, seam.by_path(name, getattr(os, name))))
        for name in BY_DESCRIPTOR:
            stack.enter_context(patch.object(os, name, seam.by_descriptor(name, getattr(os, name))))
        stack.enter_context(patch.object(os, "open", seam.open))
        stack.enter_context(patch.object(os, "write", seam.write))
        stack.enter_context(patch.object(fcntl, "flock", seam.by_descriptor("flock", fcntl.flock)))
        for module in (io, builtins):
            stack.enter_context(patch.object(module, "open", seam.open_stream))
        yield


class _Seam:
    def __init__(self, folder: str, watcher: Watcher) -> None:
        self._folder = folder
        self._watcher = watcher
        self._paths: dict[int, str] = {}
        self._flags: dict[int, int] = {}
        self._os_open, self._os_write, self._open = os.open, os.write, io.open

    def path(self, path: Any) -> str | None:
        """The path, if it is ours."""
        if isinstance(path, int):
            return self._paths.get(path)
        text = os.fsdecode(path)
        return text if text == self._folder or text.startswith(f"{self._folder}/") else None

    def _make(self, call: Call, make: Callable[[], Any]) -> Any:
        self._watcher.before(call)
        result = make()
        self._watcher.after(call)
        return result

    def by_path(self, kind: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def made(path: Any = ".", *more: Any, **options: Any) -> Any:
            ours = self.path(path)
            if ours is None or isinstance(path, int):
                return real(path, *more, **options)
            to = os.fspath(more[0]) if kind in {"link", "rename", "replace"} else ""
            return self._make(Call(kind, ours, to), lambda: real(path, *more, **options))

        return made

    def by_descriptor(self, kind: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def made(descriptor: int, *more: Any) -> Any:
            ours = self.path(descriptor)
            if ours is None:
                return real(descriptor, *more)
            if kind == "close":
                return self.close(descriptor, lambda: real(descriptor))
            return self._make(Call(kind, ours, descriptor=descriptor), lambda: real(descriptor, *more))

        return made

    def close(self, descriptor: int, real: Callable[[], Any]) -> None:
        """A close that fails has closed, as on Linux."""
        call = Call("close", self._paths.pop(descriptor), descriptor=descriptor, flags=self._flags.pop(descriptor))
        try:
            self._watcher.before(call)
        finally:
            real()
            self._watcher.after(call)

    def open(self, path: Any, flags: int, mode: int = 0o777, **options: Any) -> int:
        ours = self.path(path)
        if ours is None:
            return self._os_open(path, flags, mode, **options)
        self._watcher.before(Call("open", ours, flags=flags))
        descriptor = self._os_open(path, flags, mode, **options)
        self._paths[descriptor], self._flags[descriptor] = ours, flags
        self._watcher.after(Call("open", ours, descriptor=descriptor, flags=flags))
        return descriptor

    def write(self, descriptor: int, data: Any) -> int:
        ours = self.path(descriptor)
        if ours is None:
            return self._os_write(descriptor, data)
        return self.written(ours, descriptor, bytes(data), lambda some: self._os_write(descriptor, some))

    def written(self, path: str, descriptor: int, data: bytes, real: Callable[[bytes], int]) -> int:
        call = Call("write", path, descriptor=descriptor, data=data)
        self._watcher.before(call)
        count = real(data[: self._watcher.most(call)])
        self._watcher.after(Call("write", path, descriptor=descriptor, data=data[:count]))
        return count

    def open_stream(self, file: Any, mode: str = "r", buffering: int = -1, *more: Any, **options: Any) -> Any:
        """Open as ``open`` does; binary files of ours make their calls through here."""
        if self.path(file) is None or "b" not in mode:
            return self._open(file, mode, buffering, *more, **options)
        opener = options.get("opener") or (lambda path, flags: self.open(path, flags, 0o666))
        raw = _File(self, file, mode.replace("b", ""), opener)
        size = buffering if buffering > 0 else io.DEFAULT_BUFFER_SIZE
        return io.BufferedReader(raw, size) if "r" in mode else io.BufferedWriter(raw, size)

    def reading(self, descriptor: int) -> None:
        self._watcher.before(Call("read", self._paths[descriptor], descriptor=descriptor))


class _File(io.FileIO):
    def __init__(self, seam: _Seam, file: Any, mode: str, opener: Callable[[Any, int], int]) -> None:
        super().__init__(file, mode, opener=None if isinstance(file, int) else opener)
        self._seam = seam

    def readinto(self, buffer: Any) -> int | None:
        self._seam.reading(self.fileno())
        return super().readinto(buffer)

    def readall(self) -> bytes:
        self._seam.reading(self.fileno())
        return super().readall()

    def write(self, data: Any) -> int:
        path = self._seam.path(self.fileno())
        assert path is not None
        return self._seam.written(path, self.fileno(), bytes(data), super().write)

    def close(self) -> None:
        if self.closed:
            return
        if self._seam.path(self.fileno()) is None:
            super().close()
        else:
            self._seam.close(self.fileno(), super().close)
