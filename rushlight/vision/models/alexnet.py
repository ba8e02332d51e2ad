"""AlexNet."""

from functools import partial

import rushlight as torch
from rushlight import Tensor, nn
from rushlight.vision.models._builders import RECIPES, entry, imagenet_weights, model_builder

__all__ = ["AlexNet", "AlexNet_Weights", "alexnet"]


class AlexNet(nn.Module):
    """Five convolutions and three linear layers.

    Source: Krizhevsky, One weird trick for parallelizing convolutional neural networks, 2014.

    Args:
        num_classes: outputs.
        dropout: probability of zero before the first two linear layers.

    >>> from rushlight.vision.models import AlexNet
    >>> AlexNet(num_classes=10)(torch.zeros(2, 3, 63, 63)).shape
    torch.Size([2, 10])
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, kernel_size=11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(64, 192, kernel_size=5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(192, 384, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


# fmt: off
# file, accuracy of the best and of the best five guesses, 10^9 operations, MB
_weights = partial(imagenet_weights, module=__name__, recipe=RECIPES + "alexnet-and-vgg", min_size=(63, 63))
AlexNet_Weights = _weights("AlexNet", 61100840,
    V1=entry("alexnet-owt-7be5be79", 56.522, 79.066, 0.714, 233.087))
# fmt: on
alexnet = model_builder(
    "alexnet",
    AlexNet_Weights,
    kind=AlexNet,
    doc="AlexNet (Krizhevsky, One weird trick for parallelizing convolutional neural networks, 2014).",
)
