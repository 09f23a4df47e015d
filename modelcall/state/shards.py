"""Which shard gets which files: the same answer on every machine, disjoint, complete, balanced by bytes."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelcall.state.listing import ListedFile


def assign(files: Sequence[ListedFile], world_size: int) -> list[list[ListedFile]]:
    """Return each shard's files, in the order of the listing.

    The largest file first, each to the shard with the fewest bytes so far (longest processing time first; Graham 1969):
    no two shards differ by more than the largest file. A file counts one byte more than its size, so that empty ones
    spread too.
    """
    loads = [(0, shard) for shard in range(world_size)]
    owner: dict[str, int] = {}
    for file in sorted(files, key=lambda file: (-file.size, file.name)):
        load, shard = heapq.heappop(loads)
        owner[file.name] = shard
        heapq.heappush(loads, (load + file.size + 1, shard))
    shards: list[list[ListedFile]] = [[] for _ in range(world_size)]
    for file in files:
        shards[owner[file.name]].append(file)
    return shards
