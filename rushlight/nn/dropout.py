"""Dropout layers: parts of the input set to zero at random, in training mode only."""

from rushlight.nn import functional as F
from rushlight.nn.module import Module


class _DropoutNd(Module):
    """Keeps the probability `p` and whether to write into the input."""

    def __init__(self, p=0.5, inplace=False):
        super().__init__()
        if p < 0 or p > 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_DropoutNd):
    """Sets elements to zero at random with probability `p`, and divides the others by 1 - p.

    Args:
        p: the probability.
        inplace: write the result into the input.
    Raises:
        ValueError: `p` is not a probability.

    Source: Hinton et al., Improving neural networks by preventing co-adaptation of feature detectors, 2012.

    >>> import rushlight as torch
    >>> torch.nn.Dropout(0.2).eval()(torch.ones(3))
    tensor([1., 1., 1.])
    """

    def forward(self, input):
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_DropoutNd):
    """Sets whole channels of signals (N, C, L) to zero with probability `p`; arguments as for `Dropout`."""

    def forward(self, input):
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_DropoutNd):
    """Sets whole channels of images (N, C, H, W) to zero with probability `p`; arguments as for `Dropout`."""

    def forward(self, input):
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_DropoutNd):
    """Sets whole channels of volumes (N, C, D, H, W) to zero; arguments as for `Dropout`."""

    def forward(self, input):
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_DropoutNd):
    """Dropout that keeps mean 0 and variance 1, for use with `SELU`; arguments as for `Dropout`.

    Source: Klambauer et al., Self-Normalizing Neural Networks, NeurIPS 2017.
    """

    def forward(self, input):
        return F.alpha_dropout(input, self.p, self.training)


class FeatureAlphaDropout(_DropoutNd):
    """`AlphaDropout` of whole channels; arguments as for `Dropout`."""

    def forward(self, input):
        return F.feature_alpha_dropout(input, self.p, self.training)


__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]
