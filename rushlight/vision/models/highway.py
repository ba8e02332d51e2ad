"""Highway networks: Srivastava, Greff and Schmidhuber, 2015, https://arxiv.org/abs/1505.00387."""

from rushlight import nn
from rushlight.vision.models.registry import register_model

__all__ = ["Highway", "HighwayLayer", "highway"]


class HighwayLayer(nn.Module):
    """y = H(x) T(x) + x (1 - T(x)): the gate T decides how much is transformed, the rest passes as it is.

    Args:
        transform: the layer H, of as many outputs as inputs: linear or a convolution that keeps the size.
        gate: the layer T, of the same shape.
        activation: what follows H; T is followed by a sigmoid.
        gate_bias: the gate's first bias; negative, so that at first all passes (the paper: -1 to -4, the
            deeper the lower).

    >>> from rushlight.vision.models.highway import HighwayLayer
    >>> layer = HighwayLayer(torch.nn.Linear(5, 5), torch.nn.Linear(5, 5), gate_bias=-100.0)
    >>> x = torch.arange(5.0)
    >>> torch.equal(layer(x), x)
    True
    """

    def __init__(
        self, transform: nn.Module, gate: nn.Module, activation=nn.ReLU, gate_bias: float = -2.0
    ) -> None:
        super().__init__()
        self.transform = transform
        self.gate = gate
        self.activation = activation()
        nn.init.constant_(gate.bias, gate_bias)

    def forward(self, x):
        gate = self.gate(x).sigmoid()
        return self.activation(self.transform(x)) * gate + x * (1 - gate)


class Highway(nn.Module):
    """Layers of equal width with gates, for vectors or flattened pictures.

    Args:
        in_features: values of an input.
        num_classes: outputs.
        width: values between layers.
        depth: layers in all, with the first, which has no gate, and the last, which gives the classes.
        activation: what follows each layer but the last.
        gate_bias: the gates' first bias.
    """

    def __init__(
        self,
        in_features: int = 784,
        num_classes: int = 10,
        width: int = 50,
        depth: int = 10,
        activation=nn.ReLU,
        gate_bias: float = -2.0,
    ) -> None:
        super().__init__()
        if depth < 2:
            raise ValueError(
                f"Highway: depth counts the first and the last layer, so it is at least 2, got {depth}"
            )
        self.input = nn.Linear(in_features, width)
        self.activation = activation()
        self.layers = nn.Sequential(
            *(
                HighwayLayer(nn.Linear(width, width), nn.Linear(width, width), activation, gate_bias)
                for _ in range(depth - 2)
            )
        )
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, x):
        x = self.activation(self.input(x.flatten(1)))
        return self.classifier(self.layers(x))


@register_model()
def highway(**kwargs) -> Highway:
    """A fully connected highway network of 10 layers of width 50 for MNIST: 80,560 parameters.

    >>> from rushlight.vision.models import highway
    >>> highway(depth=50)(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """
    return Highway(**kwargs)
