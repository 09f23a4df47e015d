"""What the owner says to a worker: sent in order by a thread of its own, so that nobody waits for the worker.

A pipe holds so much, and then its writer waits until the reader has read. Were the owner to wait for a worker that
waits for the owner, neither would ever read.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from multiprocessing.reduction import ForkingPickler
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


class Outbox:
    """Messages to the process at the other end of a connection; the connection is closed with it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: SimpleQueue[Any] = SimpleQueue()
        self._thread = threading.Thread(target=self._send, name="modelcall-outbox", daemon=True)
        self._thread.start()

    def put(self, message: object) -> None:
        """Send a message as it is now. To a process that has died it is lost: that is noticed by its silence."""
        self._waiting.put(ForkingPickler.dumps(message))

    def close(self) -> None:
        """Close the connection when everything has been sent, or the process has died. Whatever is put then is lost."""
        self._waiting.put(None)

    def join(self, seconds: float) -> None:
        """Wait until the connection is closed. Blocking."""
        self._thread.join(seconds)

    def _send(self) -> None:
        while (message := self._waiting.get()) is not None:
            with suppress(OSError):
                self._connection.send_bytes(message)
        self._connection.close()
