"""How clients get to the server: the made-up endpoint is behind a proxy, which the server is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelcall.mock.listening import HOST

if TYPE_CHECKING:
    from modelcall.mock.tos.options import TosOptions


def environment(options: TosOptions, port: int) -> dict[str, str]:
    """Return what makes the SDK, in another process, use the server; calls to this machine itself bypass it."""
    token = {} if options.security_token is None else {"TOS_SECURITY_TOKEN": options.security_token}
    return {
        "TOS_ENDPOINT": f"http://{options.endpoint}",
        "REGION": options.region,
        "TOS_ACCESS_KEY": options.access_key,
        "TOS_SECRET_KEY": options.secret_key,
        **token,
        "TOS_BUCKET": options.buckets[0],
        "HTTP_PROXY": f"http://{HOST}:{port}",
        "NO_PROXY": f"{HOST},localhost",
    }


def sdk_settings(options: TosOptions, port: int) -> dict[str, Any]:
    """Return arguments of ``tos.TosClientV2``, for a client in this process.

    No retries of its own, no cache of names for the whole process, no log of slow calls.
    """
    return {
        "ak": options.access_key,
        "sk": options.secret_key,
        "security_token": options.security_token,
        "endpoint": f"http://{options.endpoint}",
        "region": options.region,
        "proxy_host": HOST,
        "proxy_port": port,
        "max_retry_count": 0,
        "dns_cache_time": 0,
        "high_latency_log_threshold": 1e-9,
    }
