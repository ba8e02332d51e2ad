"""A run that is killed goes on from its last checkpoint and ends as if it had not been."""

import os
import random
import signal
import subprocess

import pytest

from tests.lightning.runs import assert_same, finish, result, start

KILLS = 50 if os.environ.get("RUSHLIGHT_SLOW") else 3


def killed_at_random(folder, whole, duration, kills, rng, workers=0):
    """Run it, killing it that many times; returns how often it really was killed."""
    done = 0
    while done < kills:
        process = start(folder, workers)
        try:
            process.communicate(timeout=rng.uniform(0.3, 1.0) * duration)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            done += 1
        if (folder / "end.pt").exists():  # it was quicker: begin another one
            assert_same(result(folder), result(whole))
            for path in sorted(folder.rglob("*"), reverse=True):
                path.unlink() if path.is_file() else path.rmdir()
    finish(start(folder, workers))


@pytest.mark.parametrize("workers", [0, 2])
def test_kill(tmp_path, undisturbed, workers):
    whole, duration = undisturbed(workers)
    kills = KILLS if workers == 0 else max(1, KILLS // 5)
    killed_at_random(tmp_path, whole, duration, kills, random.Random(1), workers)
    assert_same(result(tmp_path), result(whole))
    names = {path.name for path in tmp_path.iterdir()} ^ {path.name for path in whole.iterdir()}
    assert not [name for name in names if name.endswith(".ckpt")], names
