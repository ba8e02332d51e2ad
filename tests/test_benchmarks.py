"""The versions of the benchmarks in JAX are the same networks; the bench's own arithmetic."""

import importlib
import pathlib

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


@pytest.mark.parametrize("name", NETWORKS)
def test_jax_networks_are_the_same(name):
    jax = pytest.importorskip("jax")
    theirs = importlib.import_module(f"jax_workloads.{name}").build(jax)
    ours = importlib.import_module(f"workloads.{name}").build(torch)
    assert sorted(p.size for p in theirs.parameters()) == parameter_sizes(ours)


@pytest.mark.parametrize("name", ["himmelblau", "elementwise_8m", "small_ops"])
def test_jax_workloads_run(name):
    jax = pytest.importorskip("jax")
    step = importlib.import_module(f"jax_workloads.{name}").build(jax)
    first = step()
    assert step() <= first


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
