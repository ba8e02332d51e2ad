"""What a report of a fault should say of the machine: `rushlight info`, or `python -m torch.utils.collect_env`."""

import importlib.metadata
import os
import platform
import sys

import rushlight as torch
from rushlight import kernels

_PACKAGES = ("numpy", "ml_dtypes", "pillow", "matplotlib", "tqdm", "optuna", "tensorboard")


def get_pretty_env_info() -> str:
    """Versions, processor, threads, kernels and memory, a line each.

    Returns:
        the text that `rushlight info` prints.

    >>> from rushlight.utils.collect_env import get_pretty_env_info
    >>> get_pretty_env_info().split()[0]
    'rushlight'
    """
    rows = {
        "rushlight": torch.version.__version__,
        "names of PyTorch": str(torch.torch_version.__version__).partition("+")[0],
        "Python": f"{platform.python_version()} ({sys.executable})",
        "system": f"{platform.system()} {platform.machine()}",
        "kernels": kernels.NAME,
        "processor": f"{_processor()}; {torch.backends.cpu.get_cpu_capability()}",
        "threads": torch.get_num_threads(),
        **{name: _version(name) for name in _PACKAGES},
    }
    stats = torch.cpu.memory_stats()
    if stats:
        rows["memory pool"] = "on" if stats["enabled"] else "off"
        for name in ("current", "peak", "cached", "limit"):
            rows[f"  {name}"] = f"{stats[name + '_bytes'] / 2**20:,.1f} MiB"
    return "\n".join(f"{name:<18}{value}" for name, value in rows.items())


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            lines = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        lines = []
    name = lines[0] if lines else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} logical CPUs"


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def main() -> None:
    """Print it."""
    print(get_pretty_env_info())


if __name__ == "__main__":
    main()
