"""Multipart uploads that are open: their parts, and what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from modelcall.mock.tos.checksum import combined_crc64, multipart_etag
from modelcall.mock.tos.replies import invalid
from modelcall.mock.tos.store import Version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelcall.mock.tos.blobs import Extent

MOST_PARTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Part:
    """One part, as uploaded last."""

    number: int
    extents: tuple[Extent, ...]
    size: int
    etag: str
    crc64: int
    modified: float


@dataclass(slots=True)
class Upload:
    """Parts under way to an object."""

    upload_id: str
    key: str
    headers: Mapping[str, str]
    initiated: float
    parts: dict[int, Part] = field(default_factory=dict)

    def chosen(self, asked: Sequence[tuple[int, str]] | None, *, least: int) -> list[Part]:
        """Return the parts of the object in their order: those that are asked for by number and ETag, or all.

        Raises:
            Refused: One is not there, or too small; 400.
        """
        parts = list(self.parts.values()) if asked is None else [self._part(number, etag) for number, etag in asked]
        if not parts or len({part.number for part in parts}) < len(parts):
            raise invalid("The parts are none, or one is named twice.", code="InvalidPart")
        parts.sort(key=lambda part: part.number)
        small = [part.number for part in parts[:-1] if part.size < least]
        if small:
            raise invalid(f"Parts are smaller than {least} bytes: {small[:5]}", code="EntityTooSmall")
        return parts

    def _part(self, number: int, etag: str) -> Part:
        part = self.parts.get(number)
        if part is None or part.etag.strip('"') != etag.strip('"'):
            raise invalid(f"Part {number} was not uploaded with the ETag {etag}.", code="InvalidPart")
        return part

    def assembled(self, parts: Sequence[Part], *, now: float) -> Version:
        """Return the object made of these parts."""
        return Version(
            extents=tuple(extent for part in parts for extent in part.extents),
            size=sum(part.size for part in parts),
            etag=multipart_etag(part.etag for part in parts),
            crc64=combined_crc64((part.crc64, part.size) for part in parts),
            modified=now,
            headers=self.headers,
            kind="Multipart",
        )
