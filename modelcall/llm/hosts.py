"""A file of base URLs that is re-read while running, for clusters whose servers come and go."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit


class HostsFile:
    """Reads the file when it changed. A missing or empty file leaves what was known."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._seen: tuple[int, int] | None = None

    def changed(self) -> tuple[str, ...] | None:
        """Return the URLs if the file changed since the last call and names any."""
        try:
            stat = self._path.stat()
            seen = (stat.st_mtime_ns, stat.st_size)
            if seen == self._seen:
                return None
            urls = parse_hosts(self._path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            return None
        self._seen = seen
        return urls or None


def parse_hosts(text: str) -> tuple[str, ...]:
    """Read one URL a line; ``#`` begins a comment; ``host:port`` alone means ``http://host:port/v1``.

    Lines that are neither are left out.
    """
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    urls = [line if "://" in line else f"http://{line}/v1" for line in lines if line]
    return tuple(dict.fromkeys(url.rstrip("/") for url in urls if is_url(url)))


def is_url(text: str) -> bool:
    """Whether a server can lie behind this text. With a user or password it would not get its own key."""
    try:
        parts = urlsplit(text)
        is_bare = "@" not in parts.netloc and (parts.port is None or parts.port > 0)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and is_bare
    except ValueError:
        return False
