"""A fault at work on one request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from modelcall.mock.tos.blobs import PIECE
from modelcall.mock.tos.kinds import KINDS
from modelcall.mock.tos.replies import Dropped, Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from modelcall.mock.tos.faults import TosFault
    from modelcall.mock.tos.replies import Answer
    from modelcall.mock.tos.store import Bucket

_NEVER = '"00000000000000000000000000000000"'


@dataclass(frozen=True, slots=True)
class Strike:
    """What a rule does to a request; without a rule, nothing."""

    name: str = ""
    rule: TosFault | None = None

    @property
    def delay(self) -> float:
        """Seconds to wait first."""
        return self._seconds if self.name == "delay" else 0.0

    @property
    def pause(self) -> float:
        """Seconds between the pieces of an answer."""
        return self._seconds if self.name == "trickle" else 0.0

    @property
    def piece(self) -> int:
        """Bytes of a piece of an answer."""
        return max(self._bytes(PIECE), 1) if self.name == "trickle" else PIECE

    @property
    def cuts(self) -> bool:
        """Whether the answer breaks off."""
        return self.name == "cut"

    def begin(self) -> None:
        """Raise what comes before anything is done.

        Raises:
            Refused: The fault is an error of the server.
            Dropped: The connection ends here.
        """
        if self.name == "drop":
            raise Dropped
        kind = KINDS.get(self.name)
        if kind is None or not kind.status or self.rule is None:
            return
        seconds = self.rule.seconds
        headers = {} if seconds is None else {"retry-after": f"{seconds:g}"}
        status = self.rule.status or kind.status
        code = self.rule.code or (kind.code if status == kind.status else f"Status{status}")
        raise Refused(status, code, "A fault of this server's rules.", ec=self.rule.ec, headers=headers)

    def acknowledge(self) -> None:
        """Raise what comes after everything was done.

        Raises:
            Dropped: The client never hears of it.
        """
        if self.name == "lost_ack":
            raise Dropped

    def upload(self, piece: bytes, received: int, announced: int) -> bytes:
        """Return what arrives of a piece.

        Raises:
            Dropped: The upload breaks off here.
        """
        if self.name not in {"truncate", "corrupt"}:
            return piece
        place = self._bytes(announced)
        if announced:  # an upload in chunks does not say its length
            place = min(place, announced - 1)
        if received <= place:
            return piece
        if self.name == "truncate":
            raise Dropped
        return _flipped(piece, place - (received - len(piece)))

    def download(self, pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
        """Yield what is sent of an answer."""
        place = self._bytes(size) if self.name in {"cut", "corrupt"} else size
        sent = 0
        for piece in pieces:
            sent += len(piece)
            if self.name == "cut" and sent > place:
                yield piece[: len(piece) - (sent - place)]
                return
            yield _flipped(piece, place - (sent - len(piece))) if self.name == "corrupt" else piece

    def spoil(self, answer: Answer, bucket: Bucket | None, key: str) -> Answer:
        """Return the answer with the checksum or ETag that the fault wants."""
        if self.name == "bad_crc" and answer.crc64 is not None:
            answer = replace(answer, crc64=answer.crc64 ^ 1)
        if answer.etag is not None and bucket is not None:
            answer = replace(answer, etag=self.etag(answer.etag, bucket, key))
        return answer

    def etag(self, etag: str, bucket: Bucket, key: str) -> str:
        """Return the ETag that is told."""
        if self.name != "stale_etag":
            return etag
        before = bucket.previous(key)
        return _NEVER if before is None else before.etag

    def listed(self, bucket: Bucket) -> Bucket:
        """Return the bucket that is listed."""
        if self.name != "stale_listing" or self.rule is None:
            return bucket
        return bucket.as_of(self.rule.changes)

    @property
    def _seconds(self) -> float:
        if self.rule is None or self.rule.seconds is None:
            return KINDS[self.name].seconds
        return self.rule.seconds

    def _bytes(self, whole: int) -> int:
        if self.rule is not None and self.rule.after is not None:
            return self.rule.after
        default = KINDS[self.name].after
        return whole // 2 if default is None else default


def _flipped(piece: bytes, place: int) -> bytes:
    """Return the piece with one bit of one byte changed, if that byte is in it."""
    if not 0 <= place < len(piece):
        return piece
    return piece[:place] + bytes([piece[place] ^ 1]) + piece[place + 1 :]
