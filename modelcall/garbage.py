"""Memory, managed for long runs: the garbage collector for many small requests, the allocators for large blocks.

A request that succeeds leaves no reference cycles, so looking for them finds nothing; but by default Python looks at
everything young after every 700 objects, which is every few requests, and that was a tenth of a request's CPU. What
makes cycles (exceptions with their tracebacks) is rare, and is still collected: after so many more objects.

Ranges, row groups and parts are blocks of up to some MiB, made and freed by many threads. Left alone, the C library
moves such blocks into the heap of each thread as soon as it has seen one freed, and Arrow's allocator keeps what it has
had: a run then holds some hundred MiB that nobody uses. So large blocks come from the system and go back to it.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from contextlib import suppress
from typing import Final

import pyarrow as pa

THRESHOLDS: Final = (20_000, 50, 50)
"""New objects between collections of the youngest generation; how many of these to one of the next; and so on.

A collection stops the event loop for 1 to 2 µs an object. A request in flight is some 60 objects: while thousands of
requests begin, each collection finds as many new ones as it is called for.
"""

_MMAP_THRESHOLD: Final = -3
"""``M_MMAP_THRESHOLD`` of mallopt(3). Once it is set it stays."""
LARGE_BYTES: Final = 1 << 20


def collect_less() -> None:
    """Leave what start-up made out of all collections, and collect seldom. Call it when everything is imported."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


def hold_less() -> None:
    """Give large blocks back when they are freed. Call it before there are threads; elsewhere it may have no effect."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library than glibc
            ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, LARGE_BYTES)
        with suppress(NotImplementedError):  # pyarrow was built without it
            pa.jemalloc_set_decay_ms(0)
            pa.set_memory_pool(pa.jemalloc_memory_pool())
