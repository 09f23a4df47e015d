"""Memory, managed for long runs: the garbage collector, the allocators of large blocks, and what nobody asks for.

A request that succeeds leaves no reference cycles, so looking for them finds nothing; but by default Python looks at
everything young after every 700 objects, which is every few requests, and that was a tenth of a request's CPU. What
makes cycles (exceptions with their tracebacks) is rare, and is still collected: after so many more objects.

Ranges, row groups and parts are blocks of up to some MiB, made and freed by many threads. Left alone, the C library
moves such blocks into the heap of each thread as soon as it has seen one freed, and Arrow's allocator keeps what it has
had: a run then holds some hundred MiB that nobody uses. So large blocks come from the system and go back to it.

Arrow, asked for a column of Python values for the first time, imports pandas if it is installed, to tell a Series
from a list: a second of CPU and 60 MiB for nothing, where nobody has a Series.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from contextlib import suppress
from typing import Final

import pyarrow as pa

THRESHOLDS: Final = (10_000, 2, 2_000)
"""New objects between collections of the youngest generation; how many of these to one of the next; and so on.

A collection stops the event loop for 1 to 2 µs an object. A request in flight is some 60 objects: while thousands of
requests begin, each collection finds as many new ones as it is called for, and one of the next generations all that
came since the last of those: so the second takes little at a time, and the third, which takes all, comes once in half a
million requests.
"""

_MMAP_THRESHOLD: Final = -3
"""``M_MMAP_THRESHOLD`` of mallopt(3). Once it is set it stays."""
LARGE_BYTES: Final = 1 << 20


def collect_less() -> None:
    """Leave what start-up made out of all collections, and collect seldom. Call it when everything is imported."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


def leave_pandas_out() -> None:
    """Let Arrow take it that there is no pandas, unless somebody imports it. Only where no code of a user's runs.

    What needs pandas (``to_pandas``) imports it still, and from then on Arrow knows it.
    """
    if "pandas" not in sys.modules:
        absent = _NoPandas()
        sys.meta_path.insert(0, absent)
        try:
            pa.array([])  # looks for it once
        finally:
            sys.meta_path.remove(absent)


class _NoPandas:
    """A finder of modules that finds no pandas."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        """Refuse pandas; leave all others to the finders behind this one."""
        del path, target
        if name == "pandas":
            raise ModuleNotFoundError(name, name=name)


def hold_less() -> None:
    """Give large blocks back when they are freed. Call it before there are threads; elsewhere it may have no effect."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library than glibc
            ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, LARGE_BYTES)
        with suppress(NotImplementedError):  # pyarrow was built without it
            pa.jemalloc_set_decay_ms(0)
            pa.set_memory_pool(pa.jemalloc_memory_pool())
