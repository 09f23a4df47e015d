"""What an operation has at hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from modelcall.mock.tos.replies import invalid
from modelcall.mock.tos.store import Conditions

if TYPE_CHECKING:
    from modelcall.mock.tos.body import Body
    from modelcall.mock.tos.call import Call
    from modelcall.mock.tos.options import TosOptions
    from modelcall.mock.tos.replies import Headers
    from modelcall.mock.tos.store import Bucket, Store
    from modelcall.mock.tos.strike import Strike

_KEPT: Final = (
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
)
_META: Final = "x-tos-meta-"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request that is being answered."""

    call: Call
    body: Body
    store: Store
    options: TosOptions
    strike: Strike

    @property
    def bucket(self) -> Bucket:
        """The bucket that is asked about.

        Raises:
            Refused: There is none.
        """
        return self.store.bucket(self.call.bucket)

    def conditions(self) -> Conditions:
        """Return what the client wants to hold at the commit."""
        headers = self.call.headers
        return Conditions(
            forbid_overwrite=headers.get("x-tos-forbid-overwrite", "").lower() == "true",
            if_match=headers.get("x-tos-if-match", headers.get("if-match")),
            if_none_match=headers.get("if-none-match"),
        )

    def kept_headers(self) -> Headers:
        """Return what the client wants to get back with the object."""
        return {name: value for name, value in self.call.headers.items() if name in _KEPT or name.startswith(_META)}

    def number(self, name: str, *, default: int, least: int, most: int) -> int:
        """Return a number of the query.

        Raises:
            Refused: It is none, or out of bounds.
        """
        text = self.call.query.get(name, "")
        if not text:
            return default
        if not text.isdecimal() or not least <= int(text) <= most:
            raise invalid(f"{name} must be from {least} to {most}, got {text}.")
        return int(text)
