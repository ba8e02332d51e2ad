"""What several tests of the trainer share."""

import time

import pytest

from tests.lightning.runs import finish, start


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """The folder of a run that nothing happened to, and how long it took; by the number of workers."""
    known = {}

    def get(workers=0):
        if workers not in known:
            folder = tmp_path_factory.mktemp(f"whole{workers}")
            began = time.monotonic()
            finish(start(folder, workers))
            known[workers] = folder, time.monotonic() - began
        return known[workers]

    return get
