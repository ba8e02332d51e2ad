"""Which kernel set is chosen, and what is said about it."""

import os
import subprocess
import sys

import pytest


def run(code, **environment):
    env = {k: v for k, v in os.environ.items() if k != "RUSHLIGHT_KERNELS"}
    return subprocess.run(
        [sys.executable, "-c", code], env={**env, **environment}, capture_output=True, text=True, timeout=120
    )


CHOICE = "from rushlight import kernels as K; print(K.NAME, K.add.__name__, type(K.add).__name__)"
MISSING = "import sys; sys.modules['rushlight._native'] = None\n"


def test_reference_on_request():
    result = run(CHOICE, RUSHLIGHT_KERNELS="reference")
    assert (result.stdout, result.stderr) == ("reference add function\n", "")


def test_reference_without_the_extension():
    result = run(MISSING + CHOICE)
    assert result.stdout == "reference add function\n"
    assert result.stderr.count("RuntimeWarning") == 1 and "slow NumPy kernels" in result.stderr


def test_silent_when_asked_for():
    result = run(MISSING + CHOICE, RUSHLIGHT_KERNELS="reference")
    assert (result.stdout, result.stderr) == ("reference add function\n", "")


@pytest.mark.parametrize(
    "wanted,code,message",
    [("native", MISSING, "cannot be loaded"), ("fast", "", "expected native or reference, got 'fast'")],
)
def test_errors(wanted, code, message):
    result = run(code + CHOICE, RUSHLIGHT_KERNELS=wanted)
    assert result.returncode != 0 and message in result.stderr


def test_both_sets_have_the_same_functions():
    pytest.importorskip("rushlight._native")
    from importlib import import_module

    for part in ("elementwise", "reduce", "dnn", "optim", "random"):
        cpu, reference = (import_module(f"rushlight.kernels.{s}.{part}") for s in ("cpu", "reference"))
        assert sorted(cpu.__all__) == sorted(reference.__all__)
        assert all(hasattr(m, name) for m in (cpu, reference) for name in m.__all__)
