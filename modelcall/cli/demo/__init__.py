"""``modelcall demo``: the main job on this machine, with a kill in the middle.

::

    command    the stages, in order                corpus   a real input, from this Python's own source
    files      the YAML files of the task          starts   the task as child processes, one of them killed
    proof      what must hold, and whether it did  showing  scores and rows on the screen
"""

from modelcall.cli.demo.command import app

__all__ = ["app"]
