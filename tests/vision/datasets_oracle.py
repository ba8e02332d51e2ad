"""torchvision's Python part as the oracle, also where its compiled part cannot be loaded."""

import importlib.util
import os
import pathlib
import re
import sys

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
