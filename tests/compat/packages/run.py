"""Packages written in Python over torch, run on both frameworks: `python -m tests.compat.packages.run [NAME ...]`.

Each `use_NAME.py` here uses one package as its documentation does and prints what comes out. It is run with PyTorch and with
`python -m rushlight`; the texts must be the same, numbers with a fraction within 2e-3.
"""

import importlib.metadata
import os
import pathlib
import re
import subprocess
import sys

FOLDER = pathlib.Path(__file__).parent
ROOT = FOLDER.parents[2]
PROGRAMS = sorted(path.stem.removeprefix("use_") for path in FOLDER.glob("use_*.py"))
TOLERANCE = 2e-3
_NUMBER = re.compile(r"[-+]?(?:\d+\.\d*(?:e[-+]?\d+)?|\d+e[-+]?\d+|\d+)|\b(?:nan|inf)\b")
# Addresses in memory, and names of modules in types.
_NOISE = re.compile(r"0x[0-9a-f]+|\b(?:torch|rushlight)(?=\.)|torchvision(?=\.)|rushlight\.vision(?=\.)")

# torchvision's Python part does where its compiled part cannot be loaded.
_WITH_PYTORCH = """
import runpy, sys
from tests.vision.datasets_oracle import torchvision
torchvision()
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def version(name: str) -> str | None:
    """The installed version of a package; None if it is absent."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def output(name: str, on_rushlight: bool, timeout: float = 600) -> tuple[str, str, int]:
    """What a program prints under one framework, its errors, and its exit code."""
    how = ["-m", "rushlight"] if on_rushlight else ["-c", _WITH_PYTORCH]
    command = [sys.executable, *how, str(FOLDER / f"use_{name}.py")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "TQDM_DISABLE": "1",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout)
    return done.stdout, done.stderr, done.returncode


def difference(ours: str, theirs: str) -> str | None:
    """The first line in which two outputs differ by more than rounding."""
    a, b = ours.splitlines(), theirs.splitlines()
    for i, (x, y) in enumerate(zip(a, b, strict=False), 1):
        if not _alike(_NOISE.sub("", x), _NOISE.sub("", y)):
            return f"line {i}: {x.strip()[:300]!r}, PyTorch {y.strip()[:300]!r}"
    return None if len(a) == len(b) else f"{len(a)} lines, PyTorch {len(b)}"


def _alike(x: str, y: str) -> bool:
    if x == y:
        return True
    found, expected = _NUMBER.findall(x), _NUMBER.findall(y)
    texts = [" ".join(_NUMBER.sub("#", s).split()) for s in (x, y)]
    return texts[0] == texts[1] and len(found) == len(expected) and all(map(_close, found, expected))


def _close(x: str, y: str) -> bool:
    if x == y:
        return True
    if x.lstrip("+-").isdigit() and y.lstrip("+-").isdigit():
        return False
    return abs(float(x) - float(y)) <= TOLERANCE * max(1.0, abs(float(y)))


def compare(name: str) -> str | None:
    """Why a program differs between the frameworks; None if it doesn't."""
    theirs, errors, code = output(name, False)
    if code:
        return f"fails on PyTorch: {errors.strip().splitlines()[-1]}"
    ours, errors, code = output(name, True)
    if code:
        return errors.strip()[-3000:]
    return difference(ours, theirs)


def main(names: list[str]) -> int:
    """Run the named programs, all by default, and print how each went."""
    failed = 0
    for name in names or PROGRAMS:
        if version(name) is None:
            print(f"{name}: not installed")
            continue
        why = compare(name)
        failed += why is not None
        print(f"{name} {version(name)}: {why or 'the same'}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
