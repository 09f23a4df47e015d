"""What a run shows while it runs: counters, log lines, batch details, final statistics.

All are fed by the events of :class:`modelcall.types.RunListener`, through :class:`Observers`, which lets no exception
of an observer reach the run. Nothing here draws: :meth:`Progress.snapshot` is plain data for whoever does.
"""

from modelcall.observe.batch_details import BatchDetails, batch_details_path
from modelcall.observe.batches import Batch, Batches
from modelcall.observe.final_stats import RunFacts, final_stats, final_stats_path, write_final_stats
from modelcall.observe.latency import Latency
from modelcall.observe.logs import LogLines
from modelcall.observe.observers import Observers, heartbeat
from modelcall.observe.progress import Progress
from modelcall.observe.snapshot import Snapshot, combined

__all__ = [
    "Batch",
    "BatchDetails",
    "Batches",
    "Latency",
    "LogLines",
    "Observers",
    "Progress",
    "RunFacts",
    "Snapshot",
    "batch_details_path",
    "combined",
    "final_stats",
    "final_stats_path",
    "heartbeat",
    "write_final_stats",
]
