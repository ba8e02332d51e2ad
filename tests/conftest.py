"""Settings of all tests."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # the workers share the cores, so each gets one thread
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings

settings.register_profile("quiet", deadline=None, derandomize=True)
settings.load_profile("quiet")
