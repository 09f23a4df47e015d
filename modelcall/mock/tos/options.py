"""What a user may choose about the local TOS."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from modelcall.errors import ConfigError
from modelcall.mock.tos.faults import TosFault
from modelcall.mock.tos.signature import Credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

_BUCKET: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{1,61})[a-z0-9]")


@dataclass(frozen=True, slots=True)
class TosOptions:
    """The behaviour of the server. Durations are seconds."""

    port: int = 0
    """0: any free port."""
    buckets: tuple[str, ...] = ("local",)
    """Made at the start; the first is meant by requests that name none."""
    root: str | None = None
    """Folder of the objects' bytes; None: a temporary one."""
    load: str | None = None
    """Folder whose files are objects of the first bucket at the start."""
    access_key: str = "local-access-key"
    secret_key: str = "local-secret-key"  # noqa: S105  of nothing but this server
    security_token: str | None = None
    """Must come with every request; None: must come with none."""
    region: str = "cn-local"
    endpoint: str = "tos.test"
    """Made-up host that clients believe they talk to."""
    latency: float = 0.0
    """Each request waits for so long first."""
    faults: tuple[TosFault, ...] = ()
    seed: int = 0
    """Of faults with a rate."""
    min_part_size: int = 5 << 20
    """Parts but the last must not be smaller."""
    clock_offset: float = 0.0
    """Seconds that the server's clock is ahead."""
    log_requests: int = 100_000
    """So many of the latest requests are kept in the log."""

    def __post_init__(self) -> None:
        mistakes = [text for text in self._mistakes() if text]
        if mistakes:
            raise ConfigError(f"The local TOS cannot run so: {'; '.join(mistakes)}.", hint="Correct these options.")

    def _mistakes(self) -> list[str | None]:
        bad = [name for name in self.buckets if not _BUCKET.fullmatch(name)]
        return [
            None if 0 <= self.port <= 65535 else f"port must be from 0 to 65535, got {self.port}",  # noqa: PLR2004  16 bits
            None if self.buckets else "it needs a bucket",
            f"a bucket's name is 3 to 63 of a-z, 0-9 and hyphens, got {', '.join(bad)}" if bad else None,
            None if self.latency >= 0 else f"latency must be at least 0, got {self.latency:g}",
            None if self.access_key and self.secret_key else "the keys must not be empty",
        ]

    @property
    def credentials(self) -> Credentials:
        """Whom it knows."""
        return Credentials(self.access_key, self.secret_key, self.region, self.security_token)

    def to_json(self) -> dict[str, Any]:
        """Return plain values, for another process."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TosOptions:
        """Undo :meth:`to_json`."""
        faults = tuple(TosFault(**rule) for rule in values["faults"])
        return cls(**{**values, "faults": faults, "buckets": tuple(values["buckets"])})
