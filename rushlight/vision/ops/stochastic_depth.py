"""Dropping whole residual branches."""

import rushlight as torch
from rushlight import fx
from rushlight.nn import Module


@fx.wrap
def stochastic_depth(input, p: float, mode: str, training: bool = True):
    """Zero a residual branch at random, and scale what is left so that the mean stays.

    Source: Huang et al., Deep Networks with Stochastic Depth, 2016.

    Args:
        input: the branch (N, ...).
        p: probability of zero.
        mode: "row" draws for each sample, "batch" once for all.
        training: without it nothing is dropped.

    Raises:
        ValueError: `p` is no probability, or `mode` is another.

    >>> from rushlight.vision.ops import stochastic_depth
    >>> stochastic_depth(torch.ones(2, 3), 0.5, "row", training=False)
    tensor([[1., 1., 1.],
            [1., 1., 1.]])
    """
    if p < 0.0 or p > 1.0:
        raise ValueError(f"drop probability has to be between 0 and 1, but got {p}")
    if mode not in ("batch", "row"):
        raise ValueError(f"mode has to be either 'batch' or 'row', but got {mode}")
    if not training or p == 0.0:
        return input
    rows = input.shape[0] if mode == "row" else 1
    noise = torch.empty([rows] + [1] * (input.ndim - 1), dtype=input.dtype, device=input.device)
    noise.bernoulli_(1.0 - p)
    if p < 1.0:
        noise.div_(1.0 - p)
    return input * noise


class StochasticDepth(Module):
    """`stochastic_depth` as a layer.

    Args:
        p: probability of zero.
        mode: "row" or "batch".
    """

    def __init__(self, p: float, mode: str):
        super().__init__()
        self.p = p
        self.mode = mode

    def forward(self, input):
        return stochastic_depth(input, self.p, self.mode, self.training)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p}, mode={self.mode})"
