"""Images a second through a DataLoader: Rushlight and PyTorch in turns.

    python benchmarks/loader.py                      tensors in memory, 0, 1 and 2 workers
    python benchmarks/loader.py --data DIR           the same with torchvision's transforms on MNIST and CIFAR-10 files
    python benchmarks/loader.py --rounds 5 --images 20000

Without `--data`, a dataset in memory, 3x32x32 bytes an image, with a small transform: to float, normalised, every
second one turned. With it, pictures of `DIR/MNIST/raw` and `DIR/cifar-10-batches-bin` as Pillow images or tensors go
through common transforms, Rushlight's and torchvision's.
"""

import argparse
import gzip
import importlib
import importlib.util
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time
import warnings

import numpy as np

FRAMEWORKS = ("rushlight", "torch")
WORKERS = (0, 1, 2)
MEAN, STD = (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)

# Name: which pictures, and the code of the transform, with T and v2 for the modules of transforms.
TRANSFORMS = {
    "MNIST ToTensor, Normalize": ("digits", "T.Compose([T.ToTensor(), T.Normalize((0.13,), (0.31,))])"),
    "CIFAR ToTensor, Normalize": ("photos", "T.Compose([T.ToTensor(), T.Normalize(MEAN, STD)])"),
    "CIFAR Crop, Flip, ToTensor, Normalize": (
        "photos",
        "T.Compose([T.RandomCrop(32, padding=4), T.RandomHorizontalFlip(), T.ToTensor(), T.Normalize(MEAN, STD)])",
    ),
    "CIFAR Resize 64, ToTensor": ("photos", "T.Compose([T.Resize(64), T.ToTensor()])"),
    "CIFAR ColorJitter, ToTensor": (
        "photos",
        "T.Compose([T.ColorJitter(0.2, 0.2, 0.2, 0.1), T.ToTensor()])",
    ),
    "tensors Resize 20": ("planes", "T.Resize(20)"),
    "tensors float, Resize 48": ("planes", "T.Compose([T.ConvertImageDtype(lib.float32), T.Resize(48)])"),
    "tensors Crop, Flip, float, Normalize": (
        "planes",
        "T.Compose([T.RandomCrop(32, padding=4), T.RandomHorizontalFlip(), T.ConvertImageDtype(lib.float32),"
        " T.Normalize(MEAN, STD)])",
    ),
    "v2 Image, Crop, Flip, float, Normalize": (
        "photos",
        "v2.Compose([v2.ToImage(), v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip(),"
        " v2.ToDtype(lib.float32, scale=True), v2.Normalize(MEAN, STD)])",
    ),
}


def images(lib, n: int):
    """The dataset in memory, of one framework or the other."""

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


def torchvision():
    """torchvision, also where its compiled part does not fit to the installed PyTorch: transforms don't need it."""
    import torch

    spec = importlib.util.find_spec("torchvision")
    sources = "".join(path.read_text() for path in pathlib.Path(spec.origin).parent.rglob("*.py"))
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in sorted(set(re.findall(r"torchvision::(\w+)", sources))):
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}(Tensor a) -> Tensor")
    module = importlib.import_module("torchvision")
    module.library_of_stubs = library  # kept alive
    return module


def transformed(lib, framework: str, folder: str, n: int, kind: str, code: str):
    """The first n pictures of a kind with a transform."""
    from PIL import Image

    home = "rushlight.vision" if framework == "rushlight" else torchvision().__name__
    names = {
        "T": importlib.import_module(f"{home}.transforms"),
        "v2": importlib.import_module(f"{home}.transforms.v2"),
        "lib": lib,
        "MEAN": MEAN,
        "STD": STD,
    }
    transform = eval(code, names)
    if kind == "digits":
        with gzip.open(os.path.join(folder, "MNIST/raw/t10k-images-idx3-ubyte.gz")) as file:
            pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    else:
        raw = np.fromfile(os.path.join(folder, "cifar-10-batches-bin/test_batch.bin"), np.uint8)
        pixels = raw.reshape(-1, 3073)[:, 1:].reshape(-1, 3, 32, 32)
    if kind == "planes":
        pixels = lib.from_numpy(pixels.copy())
    elif kind == "photos":
        pixels = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))

    class Pictures(lib.utils.data.Dataset):
        def __len__(self):
            return n

        def __getitem__(self, i):
            picture = pixels[i] if kind == "planes" else Image.fromarray(pixels[i])
            return transform(picture), i % 10

    return Pictures()


def epochs(lib, data, workers: int, batch_size: int, best_of: int) -> float:
    """Images a second, in the best epoch but the first."""
    loader = lib.utils.data.DataLoader(
        data, batch_size=batch_size, shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )
    rates = []
    for _ in range(best_of + 1):
        # Of other processes' time nothing is counted where there are no workers.
        clock = time.perf_counter if workers else time.process_time
        start = clock()
        seen = sum(len(x) for x, _ in loader)
        rates.append(seen / (clock() - start))
    return max(rates[1:])


def measure(framework: str, n: int, folder: str | None) -> None:
    """Print the name of each case and images a second."""
    lib = importlib.import_module(framework)
    importlib.import_module(f"{framework}.utils.data")
    warnings.simplefilter("ignore")
    lib.set_num_threads(1)
    if folder is None:
        data = images(lib, n)
        for workers in WORKERS:
            print(f"{workers} workers\t{epochs(lib, data, workers, 128, 1)}")
        return
    for name, (kind, code) in TRANSFORMS.items():
        data = transformed(lib, framework, folder, min(n, 10_000), kind, code)
        print(f"{name}\t{epochs(lib, data, 0, 128, 2)}")


def main() -> None:
    """Both frameworks in turns, and the ratio of the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--data", help="folder of the MNIST and CIFAR-10 files")
    parser.add_argument("--framework", choices=FRAMEWORKS, help="measure one of them here")
    args = parser.parse_args()
    if args.framework:
        measure(args.framework, args.images, args.data)
        return
    found: dict = {}
    for _ in range(args.rounds):
        for framework in FRAMEWORKS:
            command = [sys.executable, __file__, "--framework", framework, "--images", str(args.images)]
            command += ["--data", args.data] if args.data else []
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            output = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=True
            ).stdout
            for line in output.splitlines():
                name, rate = line.split("\t")
                found.setdefault(name, {}).setdefault(framework, []).append(float(rate))
    width = max(map(len, found))
    print(f"{'':{width}} rushlight    torch  ratio  (images a second)")
    for name, rates in found.items():
        ours, theirs = (statistics.median(rates[framework]) for framework in FRAMEWORKS)
        print(f"{name:{width}} {ours:9.0f} {theirs:8.0f} {ours / theirs:6.2f}")


if __name__ == "__main__":
    main()
