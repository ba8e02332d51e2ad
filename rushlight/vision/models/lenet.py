"""LeNet-5: LeCun, Bottou, Bengio and Haffner, "Gradient-Based Learning Applied to Document Recognition", 1998."""

from rushlight import nn
from rushlight.vision.models.registry import register_model

__all__ = ["LeNet5", "lenet5"]


class LeNet5(nn.Module):
    """Two convolutions with pooling between them, then three linear layers.

    Unlike in the paper every map of the second convolution sees all maps of the first, pooling has no weights,
    and the last layer is linear rather than of radial basis functions: the usual form today.

    Args:
        num_classes: outputs.
        in_channels: channels of the pictures.
        image_size: 32, as in the paper, or 28 (MNIST): the first convolution then pads them to 32.
        activation: the layer between layers, `nn.Tanh` as in the paper, `nn.ReLU` to learn faster.
    Raises:
        ValueError: another image size.
    """

    def __init__(
        self, num_classes: int = 10, in_channels: int = 1, image_size: int = 32, activation=nn.Tanh
    ) -> None:
        super().__init__()
        if image_size not in (28, 32):
            raise ValueError(f"LeNet5: image_size must be 28 or 32, got {image_size}. Resize the pictures.")
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 6, 5, padding=(32 - image_size) // 2),
            activation(),
            nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5),
            activation(),
            nn.AvgPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(16 * 5 * 5, 120),
            activation(),
            nn.Linear(120, 84),
            activation(),
            nn.Linear(84, num_classes),
        )

    def forward(self, x):
        return self.classifier(self.features(x))


@register_model()
def lenet5(**kwargs) -> LeNet5:
    """LeNet-5 with 61,706 parameters; keywords are those of `LeNet5`.

    >>> from rushlight.vision.models import lenet5
    >>> lenet5(image_size=28)(torch.zeros(1, 1, 28, 28)).shape
    torch.Size([1, 10])
    """
    return LeNet5(**kwargs)
