"""A typed program on the public surface: mypy checks it, and it runs as a test."""

import io
from typing import Any

from typing_extensions import assert_type

import rushlight as torch
from rushlight import Tensor, nn
from rushlight.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    """Two layers."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.first = nn.Linear(inside, 8)
        self.second = nn.Linear(8, outside)

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        y: Tensor = self.second(nn.functional.relu(self.first(x)))
        return y


def arithmetic(x: Tensor, y: Tensor) -> Tensor:
    """Operators give tensors."""
    assert_type(x + y, Tensor)
    assert_type(2 * x - y / 3, Tensor)
    assert_type(x @ y, Tensor)
    assert_type(x > 0, Tensor)
    assert_type(-x[0], Tensor)
    assert_type(x.shape, torch.Size)
    assert_type(x.dtype, torch.dtype)
    assert_type(x.device, torch.device)
    assert_type(x.requires_grad, bool)
    assert_type(x.detach(), Tensor)
    assert_type(x.dim(), int)
    return x + y


def train(steps: int) -> float:
    """A loop with everything in it; returns the last loss."""
    generator: torch.Generator = torch.manual_seed(0)
    data = TensorDataset(torch.randn(16, 4), torch.randint(0, 3, (16,)))
    loader: DataLoader[Any] = DataLoader(data, batch_size=4, shuffle=True, generator=generator)
    model = Net(4, 3)
    optimizer: torch.optim.Optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    criterion = nn.CrossEntropyLoss()
    value = 0.0
    for _ in range(steps):
        for x, y in loader:
            optimizer.zero_grad()
            loss: Tensor = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            value = float(loss)
    with torch.no_grad():
        stream = io.BytesIO()
        torch.save(model.state_dict(), stream)
        stream.seek(0)
        model.load_state_dict(torch.load(stream))
    return value
