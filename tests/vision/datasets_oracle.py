"""torchvision's Python part as the oracle, also where its compiled part cannot be loaded."""

import importlib
import importlib.util
import os
import pathlib
import re
import sys

import numpy as np
import pytest

DATA = pathlib.Path(
    os.environ.get("RUSHLIGHT_DATA", pathlib.Path(__file__).parents[2] / ".." / "shared" / "data")
)


def torchvision():
    """The module; the test is skipped where it is absent."""
    torch = pytest.importorskip("torch")
    if "torchvision" in sys.modules:
        return sys.modules["torchvision"]
    spec = importlib.util.find_spec("torchvision")
    if spec is None:
        pytest.skip("torchvision is not installed")
    sources = "".join(path.read_text() for path in pathlib.Path(spec.origin).parent.rglob("*.py"))
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in sorted(set(re.findall(r"torchvision::(\w+)", sources))):
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}(Tensor a) -> Tensor")
    import torchvision

    torchvision.library_of_stubs = library  # kept alive
    return torchvision


def needs(folder: str):
    """Marks a test that needs real data."""
    return [
        pytest.mark.data,
        pytest.mark.skipif(not (DATA / folder).is_dir(), reason=f"the real data {folder} is not there"),
    ]


def theirs():
    """torchvision.datasets."""
    return importlib.import_module("torchvision.datasets") if torchvision() else None


def plain(value):
    """Something that can be compared, of a picture, a target, or both."""
    if hasattr(value, "getpixel"):
        return value.mode, value.size, value.tobytes()
    if isinstance(value, tuple):
        return tuple(plain(item) for item in value)
    if hasattr(value, "tolist"):
        return value.tolist()
    return value


def same(ours, oracle):
    """Length, items and printed form agree."""
    assert len(ours) == len(oracle)
    assert repr(ours) == repr(oracle)
    for i in range(len(ours)):
        assert plain(ours[i]) == plain(oracle[i])


def picture(path, mode="RGB", size=(5, 4)):
    """Write a picture, another one for each path."""
    image = pytest.importorskip("PIL.Image")
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(list("/".join(path.parts[-3:]).encode()))
    count = size[0] * size[1] * len(mode)
    image.frombytes(mode, size, noise.integers(0, 256, count, np.uint8).tobytes()).save(path)
    return path


def text(label):
    return str(label)


def double(image):
    return image.resize((2, 2))
