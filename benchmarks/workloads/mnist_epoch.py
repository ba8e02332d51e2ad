"""An epoch over 6,400 pictures of MNIST from disk through transforms and a DataLoader: LeNet-5, batch 64, Adam.

The data is looked for in the folder that RUSHLIGHT_DATA names, as torchvision lays it out.
"""

import gzip
import importlib
import os
import pathlib
import sys
import tempfile

from training import compiled

DATA = pathlib.Path(os.environ.get("RUSHLIGHT_DATA", pathlib.Path(__file__).parents[3] / "shared" / "data"))
AVAILABLE = (DATA / "MNIST" / "raw").exists()


def vision(torch):
    """The datasets and transforms that go with the framework."""
    if torch.__name__ == "rushlight":
        return importlib.import_module("rushlight.vision")
    sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))
    return importlib.import_module("tests.vision.datasets_oracle").torchvision()


def unpacked() -> str:
    """A folder with the files unpacked, which torchvision insists on."""
    raw = pathlib.Path(tempfile.mkdtemp()) / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for packed in (DATA / "MNIST" / "raw").glob("*.gz"):
        (raw / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
    return str(raw.parents[1])


def build(torch):
    """One epoch."""
    nn = torch.nn
    vt = vision(torch).transforms
    transform = vt.Compose([vt.ToTensor(), vt.Normalize((0.1307,), (0.3081,))])
    data = vision(torch).datasets.MNIST(unpacked(), train=True, transform=transform)
    loader = torch.utils.data.DataLoader(
        torch.utils.data.Subset(data, range(6400)), batch_size=64, shuffle=True
    )
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    criterion = nn.CrossEntropyLoss()
    loss_of = compiled(torch, lambda x, y: criterion(model(x), y))

    def step():
        for x, y in loader:
            optimizer.zero_grad()
            loss = loss_of(x, y)
            loss.backward()
            optimizer.step()
        return loss.item()

    return step
