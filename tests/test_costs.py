"""What a step and an operation cost, in counts that don't depend on the machine: a slow-down shows without a clock."""

import gc
import importlib
import pathlib
import sys

import pytest

import rushlight as torch
from rushlight import kernels

native = pytest.importorskip("rushlight._native")
pytestmark = pytest.mark.skipif(
    kernels.NAME != "native" or not native.pool_stats()["enabled"], reason="counts the work of native kernels"
)
BENCHMARKS = pathlib.Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def plain_and_on_one_thread():
    """Kernels may take memory for each thread, so that there is one; subclasses of tensors in other tests cost calls."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.overrides.disable()
    yield
    torch.set_num_threads(before)


def python_calls(function) -> int:
    """Python functions entered while the function runs, itself not counted."""
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
    return calls - 1


def step_costs(step) -> dict[str, int]:
    """What one step takes when everything is warm."""
    for _ in range(3):
        step()
    gc.collect()
    gc.disable()
    try:
        native.pool_reset_peak()
        before, primitives = native.pool_stats(), native.dnn_stats()["created"]
        step()
        after = native.pool_stats()
        return {
            "arrays": after["requests"] - before["requests"],
            "peak_kb": (after["peak_bytes"] - before["current_bytes"]) // 1024,
            "calls": python_calls(step),
            "fresh": after["system_allocations"] - before["system_allocations"],
            "kept": after["current_bytes"] - before["current_bytes"],
            "primitives": native.dnn_stats()["created"] - primitives,
        }
    finally:
        gc.enable()


def workload(name: str):
    """The step of a file in benchmarks/workloads."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        torch.manual_seed(0)
        return importlib.import_module(f"workloads.{name}").build(torch)
    finally:
        sys.path.remove(str(BENCHMARKS))


def operation_costs(code: str) -> dict[str, int]:
    """Arrays and Python calls of a small operation when everything is warm."""
    scope = {
        "torch": torch,
        "F": torch.nn.functional,
        "x": torch.ones(4),
        "y": torch.ones(4),
        "m": torch.ones(4, 4),
        "w": torch.ones(4, requires_grad=True),
        "linear": torch.nn.Linear(4, 4),
        "places": torch.tensor([0, 2]),
    }
    scope["recorded"] = scope["w"] * scope["y"]
    function = eval(f"lambda: {code}", scope)
    found = step_costs(function)
    return {"arrays": found["arrays"], "calls": found["calls"]}


# Upper limits, a few per cent above what was counted. `python -m tests.test_costs` counts afresh: lower a limit when the
# costs have gone down; raise one only when what the step does is worth it, and say so in the commit.
#   workload: arrays made, KB at the peak above those before the step, Python functions called
STEPS = {
    "lenet": (45, 3956, 307),
    "mlp_adam": (24, 166, 155),
    "mlp_batchnorm": (45, 87, 191),
    "lstm": (34, 9494, 288),
    "transformer": (135, 18152, 1054),
    "small_ops": (416, 8, 753),
    "himmelblau": (680, 1, 3751),
    "unet": (186, 46663, 1102),
    "resnet18_infer_b1": (44, 1056, 605),
}
#   code: arrays made, Python functions called
OPERATIONS = {
    "x + y": (1, 1),
    "x * 2.0": (2, 2),
    "x.add_(y)": (0, 9),
    "x.view(2, 2)": (0, 5),
    "x[0]": (0, 5),
    "x[places]": (1, 23),
    "x.sum()": (1, 2),
    "x[0].item()": (0, 7),
    "m.t()": (0, 5),
    "m @ m": (1, 3),
    "F.relu(x)": (1, 2),
    "F.softmax(x, 0)": (1, 4),
    "torch.zeros(4)": (1, 7),
    "torch.cat([x, y])": (1, 7),
    "linear(m)": (1, 7),
    "w * y": (1, 3),
    "w.exp()": (1, 9),
    "F.relu(w)": (1, 10),
    "recorded.backward(y, retain_graph=True)": (1, 13),
    "(w * y).sum().backward()": (6, 27),
    "w.detach()": (0, 4),
}


@pytest.mark.parametrize("name", STEPS)
def test_steps(name):
    found = step_costs(workload(name))
    for what in ("fresh", "kept", "primitives"):
        assert found[what] == 0, f"{name}: {what} {found[what]} in a warm step"
    for what, limit in zip(("arrays", "peak_kb", "calls"), STEPS[name], strict=True):
        assert found[what] <= limit, f"{name}: {what} {found[what]}, at most {limit} wanted"


@pytest.mark.parametrize("code", OPERATIONS)
def test_operations(code):
    found = operation_costs(code)
    for what, limit in zip(("arrays", "calls"), OPERATIONS[code], strict=True):
        assert found[what] <= limit, f"{code}: {what} {found[what]}, at most {limit} wanted"


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in STEPS:
        print(f"{name}: {step_costs(workload(name))}")
    for code in OPERATIONS:
        print(f"{code}: {operation_costs(code)}")
