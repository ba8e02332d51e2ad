"""Microseconds per small operation, import time and installed size, beside PyTorch's.

python benchmarks/overhead.py
"""

import importlib
import importlib.metadata
import json
import pathlib
import statistics
import subprocess
import sys
import timeit

OPS = {
    "x + y": "x + y",
    "x * 2.0": "x * 2.0",
    "x.view(2, 2)": "x.view(2, 2)",
    "x[0]": "x[0]",
    "x.sum()": "x.sum()",
    "relu(x)": "F.relu(x)",
    "m @ m": "m @ m",
    "linear(m)": "linear(m)",
    "w * y, recorded": "w * y",
    "(w * y).sum().backward()": "(w * y).sum().backward()",
    "no_grad(): x + y": "\nwith torch.no_grad():\n    x + y",
}


def time_ops(name: str) -> dict:
    """Best of five, in microseconds, of each small operation in this process."""
    torch = importlib.import_module(name)
    scope = {
        "torch": torch,
        "F": importlib.import_module(f"{name}.nn.functional"),
        "x": torch.ones(4),
        "y": torch.ones(4),
        "m": torch.ones(4, 4),
        "w": torch.ones(4, requires_grad=True),
        "linear": torch.nn.Linear(4, 4),
    }
    found = {}
    for label, code in OPS.items():
        timer = timeit.Timer(code, globals=scope)
        timer.timeit(300)
        found[label] = min(timer.repeat(5, 2000)) / 2000 * 1e6
    return found


def in_process(*args: str) -> str:
    """The output of this file run with the given arguments."""
    return subprocess.run([sys.executable, *args], capture_output=True, text=True, check=True).stdout


def import_seconds(name: str) -> float:
    """Median time of `import name` in fresh processes, less that of an empty one."""
    code = f"import time; t = time.perf_counter(); import {name}; print(time.perf_counter() - t)"
    return statistics.median(float(in_process("-c", code)) for _ in range(5))


def installed_mb(distribution: str, seen: set[str] | None = None) -> float:
    """Size on disk of a distribution and all that it needs to run, in MB."""
    seen = set() if seen is None else seen
    key = distribution.lower().replace("_", "-")
    if key in seen:
        return 0.0
    seen.add(key)
    try:
        found = importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return 0.0
    size = sum(p.stat().st_size for f in found.files or () if (p := pathlib.Path(f.locate())).is_file())
    total = size / 1e6
    for requirement in found.requires or ():
        if "extra ==" not in requirement:
            name = requirement.split(";")[0].split("[")[0]
            total += installed_mb(
                "".join(c for c in name.split()[0] if c.isalnum() or c in "-_.").rstrip("0123456789."), seen
            )
    return total


def main() -> None:
    """Print both tables."""
    if len(sys.argv) > 1:
        print(json.dumps(time_ops(sys.argv[1])))
        return
    runs = {
        name: [json.loads(in_process(__file__, name)) for _ in range(3)] for name in ("rushlight", "torch")
    }
    print("| µs per operation on 4 elements | rushlight | PyTorch | ratio |\n|---|---:|---:|---:|")
    for label in OPS:
        ours, theirs = (min(run[label] for run in runs[name]) for name in ("rushlight", "torch"))
        print(f"| `{label}` | {ours:.2f} | {theirs:.2f} | {theirs / ours:.2f}x |")
    print("\n| | rushlight | PyTorch |\n|---|---:|---:|")
    print(f"| import, s | {import_seconds('rushlight'):.2f} | {import_seconds('torch'):.2f} |")
    print(f"| installed with its needs, MB | {installed_mb('rushlight'):.0f} | {installed_mb('torch'):.0f} |")


if __name__ == "__main__":
    main()
