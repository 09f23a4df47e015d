"""How long a reply takes, and what the server cannot take on."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

from modelcall.mock.faults.plan import draw

if TYPE_CHECKING:
    from modelcall.mock.faults.plan import Ask
    from modelcall.mock.options import MockOptions

_NORMAL = NormalDist()
_TINY = 1e-12


class Latency:
    """The time of each reply, a function of (seed, request, attempt)."""

    def __init__(self, options: MockOptions) -> None:
        self._seed = options.seed
        self._median = options.latency * options.time_scale
        self._jitter = options.jitter * options.time_scale
        self._uniform = options.distribution == "uniform"

    def seconds(self, ask: Ask) -> float:
        """Return real seconds."""
        if not self._jitter:
            return self._median
        share = draw(self._seed, "latency", ask.stem, ask.attempt)
        if self._uniform:
            return max(0.0, self._median + self._jitter * (2 * share - 1))
        sigma = math.log1p(self._jitter / self._median)
        return self._median * math.exp(sigma * _NORMAL.inv_cdf(max(share, _TINY)))


class Bucket:
    """At most ``rate`` requests a second, one second's worth at once (a token bucket)."""

    def __init__(self, rate: float, *, now: float) -> None:
        self._rate = rate
        self._burst = max(1.0, rate)
        self._tokens = self._burst
        self._at = now

    def wait(self, now: float) -> float:
        """Take a token and return 0, or return the seconds until there is one."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self._rate


class Queue:
    """A server that works on one request at a time, each for the same time, and lets the others wait."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._free_at = -math.inf

    def wait(self, now: float) -> float:
        """Return how long the request that arrives now takes, its waiting included."""
        self._free_at = max(now, self._free_at) + self._seconds
        return self._free_at - now
