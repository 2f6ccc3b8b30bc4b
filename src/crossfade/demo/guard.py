"""Leads the process group of all the demo's children, and ends it when the demo is gone.

``python -m crossfade.demo.guard`` reads its stdin to the end. The demo holds the other end of that
pipe, so the end comes however the demo ends, kill -9 included; then every process of the group is
killed. The line ``keep`` before the end lets them run on.
"""

import os
import signal
import sys

KEEP = "keep"


def wait_for_the_end() -> bool:
    """Read until the pipe is closed; whether the children are to run on."""
    keeps = False
    for line in sys.stdin:
        keeps = line.strip() == KEEP
    return keeps


if __name__ == "__main__":
    # Ctrl-C and a polite end are the demo's to handle; it closes the pipe afterwards.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.write(1, b"ready\n")
    if not wait_for_the_end():
        os.killpg(os.getpgrp(), signal.SIGKILL)
