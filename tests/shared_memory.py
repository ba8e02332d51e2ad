"""What lies in shared memory under a name. Other processes, tests too, put things there and take them away."""

import os
import time

FOLDER = "/dev/shm"


def names() -> set:
    """All of it."""
    return set(os.listdir(FOLDER)) if os.path.isdir(FOLDER) else set()


def left_since(before: set, seconds: float = 20.0) -> set:
    """What came after `before` was noted, and is not gone in time."""
    left, end = names() - before, time.monotonic() + seconds
    while left and time.monotonic() < end:
        time.sleep(0.05)
        left &= names()
    return left
