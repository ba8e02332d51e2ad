"""A network of two layers whose backward pass is written by hand, and checked: by differences and against autograd.

    python examples/two_layers.py
    python examples/two_layers.py --data DATA       MNIST instead of the bundled digits

Reports how far the three gradients are from each other, and the accuracy on the test set.
"""

from common import digits, options, source

import rushlight as torch


class TwoLayers:
    """Affine, ReLU, affine, softmax with cross-entropy."""

    def __init__(self, inputs: int, hidden: int, classes: int, dtype=torch.float32):
        scaled = lambda rows, columns: torch.randn(rows, columns, dtype=dtype) * (2 / rows) ** 0.5
        zeros = lambda size: torch.zeros(size, dtype=dtype)
        self.params = {
            "W1": scaled(inputs, hidden),
            "b1": zeros(hidden),
            "W2": scaled(hidden, classes),
            "b2": zeros(classes),
        }

    def predict(self, x):
        """Scores (N, classes); keeps what the backward pass needs."""
        p = self.params
        self.x, self.hidden = x, (x @ p["W1"] + p["b1"]).clamp(min=0)
        return self.hidden @ p["W2"] + p["b2"]

    def loss(self, x, y):
        """Mean cross-entropy."""
        scores = self.predict(x)
        scores = scores - scores.amax(1, keepdim=True)
        self.log_shares = scores - scores.exp().sum(1, keepdim=True).log()
        return -self.log_shares[torch.arange(len(y)), y].mean()

    def gradient(self, x, y) -> dict:
        """By the chain rule."""
        self.loss(x, y)
        d = self.log_shares.exp()
        d[torch.arange(len(y)), y] -= 1
        d /= len(y)
        grads = {"W2": self.hidden.T @ d, "b2": d.sum(0)}
        d = (d @ self.params["W2"].T) * (self.hidden > 0)
        return grads | {"W1": self.x.T @ d, "b1": d.sum(0)}

    def numerical_gradient(self, x, y, h: float = 1e-4) -> dict:
        """By differences: two losses for each weight."""
        grads = {}
        for name, weights in self.params.items():
            grads[name] = torch.zeros_like(weights)
            flat, out = weights.view(-1), grads[name].view(-1)
            for i in range(len(flat)):
                kept = flat[i].item()
                flat[i] = kept + h
                above = self.loss(x, y)
                flat[i] = kept - h
                out[i] = (above - self.loss(x, y)) / (2 * h)
                flat[i] = kept
        return grads


def check() -> tuple[float, float]:
    """How far the gradient by the chain rule is from the one by differences, and from autograd's."""
    net = TwoLayers(6, 5, 3, torch.float64)
    x, y = torch.randn(4, 6, dtype=torch.float64), torch.tensor([0, 1, 2, 1])
    chain, differences = net.gradient(x, y), net.numerical_gradient(x, y)
    for weights in net.params.values():
        weights.requires_grad_()
    tape = dict(zip(net.params, torch.autograd.grad(net.loss(x, y), list(net.params.values())), strict=True))
    apart = lambda a, b: max((a[name] - b[name]).abs().max().item() for name in a)
    return apart(chain, differences), apart(chain, tape)


def main() -> None:
    """Check the gradients, train, report."""
    args = options(__doc__, {"steps": 100}, hidden=50, steps=2000, batch=100, lr=0.3)
    by_differences, by_tape = check()
    x, y = digits(args.data, train=True)
    x = x.flatten(1)
    net = TwoLayers(x.shape[1], args.hidden, 10)
    for _ in range(args.steps):
        chosen = torch.randint(len(x), (args.batch,))
        for name, gradient in net.gradient(x[chosen], y[chosen]).items():
            net.params[name] -= args.lr * gradient
    x, y = digits(args.data, train=False)
    right = (net.predict(x.flatten(1)).argmax(1) == y).float().mean()
    print(
        f"{right:.2%} of {len(y)} test pictures of {source(args.data)}; the gradient by the chain rule is within "
        f"{by_differences:.1e} of differences and {by_tape:.1e} of autograd"
    )


if __name__ == "__main__":
    main()
