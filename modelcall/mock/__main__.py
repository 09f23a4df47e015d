"""The child of :class:`modelcall.mock.process.EmbeddedServer`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelcall.mock.options import MockOptions
from modelcall.mock.parent import serve_parent
from modelcall.mock.serving import run_forever

if TYPE_CHECKING:
    from modelcall.mock.parent import Announce, Until


def _run(options: Any, announce: Announce, until: Until) -> None:  # noqa: ANN401  JSON
    run_forever(
        MockOptions.from_json(options),
        lambda running: announce({"port": running.port, "base_url": running.base_url}),
        until=until,
    )


if __name__ == "__main__":
    raise SystemExit(serve_parent(_run))
