"""Writes a task file from a template: ``create_task.py NAME --template basic|distributed|preprocess [--output F]``."""

from __future__ import annotations

import sys

from modelcall.cli.main import run

if __name__ == "__main__":
    sys.exit(run(["create-task", *sys.argv[1:]]))
