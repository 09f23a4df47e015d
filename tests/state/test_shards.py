import random
from operator import attrgetter

import pytest

from modelcall.state.listing import ListedFile
from modelcall.state.shards import assign

by_name = attrgetter("name")


def files(count: int, seed: int) -> list[ListedFile]:
    rng = random.Random(seed)
    return [
        ListedFile(f"f{number:04d}", f"/f{number:04d}", rng.choice((0, 1, 10, 10**6, rng.randrange(10**9))), "e")
        for number in range(count)
    ]


@pytest.mark.parametrize("count", range(301))
def test_shards_are_disjoint_complete_and_balanced_within_the_largest_file(count: int) -> None:
    listing = files(count, seed=count)
    names = [file.name for file in listing]
    largest = max((file.size + 1 for file in listing), default=0)
    for world_size in range(1, 65):
        shards = assign(listing, world_size)
        assert len(shards) == world_size
        assert sorted(file.name for shard in shards for file in shard) == names
        assert all(shard == sorted(shard, key=by_name) for shard in shards)
        loads = [sum(file.size + 1 for file in shard) for shard in shards]
        assert max(loads) - min(loads) <= largest


def test_the_assignment_does_not_depend_on_the_order_of_the_listing() -> None:
    listing = files(100, seed=1)
    shuffled = random.Random(2).sample(listing, len(listing))
    ours = [{file.name for file in shard} for shard in assign(listing, 7)]
    assert [{file.name for file in shard} for shard in assign(shuffled, 7)] == ours
