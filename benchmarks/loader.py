"""Images a second through a DataLoader: Rushlight and PyTorch in turns.

    python benchmarks/loader.py                      tensors in memory, 0, 1 and 2 workers
    python benchmarks/loader.py --data DIR           the usual training pictures from files, 0, 1 and 2 workers
    python benchmarks/loader.py --data DIR --transforms   single transforms on MNIST and CIFAR-10 files
    python benchmarks/loader.py --rounds 5 --images 20000

Without `--data`, a dataset in memory, 3x32x32 bytes an image, with a small transform: to float, normalised, every
second one turned. With it, `ImageFolder` on JPEG files of 256x256 that the benchmark draws, `MNIST` on `DIR/MNIST/raw` and
`CIFAR10` on `DIR/cifar-10-batches-bin`, each framework with its own classes and transforms; or Pillow images and tensors
go through single transforms.
"""

import argparse
import gzip
import importlib
import importlib.util
import multiprocessing
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
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


# Name: images of an epoch at most, batch size, and the code of the transform.
PICTURES = {
    "JPEG": (
        600,
        32,
        "T.Compose([T.RandomResizedCrop(224), T.RandomHorizontalFlip(), T.ToTensor(), T.Normalize(MEAN, STD)])",
    ),
    "CIFAR-10": (10_000, 128, TRANSFORMS["CIFAR Crop, Flip, ToTensor, Normalize"][1]),
    "MNIST": (10_000, 128, TRANSFORMS["MNIST ToTensor, Normalize"][1]),
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


def home(framework: str) -> str:
    """The package with the pictures' part of a framework."""
    return "rushlight.vision" if framework == "rushlight" else torchvision().__name__


def made(lib, framework: str, code: str):
    """The transform of a code."""
    modules = {"T": "transforms", "v2": "transforms.v2"}
    names = {name: importlib.import_module(f"{home(framework)}.{path}") for name, path in modules.items()}
    return eval(code, {**names, "lib": lib, "MEAN": MEAN, "STD": STD})


def digits(folder: str) -> np.ndarray:
    """MNIST's test pictures."""
    with gzip.open(os.path.join(folder, "MNIST/raw/t10k-images-idx3-ubyte.gz")) as file:
        return np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)


def photos(folder: str) -> np.ndarray:
    """CIFAR-10's test pictures."""
    raw = np.fromfile(os.path.join(folder, "cifar-10-batches-bin/test_batch.bin"), np.uint8)
    return raw.reshape(-1, 3073)[:, 1:].reshape(-1, 3, 32, 32)


def draw(folder: str, count: int) -> None:
    """JPEG files of 256x256 pixels in 4 classes: shades, ellipses and noise, about 20 kB each."""
    from PIL import Image, ImageDraw

    random = np.random.default_rng(0)
    y, x = np.mgrid[:256, :256] / 256
    for i in range(count):
        a, b, c = random.random((3, 3)) * 6
        shade = 128 + 100 * np.sin(a * x[..., None] + b * y[..., None] + c)
        noisy = np.clip(shade + random.normal(0, 8, shade.shape), 0, 255).astype(np.uint8)
        picture = Image.fromarray(noisy)
        for _ in range(8):
            left, top, width, height = random.integers(10, 200, 4).tolist()
            color = tuple(random.integers(0, 256, 3).tolist())
            ImageDraw.Draw(picture).ellipse((left, top, left + width, top + height), fill=color)
        path = os.path.join(folder, f"class{i % 4}", f"{i}.jpg")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        picture.save(path, quality=85)


def from_files(lib, framework: str, folder: str, drawn: str, name: str, n: int):
    """The framework's own data set of pictures."""
    count, _, code = PICTURES[name]
    datasets = importlib.import_module(f"{home(framework)}.datasets")
    transform = made(lib, framework, code)
    if name == "JPEG":
        data = datasets.ImageFolder(drawn, transform)
    elif framework == "rushlight":
        cls = datasets.MNIST if name == "MNIST" else datasets.CIFAR10
        data = cls(folder, train=False, transform=transform)
    else:  # torchvision wants these files unpacked, and in Python's format
        cls = datasets.MNIST if name == "MNIST" else datasets.CIFAR10
        data = cls.__new__(cls)
        data.transform, data.target_transform = transform, None
        if name == "MNIST":
            data.data = lib.from_numpy(digits(folder).copy())
            data.targets = lib.arange(len(data.data)) % 10
        else:
            data.data = np.ascontiguousarray(photos(folder).transpose(0, 2, 3, 1))
            data.targets = [i % 10 for i in range(len(data.data))]
    return lib.utils.data.Subset(data, range(min(n, count, len(data))))


def transformed(lib, framework: str, folder: str, n: int, kind: str, code: str):
    """The first n pictures of a kind with a transform."""
    from PIL import Image

    transform = made(lib, framework, code)
    pixels = digits(folder) if kind == "digits" else photos(folder)
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


def busy() -> float:
    """Seconds of processor time that this process and its workers have used."""
    total = time.process_time()
    for worker in multiprocessing.active_children():
        with open(f"/proc/{worker.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def epochs(lib, data, workers: int, batch_size: int, best_of: int) -> float:
    """Images a second of processor time, that of the workers included, in the best epoch but the first.

    So the other processes of the machine don't count; with a core for each worker, the rate is theirs together.
    """
    loader = lib.utils.data.DataLoader(
        data, batch_size=batch_size, shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )
    rates = []
    for _ in range(best_of + 1):
        batches = iter(loader)
        start = busy()
        seen = sum(len(x) for x, _ in batches)
        rates.append(seen / (busy() - start))
    return max(rates[1:])


def measure(framework: str, n: int, folder: str | None, drawn: str | None) -> None:
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
    if drawn is not None:
        for name, (_, batch_size, _) in PICTURES.items():
            data = from_files(lib, framework, folder, drawn, name, n)
            for workers in WORKERS:
                print(f"{name}, {workers} workers\t{epochs(lib, data, workers, batch_size, 2)}")
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
    parser.add_argument("--transforms", action="store_true", help="single transforms, without workers")
    parser.add_argument("--framework", choices=FRAMEWORKS, help="measure one of them here")
    parser.add_argument("--drawn", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.framework:
        measure(args.framework, args.images, args.data, args.drawn)
        return
    with tempfile.TemporaryDirectory() as drawn:
        if args.data and not args.transforms:
            draw(drawn, PICTURES["JPEG"][0])
            args.drawn = drawn
        compare(args)


def compare(args) -> None:
    """Run each framework in a process of its own, in turns."""
    found: dict = {}
    for _ in range(args.rounds):
        for framework in FRAMEWORKS:
            command = [sys.executable, __file__, "--framework", framework, "--images", str(args.images)]
            command += ["--data", args.data] if args.data else []
            command += ["--drawn", args.drawn] if args.drawn else []
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
