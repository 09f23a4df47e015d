"""The garbage collector, set for long runs of many small requests.

A request that succeeds leaves no reference cycles, so looking for them finds nothing; but by default Python looks at
everything young after every 700 objects, which is every few requests, and that was a tenth of a request's CPU. What
makes cycles (exceptions with their tracebacks) is rare, and is still collected: after so many more objects.
"""

from __future__ import annotations

import gc
from typing import Final

THRESHOLDS: Final = (50_000, 20, 50)
"""New objects between collections of the youngest generation; how many of these to one of the next; and so on."""


def collect_less() -> None:
    """Leave what start-up made out of all collections, and collect seldom. Call it when everything is imported."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
