"""What holds for all tests."""

from __future__ import annotations

import signal

for number in (signal.SIGINT, signal.SIGHUP):  # ignored under nohup and in the background, and so in every child
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)
