from __future__ import annotations

from typing import Any

import pytest

from modelcall.config.environment import Environment
from modelcall.config.shard import Shard, resolve_shard
from modelcall.config.task import DistributedConfig
from modelcall.errors import ConfigError

RANK = {"RANK": "3", "WORLD_SIZE": "8"}
SLURM = {
    "SLURM_ARRAY_TASK_ID": "14",
    "SLURM_ARRAY_TASK_MIN": "10",
    "SLURM_ARRAY_TASK_MAX": "18",
    "SLURM_ARRAY_TASK_STEP": "2",
    "SLURM_ARRAY_TASK_COUNT": "5",
}


def shard(
    env: dict[str, str], *, cli_index: int | None = None, cli_world: int | None = None, **distributed: Any
) -> tuple[int, int, str]:
    found = resolve_shard(
        DistributedConfig.model_validate(distributed), Environment(env), job_index=cli_index, world_size=cli_world
    )
    return found.job_index, found.world_size, found.source


def refused(env: dict[str, str], **given: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        shard(env, **given)
    assert caught.value.mistakes or "$" in caught.value.message or "Slurm" in caught.value.message
    return caught.value.message


def test_one_shard_by_default() -> None:
    assert resolve_shard(DistributedConfig(), Environment({})) == Shard(0, 1, "the default")


def test_disabled_block_and_launcher_variables_do_not_count() -> None:
    assert shard(RANK | SLURM, enabled=False, world_size=9, job_index=4) == (0, 1, "the default")


def test_command_line_always_counts() -> None:
    assert shard(RANK, cli_index=2, cli_world=10) == (2, 10, "the command line")
    assert shard({}, cli_index=2, enabled=True, world_size=10, job_index=7) == (
        *(2, 10),
        "the command line and the task file",
    )


def test_task_file_beats_launchers() -> None:
    assert shard(RANK, enabled=True, world_size=4, job_index=1) == (1, 4, "the task file")


def test_torchrun() -> None:
    assert shard(RANK, enabled=True) == (3, 8, "RANK and WORLD_SIZE")
    assert shard({"RANK": "3"}, enabled=True) == (0, 1, "the default")


def test_slurm_array_counts_from_its_smallest_id() -> None:
    assert shard(SLURM | RANK, enabled=True) == (2, 5, "SLURM_ARRAY_TASK_ID and the Slurm array")


def test_slurm_array_without_a_count() -> None:
    env = {name: value for name, value in SLURM.items() if not name.endswith("COUNT")}

    assert shard(env, enabled=True)[:2] == (2, 5)


def test_world_size_of_the_task_file_with_the_index_of_the_launcher() -> None:
    assert shard({"JOB_COMPLETION_INDEX": "2"} | RANK, enabled=True, world_size=4) == (
        *(2, 4),
        "JOB_COMPLETION_INDEX and the task file",
    )


def test_single_explicit_shard_is_fine() -> None:
    assert shard({}, cli_index=0)[:2] == (0, 1)
    assert shard({}, enabled=True, world_size=1)[:2] == (0, 1)


@pytest.mark.parametrize(
    ("env", "given", "words"),
    [
        ({}, {"cli_world": 3}, "world_size is 3 (from the command line), but no job_index is set"),
        ({}, {"enabled": True, "world_size": 4}, "but no job_index is set"),
        ({}, {"cli_index": 3, "cli_world": 3}, "job_index 3 must be below world_size 3 (from the command line)"),
        ({}, {"cli_index": 1}, "but no world_size is set"),
        ({}, {"cli_index": -1, "cli_world": 3}, "job_index must be at least 0, got -1"),
        ({}, {"cli_index": 0, "cli_world": 0}, "world_size must be at least 1, got 0"),
        ({}, {"cli_index": -1, "cli_world": 0}, "; job_index must be"),
        ({"JOB_COMPLETION_INDEX": "0"}, {"enabled": True}, "but no world_size is set"),
        (
            RANK,
            {"enabled": True, "world_size": 1},
            "job_index 3 must be below world_size 1 (from RANK and the task file)",
        ),
        (RANK | {"RANK": "8"}, {"enabled": True}, "job_index 8 must be below world_size 8"),
        (RANK | {"RANK": "x"}, {"enabled": True}, "$RANK must be a whole number, got 'x'"),
        (SLURM | {"SLURM_ARRAY_TASK_COUNT": "2"}, {"enabled": True}, "not evenly spaced"),
        (SLURM | {"SLURM_ARRAY_TASK_ID": "13"}, {"enabled": True}, "not evenly spaced"),
    ],
)
def test_shard_that_cannot_be(env: dict[str, str], given: dict[str, Any], words: str) -> None:
    assert words in refused(env, **given)


def test_slurm_shards_are_disjoint_and_complete() -> None:
    found = {shard(SLURM | {"SLURM_ARRAY_TASK_ID": str(task)}, enabled=True)[:2] for task in range(10, 19, 2)}

    assert found == {(index, 5) for index in range(5)}
