"""The server in a thread of this process, with what tests ask it for."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Self

from modelcall.errors import FatalError
from modelcall.loops import run_fast
from modelcall.mock.tos.blobs import pieces
from modelcall.mock.tos.faults import parse_faults
from modelcall.mock.tos.reach import Reachable
from modelcall.mock.tos.serving import serve_tos

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from modelcall.mock.tos.faults import Written
    from modelcall.mock.tos.log import Entry, Log
    from modelcall.mock.tos.options import TosOptions
    from modelcall.mock.tos.serving import RunningTos
    from modelcall.mock.tos.store import Change, Store
    from modelcall.mock.tos.uploads import Upload


class LocalTos(Reachable):
    """A TOS of one's own: ``with LocalTos() as tos: client = TosClientV2(**tos.sdk_settings)``."""

    def __init__(self, options: TosOptions | None = None) -> None:
        super().__init__(options)
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="local-tos", daemon=True)
        self._running: RunningTos | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        """Start it and wait until it listens.

        Raises:
            ConfigError: The options are not possible here.
        """
        self._thread.start()
        self._started.wait()
        if self._error is not None:
            self._thread.join()
            raise self._error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End it; its objects are gone."""
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def log(self) -> Log:
        """What was asked."""
        return self._live.server.log

    @property
    def store(self) -> Store:
        """What there is."""
        return self._live.server.store

    def set_faults(self, *faults: Written) -> None:
        """Play these from now on, written as on the command line; none: no more.

        Raises:
            ConfigError: They are not understood.
        """
        self._live.server.set_faults(parse_faults(faults))

    def requests(self, *operations: str) -> list[Entry]:
        """Return what was asked of these operations, or of all."""
        return [entry for entry in self.log.entries() if not operations or entry.operation in operations]

    def put(self, key: str, content: bytes, *, bucket: str | None = None) -> None:
        """Put an object in place without a request."""
        self.store.put(bucket or self.options.buckets[0], key, [content])

    def read(self, key: str, *, bucket: str | None = None) -> bytes | None:
        """Return what an object holds; None: there is none."""
        with self.store.lock:
            version = self.store.bucket(bucket or self.options.buckets[0]).versions.get(key)
        return None if version is None else b"".join(pieces(version.extents))

    def keys(self, prefix: str = "", *, bucket: str | None = None) -> list[str]:
        """Return the names of objects, sorted."""
        with self.store.lock:
            names = self.store.bucket(bucket or self.options.buckets[0]).keys
            return [key for key in names if key.startswith(prefix)]

    def uploads(self, *, bucket: str | None = None) -> list[Upload]:
        """Return the multipart uploads that are open."""
        with self.store.lock:
            return list(self.store.bucket(bucket or self.options.buckets[0]).uploads.values())

    def watch(self, watcher: Callable[[Change], None]) -> None:
        """Call this after every change, before anybody can see the next: together, all states that readers could see.

        It runs in the server's thread and may read the store; it must not wait for requests.
        """
        self.store.watchers.append(watcher)

    def go_down(self, seconds: float) -> None:
        """Drop all connections, and refuse new ones for so long. Soon: the server does it in its own thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._live.server.go_down, seconds)

    @property
    def _live(self) -> RunningTos:
        if self._running is None:
            raise FatalError("The local TOS is not running.")
        return self._running

    def _serve(self) -> None:
        try:
            run_fast(self._main())
        except BaseException as error:  # noqa: BLE001  told to the thread that started this one
            self._error = error
        finally:
            self._started.set()

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with serve_tos(self.options) as self._running:
            self.port = self._running.port
            self._started.set()
            await self._stop.wait()
