"""Feature pyramids: maps of several sizes, each of which knows of the smaller ones."""

from collections import OrderedDict
from collections.abc import Callable

from rushlight import nn
from rushlight.nn import functional as F
from rushlight.vision.ops.misc import Conv2dNormActivation


class ExtraFPNBlock(nn.Module):
    """What adds further maps to a pyramid: the base of `LastLevelMaxPool` and `LastLevelP6P7`."""

    def forward(self, results: list, x: list, names: list[str]) -> tuple[list, list[str]]:
        """All maps and their names.

        Args:
            results: the pyramid's maps, largest first.
            x: the maps that the pyramid was made of.
            names: those of `results`.
        """
        raise NotImplementedError(f"{type(self).__name__} should define forward(results, x, names)")


class FeaturePyramidNetwork(nn.Module):
    """A feature pyramid on top of the maps of a network.

    Source: Lin et al., Feature Pyramid Networks for Object Detection, CVPR 2017.

    Args:
        in_channels_list: channels of each map, largest map first.
        out_channels: channels of every map of the pyramid.
        extra_blocks: adds further maps.
        norm_layer: function of the number of channels that makes the normalisation; None for none.

    Raises:
        ValueError: a map has no channels. TypeError: `extra_blocks` is of another class.

    >>> from rushlight.vision.ops import FeaturePyramidNetwork
    >>> pyramid = FeaturePyramidNetwork([10, 20], 5)
    >>> maps = pyramid({"large": torch.zeros(1, 10, 16, 16), "small": torch.zeros(1, 20, 8, 8)})
    >>> {name: tuple(x.shape) for name, x in maps.items()}
    {'large': (1, 5, 16, 16), 'small': (1, 5, 8, 8)}
    """

    _version = 2

    def __init__(
        self,
        in_channels_list: list[int],
        out_channels: int,
        extra_blocks: ExtraFPNBlock | None = None,
        norm_layer: Callable[..., nn.Module] | None = None,
    ):
        super().__init__()
        self.inner_blocks = nn.ModuleList()
        self.layer_blocks = nn.ModuleList()
        for channels in in_channels_list:
            if channels == 0:
                raise ValueError("in_channels=0 is currently not supported")
            how = {"norm_layer": norm_layer, "activation_layer": None}
            self.inner_blocks.append(Conv2dNormActivation(channels, out_channels, 1, padding=0, **how))
            self.layer_blocks.append(Conv2dNormActivation(out_channels, out_channels, 3, **how))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
                if module.bias is not None:
                    nn.init.constant_(module.bias, 0)
        if extra_blocks is not None and not isinstance(extra_blocks, ExtraFPNBlock):
            raise TypeError(f"extra_blocks should be of type ExtraFPNBlock not {type(extra_blocks)}")
        self.extra_blocks = extra_blocks

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args) -> None:
        if (local_metadata.get("version") or 1) < 2:  # the convolutions were no blocks then
            for block in ("inner_blocks", "layer_blocks"):
                for i in range(len(self.inner_blocks)):
                    rename(state_dict, f"{prefix}{block}.{i}", f"{prefix}{block}.{i}.0")
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)

    def forward(self, x: dict) -> OrderedDict:
        """The maps of the pyramid by name.

        Args:
            x: maps (N, C, H, W) by name, largest first.
        """
        names, maps = list(x), list(x.values())
        inner = self.inner_blocks[-1](maps[-1])
        results = [self.layer_blocks[-1](inner)]
        for i in range(len(maps) - 2, -1, -1):
            own = self.inner_blocks[i](maps[i])
            inner = own + F.interpolate(inner, size=own.shape[-2:], mode="nearest")
            results.insert(0, self.layer_blocks[i](inner))
        if self.extra_blocks is not None:
            results, names = self.extra_blocks(results, maps, names)
        return OrderedDict(zip(names, results, strict=True))


def rename(state_dict: dict, old: str, new: str) -> None:
    """Weight and bias of an earlier version, where they are now."""
    for kind in ("weight", "bias"):
        if f"{old}.{kind}" in state_dict:
            state_dict[f"{new}.{kind}"] = state_dict.pop(f"{old}.{kind}")


class LastLevelMaxPool(ExtraFPNBlock):
    """One more map, "pool": every other place of the last one."""

    def forward(self, x: list, y: list, names: list[str]) -> tuple[list, list[str]]:
        return [*x, F.max_pool2d(x[-1], kernel_size=1, stride=2, padding=0)], [*names, "pool"]


class LastLevelP6P7(ExtraFPNBlock):
    """Two more maps, "p6" and "p7", each half as large as the one before.

    Args:
        in_channels: channels of the map that they are made of: the pyramid's last one if that is `out_channels`, else the
            network's.
        out_channels: channels of both.
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.p6 = nn.Conv2d(in_channels, out_channels, 3, 2, 1)
        self.p7 = nn.Conv2d(out_channels, out_channels, 3, 2, 1)
        for module in (self.p6, self.p7):
            nn.init.kaiming_uniform_(module.weight, a=1)
            nn.init.constant_(module.bias, 0)
        self.use_P5 = in_channels == out_channels

    def forward(self, p: list, c: list, names: list[str]) -> tuple[list, list[str]]:
        p6 = self.p6(p[-1] if self.use_P5 else c[-1])
        return [*p, p6, self.p7(F.relu(p6))], [*names, "p6", "p7"]
