#!/usr/bin/env bash
# Starts a task in the background, where it survives your logout; prints its pid, its log, how to watch and to stop it.
#
#   scripts/run_task.sh                                       lists configs/tasks with their descriptions
#   scripts/run_task.sh TASK.yaml [JOB_INDEX WORLD_SIZE]      starts one, or one shard of it
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/_setup.sh"

case $#:${1-} in
    1:-h | 1:--help) sed -n '2,5s/^# \{0,1\}//p' -- "${BASH_SOURCE[0]}" ;;
    0:*) exec_modelcall start ;;
    1:*) exec_modelcall start -- "$1" ;;
    3:*) exec_modelcall start --job_index="$2" --world_size="$3" -- "$1" ;;
    *)
        echo "usage: run_task.sh [TASK.yaml [JOB_INDEX WORLD_SIZE]]" >&2
        exit 2
        ;;
esac
