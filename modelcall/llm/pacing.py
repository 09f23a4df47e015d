"""Requests and tokens per minute. Both answer the same question: how many seconds must this request wait?"""

from __future__ import annotations

from typing import Final

MINUTE: Final = 60.0


class RequestPace:
    """At most so many requests in any minute: the generic cell rate algorithm (ITU-T I.371), turns in order."""

    def __init__(self, per_minute: float) -> None:
        burst = max(1.0, per_minute // MINUTE)
        # The burst comes on top of the steady rate in the minute it happens in.
        self._gap = MINUTE / max(per_minute - burst, per_minute / 2)
        self._slack = (burst - 1) * self._gap
        self._next: float | None = None

    def wait(self, now: float) -> float:
        """Return the seconds until the next turn comes, without taking it."""
        return 0.0 if self._next is None else max(0.0, self._next - self._slack - now)

    def reserve(self, now: float, *, share: float = 1.0) -> float:
        """Take the next turn of who has a share of all turns; return the seconds until it comes."""
        wait = self.wait(now)
        self._next = (now if self._next is None else max(now, self._next)) + self._gap / share
        return wait


class TokenPace:
    """At most so many tokens per minute. A request's tokens are guessed from its size, corrected when it ends.

    What was used too much is paid back by those that come later.
    """

    _FIRST_GUESS = 0.5
    """Tokens per byte of the request, prompt and completion together, before anything is known."""
    _MEMORY = 0.05
    """Weight of one request in what is known."""

    def __init__(self, per_minute: float) -> None:
        self._rate = per_minute / MINUTE
        self._per_byte = self._FIRST_GUESS
        self._share = 1.0
        self._clear_at: float | None = None

    def wait(self, now: float) -> float:
        """Return the seconds until the next turn comes, without taking it."""
        return 0.0 if self._clear_at is None else max(0.0, self._clear_at - now)

    def reserve(self, now: float, size: int, *, share: float = 1.0) -> tuple[float, float]:
        """Take a turn for a request of ``size`` bytes; return the seconds until it comes and the tokens guessed.

        ``share`` is that of all tokens of a minute.
        """
        guess, wait = size * self._per_byte, self.wait(now)
        self._share = share
        self._clear_at = now + wait + guess / (share * self._rate)
        return wait, guess

    def settle(self, guess: float, size: int, tokens: int | None) -> None:
        """Correct a guess by what the server counted; None: it did not say."""
        if tokens is None or self._clear_at is None:
            return
        self._clear_at += (tokens - guess) / (self._share * self._rate)
        self._per_byte += self._MEMORY * (tokens / max(size, 1) - self._per_byte)
