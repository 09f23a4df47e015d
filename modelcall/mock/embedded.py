"""The server that a run starts for itself: ``provider: embedded`` of a model file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcall.mock.faults.rules import parse_faults
from modelcall.mock.options import MockOptions
from modelcall.mock.process import EmbeddedServer

if TYPE_CHECKING:
    from modelcall.config.model import EmbeddedBlock


def embedded_server(block: EmbeddedBlock | None) -> EmbeddedServer:
    """Return the server that a model file's ``embedded`` block describes, not started.

    Raises:
        ConfigError: A fault is unknown.
    """
    if block is None:
        return EmbeddedServer()
    return EmbeddedServer(
        MockOptions(
            latency=block.latency,
            jitter=block.jitter,
            faults=parse_faults(block.faults),
            capacity=block.capacity,
            time_scale=block.time_scale,
            seed=block.seed,
        )
    )
