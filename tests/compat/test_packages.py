"""Packages written in Python over torch print the same here as on PyTorch; skipped where they are absent.

All but the quickest are run by `python -m tests.compat.packages.run` alone, which takes minutes.
"""

import pytest

from tests.compat.packages import run

pytest.importorskip("torch")
QUICK = ("einops", "entmax", "safetensors")


@pytest.mark.parametrize("name", QUICK)
def test_package(name):
    if run.version(name) is None:
        pytest.skip(f"{name} is not installed")
    assert run.compare(name) is None


def test_outputs_are_compared():
    assert run.difference("torch.Size([2]) 1.0001 0x1f", "torch.Size([2]) 1.0002 0x2e") is None
    assert run.difference("rushlight.Tensor 3", "torch.Tensor 3") is None
    assert run.difference("a 1.5", "a 1.6") and run.difference("a 3", "a 4") and run.difference("a", "a\nb")
