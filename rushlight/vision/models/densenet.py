"""DenseNet."""

import re
from collections import OrderedDict
from functools import partial

import rushlight as torch
import rushlight.nn.functional as F
from rushlight import Tensor, nn
from rushlight.utils.checkpoint import checkpoint
from rushlight.vision.models._builders import PULL, entry, imagenet_weights, init_layers, model_builder

__all__ = [
    "DenseNet", "DenseNet121_Weights", "DenseNet161_Weights", "DenseNet169_Weights", "DenseNet201_Weights",
    "densenet121", "densenet161", "densenet169", "densenet201",
]  # fmt: skip


class _DenseLayer(nn.Module):
    """Some new features from all that there are so far."""

    def __init__(
        self,
        num_input_features: int,
        growth_rate: int,
        bn_size: int,
        drop_rate: float,
        memory_efficient: bool = False,
    ):
        super().__init__()
        width = bn_size * growth_rate
        self.norm1 = nn.BatchNorm2d(num_input_features)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(num_input_features, width, kernel_size=1, stride=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, growth_rate, kernel_size=3, stride=1, padding=1, bias=False)
        self.drop_rate = float(drop_rate)
        self.memory_efficient = memory_efficient

    def bn_function(self, inputs):
        """The bottleneck: what is cheap to compute again, and much to keep."""
        return self.conv1(self.relu1(self.norm1(torch.cat(inputs, 1))))

    def forward(self, input):
        features = [input] if isinstance(input, torch.Tensor) else input
        if self.memory_efficient and any(tensor.requires_grad for tensor in features):
            bottleneck = checkpoint(lambda *inputs: self.bn_function(inputs), *features, use_reentrant=False)
        else:
            bottleneck = self.bn_function(features)
        out = self.conv2(self.relu2(self.norm2(bottleneck)))
        if self.drop_rate > 0:
            out = F.dropout(out, p=self.drop_rate, training=self.training)
        return out


class _DenseBlock(nn.ModuleDict):
    """Layers each of which sees the output of all before it."""

    _version = 2

    def __init__(
        self,
        num_layers: int,
        num_input_features: int,
        bn_size: int,
        growth_rate: int,
        drop_rate: float,
        memory_efficient: bool = False,
    ):
        super().__init__()
        for i in range(num_layers):
            width = num_input_features + i * growth_rate
            layer = _DenseLayer(width, growth_rate, bn_size, drop_rate, memory_efficient)
            self.add_module(f"denselayer{i + 1}", layer)

    def forward(self, init_features):
        features = [init_features]
        for layer in self.values():
            features.append(layer(features))
        return torch.cat(features, 1)


class _Transition(nn.Sequential):
    """Fewer channels at half the size."""

    def __init__(self, num_input_features: int, num_output_features: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(num_input_features)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(num_input_features, num_output_features, kernel_size=1, stride=1, bias=False)
        self.pool = nn.AvgPool2d(kernel_size=2, stride=2)


class DenseNet(nn.Module):
    """Blocks in which each layer sees the output of all before it.

    Source: Huang et al., Densely Connected Convolutional Networks, 2017; with `memory_efficient` Pleiss et al.,
    Memory-Efficient Implementation of DenseNets, 2017.

    Args:
        growth_rate: channels that each layer adds.
        block_config: number of layers in each block.
        num_init_features: channels of the first convolution.
        bn_size: channels inside a layer, as a multiple of `growth_rate`.
        drop_rate: probability of zero after each layer.
        num_classes: outputs.
        memory_efficient: compute parts of each layer again in the backward pass instead of keeping them.

    >>> from rushlight.vision.models import DenseNet
    >>> DenseNet(8, (2, 2), 16, num_classes=10)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        growth_rate: int = 32,
        block_config: tuple[int, int, int, int] = (6, 12, 24, 16),
        num_init_features: int = 64,
        bn_size: int = 4,
        drop_rate: float = 0,
        num_classes: int = 1000,
        memory_efficient: bool = False,
    ):
        super().__init__()
        width = num_init_features
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv0=nn.Conv2d(3, width, kernel_size=7, stride=2, padding=3, bias=False),
            norm0=nn.BatchNorm2d(width),
            relu0=nn.ReLU(inplace=True),
            pool0=nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
        )
        for i, count in enumerate(block_config, 1):
            block = _DenseBlock(count, width, bn_size, growth_rate, drop_rate, memory_efficient)
            layers[f"denseblock{i}"] = block
            width += count * growth_rate
            if i < len(block_config):
                layers[f"transition{i}"] = _Transition(width, width // 2)
                width //= 2
        layers["norm5"] = nn.BatchNorm2d(width)
        self.features = nn.Sequential(layers)
        self.classifier = nn.Linear(width, num_classes)
        init_layers(self, nn.init.kaiming_normal_)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.features(x), inplace=True)
        return self.classifier(torch.flatten(F.adaptive_avg_pool2d(out, (1, 1)), 1))


# Published files have norm.1 where layers are called norm1.
_OLD_KEY = re.compile(
    r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.(?:weight|bias|running_mean|running_var))"
)


# fmt: off
# file, accuracy of the best and of the best five guesses, 10^9 operations, MB
_weights = partial(imagenet_weights, module=__name__, recipe=PULL + "116", min_size=(29, 29))
DenseNet121_Weights = _weights("DenseNet121", 7978856,
    V1=entry("densenet121-a639ec97", 74.434, 91.972, 2.834, 30.845))
DenseNet161_Weights = _weights("DenseNet161", 28681000,
    V1=entry("densenet161-8d451a50", 77.138, 93.56, 7.728, 110.369))
DenseNet169_Weights = _weights("DenseNet169", 14149480,
    V1=entry("densenet169-b2777c0a", 75.6, 92.806, 3.36, 54.708))
DenseNet201_Weights = _weights("DenseNet201", 20013928,
    V1=entry("densenet201-c1103571", 76.896, 93.37, 4.291, 77.373))
# fmt: on

_model = partial(
    model_builder,
    kind=DenseNet,
    rename=partial(_OLD_KEY.sub, r"\1\2"),
    doc="A DenseNet (Huang et al., Densely Connected Convolutional Networks, 2017).",
)
densenet121 = _model("densenet121", DenseNet121_Weights, 32, (6, 12, 24, 16), 64)
densenet161 = _model("densenet161", DenseNet161_Weights, 48, (6, 12, 36, 24), 96)
densenet169 = _model("densenet169", DenseNet169_Weights, 32, (6, 12, 32, 32), 64)
densenet201 = _model("densenet201", DenseNet201_Weights, 32, (6, 12, 48, 32), 64)
