"""How clients get to the server: the made-up endpoint is behind a proxy, which the server is."""

from __future__ import annotations

from typing import Any

from modelcall.mock.listening import HOST
from modelcall.mock.tos.options import TosOptions


def environment(options: TosOptions, port: int) -> dict[str, str]:
    """Return what makes the SDK, in another process, use the server; calls to this machine itself bypass it.

    The names in small letters are those that win where both are set.
    """
    token = {} if options.security_token is None else {"TOS_SECURITY_TOKEN": options.security_token}
    return {
        "TOS_ENDPOINT": f"http://{options.endpoint}",
        "REGION": options.region,
        "TOS_ACCESS_KEY": options.access_key,
        "TOS_SECRET_KEY": options.secret_key,
        **token,
        "TOS_BUCKET": options.buckets[0],
        **dict.fromkeys(("HTTP_PROXY", "http_proxy"), f"http://{HOST}:{port}"),
        **dict.fromkeys(("NO_PROXY", "no_proxy"), f"{HOST},localhost"),
    }


class Reachable:
    """A server that somebody runs."""

    def __init__(self, options: TosOptions | None = None) -> None:
        self.options = options or TosOptions()
        self.port = 0
        """Of the proxy that it is, once it listens."""

    @property
    def environment(self) -> dict[str, str]:
        """What makes the SDK of another process use it."""
        return environment(self.options, self.port)

    @property
    def sdk_settings(self) -> dict[str, Any]:
        """Arguments of ``tos.TosClientV2``.

        No retries of its own, no cache of names for the whole process, no log of slow calls.
        """
        return {
            "ak": self.options.access_key,
            "sk": self.options.secret_key,
            "security_token": self.options.security_token,
            "endpoint": f"http://{self.options.endpoint}",
            "region": self.options.region,
            "proxy_host": HOST,
            "proxy_port": self.port,
            "max_retry_count": 0,
            "dns_cache_time": 0,
            "high_latency_log_threshold": 1e-9,
        }
