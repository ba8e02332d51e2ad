"""Images a second through a DataLoader: 0, 1 and 2 workers, Rushlight and PyTorch in turns.

    python benchmarks/loader.py
    python benchmarks/loader.py --rounds 5 --images 20000

A dataset in memory, 3x32x32 bytes an image, with a small transform: to float, normalised, every second one turned.
"""

import argparse
import importlib
import os
import statistics
import subprocess
import sys
import time
import warnings

FRAMEWORKS = ("rushlight", "torch")
WORKERS = (0, 1, 2)


def images(lib, n: int):
    """The dataset, of one framework or the other."""

    class Images(lib.utils.data.Dataset):
        def __init__(self):
            self.pictures = lib.randint(0, 256, (n, 3, 32, 32), dtype=lib.uint8)
            self.labels = lib.randint(0, 10, (n,))
            self.mean = lib.tensor([0.49, 0.48, 0.45]).view(3, 1, 1)
            self.std = lib.tensor([0.25, 0.24, 0.26]).view(3, 1, 1)

        def __len__(self):
            return n

        def __getitem__(self, i):
            picture = self.pictures[i].float().div_(255).sub_(self.mean).div_(self.std)
            return picture.flip(-1) if i % 2 else picture, self.labels[i]

    return Images()


def measure(framework: str, n: int) -> None:
    """Print images a second for each number of workers, from the second epoch of persistent workers."""
    lib = importlib.import_module(framework)
    importlib.import_module(f"{framework}.utils.data")
    warnings.simplefilter("ignore")
    lib.set_num_threads(1)
    data = images(lib, n)
    for workers in WORKERS:
        loader = lib.utils.data.DataLoader(
            data, batch_size=128, shuffle=True, num_workers=workers, persistent_workers=workers > 0
        )
        for epoch in range(2):
            start = time.perf_counter()
            seen = sum(len(x) for x, _ in loader)
            if epoch:
                print(workers, seen / (time.perf_counter() - start))
        del loader


def main() -> None:
    """Both frameworks in turns, and the ratio of the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--framework", choices=FRAMEWORKS, help="measure one of them here")
    args = parser.parse_args()
    if args.framework:
        measure(args.framework, args.images)
        return
    found: dict = {(f, w): [] for f in FRAMEWORKS for w in WORKERS}
    for _ in range(args.rounds):
        for framework in FRAMEWORKS:
            command = [sys.executable, __file__, "--framework", framework, "--images", str(args.images)]
            output = subprocess.run(
                command,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for line in output.splitlines():
                workers, rate = line.split()
                found[framework, int(workers)].append(float(rate))
    print("workers  rushlight    torch  ratio  (images a second)")
    for workers in WORKERS:
        ours, theirs = (statistics.median(found[f, workers]) for f in FRAMEWORKS)
        print(f"{workers:7} {ours:10.0f} {theirs:8.0f} {ours / theirs:6.2f}")


if __name__ == "__main__":
    main()
