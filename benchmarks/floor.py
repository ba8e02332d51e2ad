"""How close each workload comes to its floor: the time of its arithmetic and of the bytes that it can't avoid.

    python benchmarks/floor.py                       every workload that trains or runs a network
    python benchmarks/floor.py resnet18 vgg --threads 1

floor = operations / best matrix rate + bytes / copy bandwidth, both measured here and now.

- Operations: those of products and convolutions in one step with its backward, a multiply-add counted as two, as
  PyTorch's FlopCounterMode finds them when PyTorch runs the same step. Winograd's convolutions do fewer, so that they
  may come below this floor.
- Matrix rate: the best single-precision product of several sizes, by rushlight or PyTorch.
- Bytes: the batch; each activation that autograd saves, written once and read once (by its memory, so that what is
  saved twice counts once; without PyTorch's 64-bit places of maxima); parameters read in forward and in backward;
  gradients written and read; the optimizer's states and the parameters read and written.
- Bandwidth: bytes read and written by copying a large array. What is small stays in the processor's cache, which is
  faster, so the term of bytes is more than such a workload needs.
"""

import argparse
import importlib
import math
import os
import pathlib
import statistics
import sys
import time

from run import add_settings, measure, names

HERE = pathlib.Path(__file__).parent
# Their time goes elsewhere: reading pictures, and calls of operations on few numbers.
LEFT_OUT = ("mnist_epoch", "himmelblau", "small_ops")
# Bytes of results that nothing saves.
RESULTS = {"elementwise_8m": 4 * 8_000_000}


def best_seconds(function, seconds: float = 0.4) -> float:
    """The shortest of repeated runs."""
    function()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best


def matrix_rate(frameworks) -> float:
    """The most operations a second in a product of matrices."""
    rates = []
    for framework in frameworks:
        for n in (256, 512, 1024, 1536):
            a, b = framework.randn(n, n), framework.randn(n, n)
            rates.append(2 * n**3 / best_seconds(lambda a=a, b=b: a @ b))
    return max(rates)


def copy_bandwidth(frameworks, elements: int = 32_000_000) -> float:
    """The most bytes a second, read and written, in a copy of a large array."""
    rates = []
    for framework in frameworks:
        source, target = framework.ones(elements), framework.zeros(elements)
        rates.append(8 * elements / best_seconds(lambda s=source, t=target: t.copy_(s), 1.0))
    return max(rates)


def held(step) -> tuple[list, list, list]:
    """Parameters, optimizers and other tensors that a workload's step refers to."""
    import torch

    parameters, optimizers, others, seen = {}, [], {}, set()

    def visit(value):
        if id(value) in seen:
            return
        seen.add(id(value))
        if isinstance(value, torch.nn.Module):
            parameters.update((id(p), p) for p in value.parameters())
        elif isinstance(value, torch.optim.Optimizer):
            optimizers.append(value)
            parameters.update((id(p), p) for group in value.param_groups for p in group["params"])
        elif isinstance(value, torch.Tensor):
            others[id(value)] = value
        elif hasattr(value, "__closure__"):
            for cell in value.__closure__ or ():
                visit(cell.cell_contents)

    visit(step)
    return list(parameters.values()), optimizers, [t for key, t in others.items() if key not in parameters]


def size(tensors) -> int:
    """Bytes of tensors."""
    return sum(t.numel() * t.element_size() for t in tensors)


def formulas() -> dict:
    """Operations of what FlopCounterMode doesn't know, or counts too high: gradients of convolutions in groups."""
    import torch

    def convolution_backward(
        grad, x, weight, bias, stride, padding, dilation, transposed, *rest, out_shape=None
    ):
        mask = rest[-1]
        return 2 * math.prod(weight) * x[0] * math.prod((x if transposed else grad)[2:]) * (mask[0] + mask[1])

    def recurrent(x, input_weight, hidden_weight, *_, out_shape=None):
        return 2 * x[0] * x[1] * (math.prod(input_weight) + math.prod(hidden_weight))

    return {
        torch.ops.aten.convolution_backward: convolution_backward,
        torch.ops.aten.mkldnn_rnn_layer: recurrent,
        torch.ops.aten.mkldnn_rnn_layer_backward: lambda *args, **named: 2 * recurrent(*args, **named),
    }


def counted(workload: str) -> tuple[float, float]:
    """Operations and unavoidable bytes of one step, found by running it under PyTorch."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    torch.manual_seed(0)
    step = importlib.import_module(f"workloads.{workload}").build(torch)
    step()
    parameters, optimizers, others = held(step)
    own = {p.untyped_storage().data_ptr() for p in parameters}
    saved: dict[int, int] = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own and tensor.dtype not in (torch.int32, torch.int64):
            saved[storage.data_ptr()] = max(
                saved.get(storage.data_ptr(), 0), tensor.numel() * tensor.element_size()
            )
            kept.append(tensor)  # or its memory would be handed out again, and two would look like one
        return tensor

    kept: list = []
    with (
        FlopCounterMode(display=False, custom_mapping=formulas()) as counter,
        torch.autograd.graph.saved_tensors_hooks(note, lambda t: t),
    ):
        step()
    trained = [p for p in parameters if p.grad is not None]
    states = [
        s
        for o in optimizers
        for each in o.state.values()
        for s in each.values()
        if torch.is_tensor(s) and s.dim()
    ]
    reads = size(parameters) + size(trained)  # in forward, in backward
    updates = 2 * size(trained) + 2 * size(states) + (2 * size(trained) if optimizers else 0)
    nbytes = size(others) + 2 * sum(saved.values()) + reads + updates + RESULTS.get(workload, 0)
    return counter.get_total_flops(), nbytes


def main() -> None:
    """Measure the machine, count each workload, and print the table."""
    known = [name for name in names() if name not in LEFT_OUT]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workloads", nargs="*", help=f"some of: {', '.join(known)}")
    add_settings(parser)
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    sys.path[:0] = [str(HERE.parent)]
    frameworks = [importlib.import_module(name) for name in ("rushlight", "torch")]
    for framework in frameworks:
        framework.set_num_threads(args.threads)
    rate, bandwidth = matrix_rate(frameworks), copy_bandwidth(frameworks)
    print(
        f"{args.threads} threads: {rate / 1e9:.0f} GFLOP/s in products, {bandwidth / 1e9:.1f} GB/s in copies\n"
    )
    print(
        "| workload | GFLOP | MB | floor ms (arithmetic + bytes) | rushlight ms | of the floor |\n|---|---:|---:|---:|---:|---:|"
    )
    for workload in args.workloads or known:
        flops, nbytes = counted(workload)
        arithmetic, moving = flops / rate * 1e3, nbytes / bandwidth * 1e3
        found = measure("rushlight", workload, args)
        if "error" in found:
            print(f"| {workload} | {found['error']} |")
            continue
        ours = statistics.median(found["times"]) * 1e3
        print(
            f"| {workload} | {flops / 1e9:.3f} | {nbytes / 1e6:.1f} | {arithmetic + moving:.3f} "
            f"({arithmetic:.3f} + {moving:.3f}) | {ours:.3f} | {(arithmetic + moving) / ours:.0%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
