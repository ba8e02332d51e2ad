"""The versions of the benchmarks in JAX are the same networks; the bench's own arithmetic."""

import importlib.util
import json
import pathlib
import subprocess
import sys

import pytest

import rushlight as torch

BENCHMARKS = pathlib.Path(__file__).parents[1] / "benchmarks"
NETWORKS = sorted(
    p.stem
    for p in (BENCHMARKS / "jax_workloads").glob("*.py")
    if p.stem not in ("__init__", "common", "small_ops", "elementwise_8m")
)


@pytest.fixture(autouse=True)
def on_path(monkeypatch):
    """The modules of benchmarks/ as its own scripts see them."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def parameter_sizes(step) -> list[int]:
    """Elements of every parameter that a workload's step trains or runs."""
    for cell in step.__closure__:
        held = cell.cell_contents
        if isinstance(held, torch.optim.Optimizer):
            return sorted(p.numel() for group in held.param_groups for p in group["params"])
        if isinstance(held, torch.nn.Module):
            return sorted(p.numel() for p in held.parameters())
    raise AssertionError("no parameters found")


JAX_PROGRAM = """
import importlib, json, sys
import jax
networks, others = json.loads(sys.argv[1])
built = {name: importlib.import_module(f"jax_workloads.{name}").build(jax) for name in networks + others}
for name in others:
    first = built[name]()
    assert built[name]() <= first, name
print(json.dumps({name: sorted(p.size for p in built[name].parameters()) for name in networks}))
"""


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs JAX")
def test_jax_networks_are_the_same():
    # In a process of its own: after JAX has started its threads, forking warns.
    asked = json.dumps([NETWORKS, ["elementwise_8m", "small_ops"]])
    done = subprocess.run(
        [sys.executable, "-c", JAX_PROGRAM, asked], cwd=BENCHMARKS, capture_output=True, text=True, check=True
    )
    for name, sizes in json.loads(done.stdout.splitlines()[-1]).items():
        ours = importlib.import_module(f"workloads.{name}").build(torch)
        assert sizes == parameter_sizes(ours), name


def test_ratios_and_means():
    run = importlib.import_module("run")
    rows = {
        "a": {
            "rushlight": {"ms": 1.0, "growth_mb": 10.0, "peak_mb": 60.0},
            "torch": {"ms": 4.0, "growth_mb": 20.0, "peak_mb": 240.0},
        },
        "b": {"rushlight": {"ms": 1.0, "growth_mb": 10.0, "peak_mb": 60.0}, "torch": {"error": "absent"}},
    }
    assert run.means(rows, "rushlight", ["torch"])["torch"] == {
        "ms": 4.0,
        "workloads": 1,
        "growth_mb": 0.5,
        "peak_mb": 0.25,
    }
    assert run.table_row("b", rows["b"], "rushlight") == "| b | 1.000 | - | - | 10 / 60 | - |"


def test_marks_of_growth():
    marks = importlib.import_module("scaling").marks
    small = {"rushlight_s": 1.0, "arithmetic": 100}
    assert marks(small, {"rushlight_s": 1.9, "arithmetic": 200}) == []
    assert marks(small, {"rushlight_s": 2.7, "arithmetic": 200}) == ["slower sample"]
    assert marks(small, {"rushlight_s": 0.7, "arithmetic": 200}) == ["cheaper step"]


def test_operations_of_a_step():
    pytest.importorskip("torch")
    flops, nbytes = importlib.import_module("floor").counted("mlp_batchnorm")
    forward = 64 * (784 * 300 + 300 * 100 + 100 * 10)
    assert flops == 2 * (3 * forward - 64 * 784 * 300)  # the batch wants no gradient
    parameters = 784 * 300 + 300 * 100 + 100 * 10 + 300 + 100 + 10 + 2 * (300 + 100)
    assert nbytes > 4 * (6 * parameters + 64 * 784)
