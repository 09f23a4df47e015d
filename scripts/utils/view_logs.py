"""Shows logs and scores of tasks: ``view_logs.py [--log_dir D] [--task NAME [--details | --stats]]``."""

from __future__ import annotations

import sys

from modelcall.cli.main import run

if __name__ == "__main__":
    sys.exit(run(["logs", *sys.argv[1:]]))
