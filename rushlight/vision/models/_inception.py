"""What both Inception networks have."""

import rushlight as torch
import rushlight.nn.functional as F
from rushlight import nn
from rushlight.vision.models._builders import build_model
from rushlight.vision.models._utils import _ovewrite_named_param


class BasicConv2d(nn.Module):
    """A convolution without bias, batch normalisation and ReLU.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        **kwargs: of the convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, **kwargs):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, bias=False, **kwargs)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Branches(nn.Module):
    """Several ways from the same input; their outputs are put side by side."""

    def _forward(self, x) -> list:
        raise NotImplementedError("Branches is a base class: _forward(x) gives the outputs")

    def forward(self, x):
        return torch.cat(self._forward(x), 1)


def chain(x, *layers):
    """`x` through the layers, one after the other."""
    for layer in layers:
        x = layer(x)
    return x


def transform_input(x):
    """From the usual normalisation of pictures (mean 0.485, ...) to values from -1 to 1, as the weights want."""
    means, stds = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    channels = [
        x[:, i].unsqueeze(1) * (std / 0.5) + (mean - 0.5) / 0.5
        for i, (mean, std) in enumerate(zip(means, stds, strict=True))
    ]
    return torch.cat(channels, 1)


def build_with_aux(kind, weights, progress, *, keep_aux: bool, heads: tuple[str, ...], **kwargs):
    """`build_model` for weights that include auxiliary classifiers, which are dropped unless they are wanted.

    Args:
        kind, weights, progress: as in `build_model`.
        keep_aux: what `aux_logits` is by default.
        heads: the names of the classifiers.
        **kwargs: arguments of the class.
    """
    keep_aux = kwargs.get("aux_logits", keep_aux)
    if weights is not None:
        kwargs.setdefault("transform_input", True)
        _ovewrite_named_param(kwargs, "aux_logits", True)
        _ovewrite_named_param(kwargs, "init_weights", False)
    model = build_model(kind, weights, progress, **kwargs)
    if weights is not None and not keep_aux:
        model.aux_logits = False
        for head in heads:
            setattr(model, head, None)
    return model
