"""`rushlight summary` and `rushlight info`."""

import argparse
import importlib.metadata
import os
import platform
import sys

import rushlight as torch
from rushlight import kernels
from rushlight.cli import models
from rushlight.cli.errors import CommandError
from rushlight.cli.runs import Run, build_net
from rushlight.utils.summary import summary


def summarize(flags) -> int:
    """Print the layers of a model, or of a run's; returns the exit status."""
    if flags.list:
        print("\n".join(models.names()))
        return 0
    if not flags.model:
        raise CommandError("MODEL is missing: a name (--list shows all) or the folder of a run")
    if os.path.isdir(flags.model):
        run = Run(flags.model)
        settings, described = run.settings(), run.described()
        net = build_net(settings, described)
        shape = _shape_of(described)
    else:
        name = models.check_name(flags.model)
        shape = flags.input_size or _usual(name)
        settings = argparse.Namespace(hidden=flags.hidden, dropout=None, model_arg={})
        net = models.build(name, tuple(shape), flags.classes, settings)
    summary(net, (flags.batch, *shape), depth=flags.depth)
    return 0


def _shape_of(described: dict) -> tuple:
    from rushlight.cli.tables import width

    if described["kind"] == "table":
        return (width(described),)
    return described["channels"], described["size"], described["size"]


def _usual(name: str) -> tuple:
    size, channels = models.wanted_input(name, "folder")
    return channels or (1 if name in ("lenet5", "highway", "mlp", "linear") else 3), 28 if name == "highway" else size, \
        28 if name == "highway" else size  # fmt: skip


def info(flags) -> int:
    """Print versions, processor, threads, kernels and memory; returns the exit status."""
    rows = [
        ("rushlight", torch.version.__version__),
        ("names of PyTorch", str(torch.torch_version.__version__).partition("+")[0]),
        ("Python", f"{platform.python_version()} ({sys.executable})"),
        ("system", f"{platform.system()} {platform.machine()}"),
        ("kernels", kernels.NAME),
        ("processor", f"{_processor()}; {torch.backends.cpu.get_cpu_capability()}"),
        ("threads", str(torch.get_num_threads())),
    ]
    for name in ("numpy", "ml_dtypes", "pillow", "matplotlib", "tqdm", "optuna", "tensorboard"):
        rows.append((name, _version(name)))
    stats = torch.cpu.memory_stats()
    if stats:
        rows.append(("memory pool", "on" if stats["enabled"] else "off"))
        for name in ("current", "peak", "cached", "limit"):
            rows.append((f"  {name}", f"{stats[name + '_bytes'] / 2**20:,.1f} MiB"))
    for name, value in rows:
        print(f"{name:<18}{value}")
    return 0


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            lines = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        lines = []
    return (
        f"{lines[0] if lines else platform.processor() or platform.machine()}, {os.cpu_count()} logical CPUs"
    )


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
