"""BatchNet: three linear layers with batch normalisation, trained with plain SGD; beside it, softmax regression.

    python examples/batchnet.py --data DATA     MNIST; without, the bundled digits

Reports the accuracy of both on the test set.
"""

from common import accuracy, digits, options, source
from tqdm import tqdm

import rushlight as torch
from rushlight import nn
from rushlight.utils.data import DataLoader, TensorDataset


class BatchNet(nn.Module):
    """Two hidden layers, each followed by batch normalisation and ReLU."""

    def __init__(self, inputs: int, hidden1: int, hidden2: int, classes: int):
        super().__init__()
        self.layer1 = nn.Sequential(nn.Linear(inputs, hidden1), nn.BatchNorm1d(hidden1), nn.ReLU(True))
        self.layer2 = nn.Sequential(nn.Linear(hidden1, hidden2), nn.BatchNorm1d(hidden2), nn.ReLU(True))
        self.layer3 = nn.Linear(hidden2, classes)

    def forward(self, x):
        """Scores (N, classes) for pictures (N, ...)."""
        return self.layer3(self.layer2(self.layer1(x.flatten(1))))


def train(model, loader, epochs: int, lr: float) -> None:
    """SGD on the cross-entropy, with the loss of each epoch on the bar."""
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    model.train()
    for epoch in range(epochs):
        total = 0.0
        with tqdm(loader, f"epoch {epoch + 1}", unit="batch", mininterval=1) as bar:
            for x, y in bar:
                loss = nn.functional.cross_entropy(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.item() * len(y)
            bar.set_postfix(loss=total / len(loader.dataset))


def main() -> None:
    """Train both, report."""
    args = options(__doc__, {"epochs": 2}, epochs=10, lr=0.05)
    x, y = digits(args.data, train=True)
    loader = DataLoader(TensorDataset((x - 0.5) / 0.5, y), batch_size=64, shuffle=True)
    test_x, test_y = digits(args.data, train=False)
    shares = {}
    for name, model in (
        ("BatchNet", BatchNet(784, 300, 100, 10)),
        ("softmax regression", nn.Sequential(nn.Flatten(), nn.Linear(784, 10))),
    ):
        train(model, loader, args.epochs, args.lr)
        shares[name] = accuracy(model, (test_x - 0.5) / 0.5, test_y)
    report = ", ".join(f"{name} {share:.2%}" for name, share in shares.items())
    print(f"{report} of {len(test_y)} test pictures of {source(args.data)}, after {args.epochs} epochs")


if __name__ == "__main__":
    main()
