#!/usr/bin/env bash
# Looks after the tasks that were started from the current folder. P is any part of a task's name.
#
#   scripts/manage_tasks.sh list           all, in a table
#   scripts/manage_tasks.sh status P       those that P means, in full
#   scripts/manage_tasks.sh monitor P      the same again and again, until they have ended
#   scripts/manage_tasks.sh stop P         ends them gracefully; started again they go on
#   scripts/manage_tasks.sh stopall        ends all
#   scripts/manage_tasks.sh clean          forgets those that have ended; logs and output stay
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/_setup.sh"

case ${1-}:$# in
    list:1) exec_modelcall status ;;
    status:2) exec_modelcall status -- "$2" ;;
    monitor:2) exec_modelcall status --watch -- "$2" ;;
    stop:2) exec_modelcall stop -- "$2" ;;
    stopall:1) exec_modelcall stop --all ;;
    clean:1) exec_modelcall clean ;;
    -h:1 | --help:1) sed -n '2,9s/^# \{0,1\}//p' -- "${BASH_SOURCE[0]}" ;;
    *)
        echo "usage: manage_tasks.sh list | status P | monitor P | stop P | stopall | clean" >&2
        exit 2
        ;;
esac
