"""The child of :class:`modelcall.mock.tos.process.TosProcess`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelcall.mock.parent import serve_parent
from modelcall.mock.tos.options import TosOptions
from modelcall.mock.tos.serving import run_tos

if TYPE_CHECKING:
    from modelcall.mock.parent import Announce, Until


def _run(options: Any, announce: Announce, until: Until) -> None:  # noqa: ANN401  JSON
    run_tos(TosOptions.from_json(options), lambda running: announce({"port": running.port}), until=until)


if __name__ == "__main__":
    raise SystemExit(serve_parent(_run))
