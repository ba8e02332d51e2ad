"""PyTorch's paths to the layers, such as `torch.nn.modules.conv.Conv2d`; here they are in `rushlight.nn`."""

import sys

from rushlight import nn
from rushlight.nn import (
    activation,
    adaptive,
    batchnorm,
    containers,
    conv,
    distance,
    dropout,
    flatten,
    fold,
    instancenorm,
    lazy,
    linear,
    linear_cross_entropy,
    loss,
    module,
    normalization,
    padding,
    pooling,
    rnn,
    sparse,
    transformer,
    upsampling,
)

PATHS = {
    "activation": activation, "adaptive": adaptive, "batchnorm": batchnorm, "channelshuffle": upsampling, "container": containers,
    "conv": conv, "distance": distance, "dropout": dropout, "flatten": flatten, "fold": fold,
    "instancenorm": instancenorm, "lazy": lazy, "linear": linear,
    "linear_cross_entropy": linear_cross_entropy, "linear_cross_entropy_options": linear_cross_entropy,
    "loss": loss, "module": module,
    "normalization": normalization, "padding": padding, "pixelshuffle": upsampling, "pooling": pooling,
    "rnn": rnn,
    "sparse": sparse, "transformer": transformer, "upsampling": upsampling,
}  # fmt: skip
for _name, _module in PATHS.items():
    globals()[_name] = sys.modules[f"{__name__}.{_name}"] = _module

__all__ = [name for name, value in vars(nn).items() if isinstance(value, type)]
globals().update({name: vars(nn)[name] for name in __all__})
activation.MultiheadAttention = nn.MultiheadAttention  # where PyTorch has it

from rushlight.nn.modules import utils  # noqa: E402, F401
