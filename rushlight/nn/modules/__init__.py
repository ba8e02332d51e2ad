"""PyTorch's paths to the layers, such as `torch.nn.modules.conv.Conv2d`: here they all are in `rushlight.nn`."""

import sys

from rushlight.nn import (
    activation,
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
    loss,
    module,
    normalization,
    padding,
    pooling,
    sizes,
    sparse,
    upsampling,
)
from rushlight.nn.activation import *  # noqa: F403
from rushlight.nn.batchnorm import *  # noqa: F403
from rushlight.nn.containers import (
    Container,
    ModuleDict,
    ModuleList,
    ParameterDict,
    ParameterList,
    Sequential,
)
from rushlight.nn.conv import *  # noqa: F403
from rushlight.nn.distance import *  # noqa: F403
from rushlight.nn.dropout import *  # noqa: F403
from rushlight.nn.flatten import *  # noqa: F403
from rushlight.nn.fold import *  # noqa: F403
from rushlight.nn.instancenorm import *  # noqa: F403
from rushlight.nn.linear import *  # noqa: F403
from rushlight.nn.loss import *  # noqa: F403
from rushlight.nn.module import Module
from rushlight.nn.normalization import *  # noqa: F403
from rushlight.nn.padding import *  # noqa: F403
from rushlight.nn.pooling import *  # noqa: F403
from rushlight.nn.sparse import *  # noqa: F403
from rushlight.nn.upsampling import *  # noqa: F403

container, utils = containers, sizes
channelshuffle = pixelshuffle = upsampling

for _name in (
    "activation", "batchnorm", "channelshuffle", "container", "conv", "distance", "dropout", "flatten", "fold",
    "instancenorm", "lazy", "linear", "loss", "module", "normalization", "padding", "pixelshuffle", "pooling", "sparse",
    "upsampling", "utils",
):  # fmt: skip
    sys.modules[f"{__name__}.{_name}"] = globals()[_name]
