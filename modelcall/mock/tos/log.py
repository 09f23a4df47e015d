"""What was asked: one line a request, and sums."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelcall.mock.tos.call import Call


@dataclass(slots=True)
class Entry:
    """One request."""

    operation: str
    bucket: str
    key: str
    method: str
    attempt: int
    """From 1: how often the same thing was asked by then."""
    range: str | None
    part: int | None
    retry: str | None
    """What the SDK says about its own attempts."""
    status: int = 0
    """0: nothing was answered, or not all of it."""
    code: str = ""
    fault: str = ""
    received: int = 0
    """Bytes of the request's body."""
    sent: int = 0
    """Bytes of the answer's body."""

    def add_sent(self, count: int) -> None:
        """Count bytes of the answer."""
        self.sent += count


class Log:
    """The latest requests, and counts of all."""

    def __init__(self, size: int) -> None:
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque(maxlen=size)
        self._attempts: Counter[tuple[str, ...]] = Counter()
        self._operations: Counter[str] = Counter()
        self._statuses: Counter[int] = Counter()
        self._faults: Counter[str] = Counter()
        self._in_flight = 0
        self._most_in_flight = 0
        self._received = 0
        self._sent = 0

    def begin(self, operation: str, call: Call) -> Entry:
        """Note that a request has come."""
        asked = (operation, *call.identity)
        number = call.query.get("partNumber", "")
        with self._lock:
            self._attempts[asked] += 1
            self._in_flight += 1
            self._most_in_flight = max(self._most_in_flight, self._in_flight)
            entry = Entry(
                operation=operation,
                bucket=call.bucket,
                key=call.key,
                method=call.method,
                attempt=self._attempts[asked],
                range=call.headers.get("range"),
                part=int(number) if number.isdecimal() else None,
                retry=call.headers.get("x-sdk-retry-count"),
            )
            self._entries.append(entry)
        return entry

    def end(self, entry: Entry) -> None:
        """Note that it is over."""
        with self._lock:
            self._in_flight -= 1
            self._operations[entry.operation] += 1
            self._statuses[entry.status] += 1
            self._received += entry.received
            self._sent += entry.sent
            if entry.fault:
                self._faults[entry.fault] += 1

    def entries(self) -> list[Entry]:
        """Return the latest requests, those under way included, in order of arrival."""
        with self._lock:
            return list(self._entries)

    def report(self) -> dict[str, Any]:
        """Return the sums of requests that are over, as plain values."""
        with self._lock:
            return {
                "requests": self._operations.total(),
                "operations": dict(self._operations),
                "statuses": {str(status): count for status, count in self._statuses.items()},
                "faults": dict(self._faults),
                "received": self._received,
                "sent": self._sent,
                "in_flight": self._in_flight,
                "most_in_flight": self._most_in_flight,
            }

    def reset(self) -> None:
        """Forget all but what is under way."""
        with self._lock:
            self._entries.clear()
            for counter in (self._attempts, self._operations, self._statuses, self._faults):
                counter.clear()
            self._most_in_flight, self._received, self._sent = self._in_flight, 0, 0
