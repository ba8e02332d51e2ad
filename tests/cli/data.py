"""Small data for the tests of the command line."""

import csv
import random

import numpy as np
from PIL import Image


def write_rows(path, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(rows)
    return str(path)


def flowers(path, count=90):
    """Classes from two numbers and a name."""
    rng = random.Random(0)
    rows = [["length", "width", "colour", "note", "kind"]]
    for i in range(count):
        kind = ("rose", "daisy", "lily")[i % 3]
        size = {"rose": 5, "daisy": 3, "lily": 7}[kind]
        colour = {"rose": "red", "daisy": "white", "lily": "pink"}[kind]
        rows.append([f"{rng.gauss(size, 0.5):.2f}", f"{rng.gauss(2, 0.5):.2f}", colour, f"no {i}", kind])
    return write_rows(path, rows)


def houses(path, count=120):
    """A number from two numbers and a name."""
    rng = random.Random(0)
    rows = [["area", "rooms", "town", "price"]]
    for _ in range(count):
        area, rooms, town = rng.uniform(40, 200), rng.randint(1, 6), rng.choice("ABC")
        price = 1000 * area + 5000 * rooms + 30000 * "ABC".index(town)
        rows.append([f"{area:.1f}", rooms, town, f"{price:.0f}"])
    return write_rows(path, rows)


def pictures(folder, count=12, classes=("dark", "light"), size=20):
    """A folder for each class with grey noise, dark or light."""
    rng = np.random.default_rng(0)
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            level = 60 + 130 * number
            pixels = rng.integers(level - 40, level + 40, (size, size, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return str(folder)


def idx(folder, count=60):
    """Files as MNIST's: the upper or the lower half is bright."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for stem, n in (("train", count), ("t10k", 20)):
        labels = np.arange(n) % 2
        images = rng.integers(0, 50, (n, 28, 28)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[14 * label : 14 * label + 14] += 180
        head = lambda kind, shape: bytes([0, 0, 8, kind]) + b"".join(s.to_bytes(4, "big") for s in shape)
        (folder / f"{stem}-images-idx3-ubyte").write_bytes(head(3, images.shape) + images.tobytes())
        (folder / f"{stem}-labels-idx1-ubyte").write_bytes(
            head(1, labels.shape) + labels.astype(np.uint8).tobytes()
        )
    return str(folder)
