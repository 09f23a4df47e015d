"""What a run shows while it runs: counters, log lines, batch details, final statistics, status, control, metrics.

All are fed by the events of :class:`modelcall.types.RunListener`, through :class:`Observers`, which lets no exception
of an observer reach the run. Nothing here draws: :meth:`Progress.snapshot` is plain data for whoever does.
"""

from modelcall.observe.batch_details import BatchDetails, batch_details_path
from modelcall.observe.batches import Batch, Batches
from modelcall.observe.cost import Cost, cost
from modelcall.observe.final_stats import RunFacts, final_stats, final_stats_path, write_final_stats
from modelcall.observe.latency import Latency
from modelcall.observe.logs import LogLines
from modelcall.observe.observers import Observers, heartbeat
from modelcall.observe.phase import Phase, Phases
from modelcall.observe.progress import Progress
from modelcall.observe.run_state import Ending, RunIdentity, RunState, SlowRow, Status
from modelcall.observe.snapshot import Snapshot
from modelcall.observe.status_file import Record, StatusFile, status_folder, status_name
from modelcall.observe.status_json import status_from, status_json

__all__ = [
    "Batch",
    "BatchDetails",
    "Batches",
    "Cost",
    "Ending",
    "Latency",
    "LogLines",
    "Observers",
    "Phase",
    "Phases",
    "Progress",
    "Record",
    "RunFacts",
    "RunIdentity",
    "RunState",
    "SlowRow",
    "Snapshot",
    "Status",
    "StatusFile",
    "batch_details_path",
    "cost",
    "final_stats",
    "final_stats_path",
    "heartbeat",
    "status_folder",
    "status_from",
    "status_json",
    "status_name",
    "write_final_stats",
]
