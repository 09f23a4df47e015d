"""The store over the local TOS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcall.fs.tos.filesystem import TosFileSystem
from modelcall.types import Secret, TosAccess
from tests.mock_tos.sdk import BUCKET

if TYPE_CHECKING:
    from modelcall.mock.tos.reach import Reachable

ROOT = f"tos://{BUCKET}/folder"
PART = 64 << 10


def store(tos: Reachable, *, budget: float = 20.0, secret: str | None = None) -> TosFileSystem:
    options = tos.options
    return TosFileSystem(
        TosAccess(
            endpoint=f"http://{options.endpoint}/",
            region=options.region,
            access_key=Secret(options.access_key),
            secret_key=Secret(secret or options.secret_key),
            security_token=Secret(options.security_token) if options.security_token else None,
        ),
        budget=budget,
    )
