"""RAFT: Teed and Deng, "RAFT: Recurrent All Pairs Field Transforms for Optical Flow", 2020,
https://arxiv.org/abs/2003.12039."""

import rushlight as torch
from rushlight import nn
from rushlight.nn import functional as F
from rushlight.vision.models._builders import DOWNLOADS, fan_out
from rushlight.vision.models._utils import handle_legacy_interface
from rushlight.vision.models.optical_flow._utils import grid_sample, make_coords_grid, upsample_flow
from rushlight.vision.models.registry import register_model
from rushlight.vision.models.weights import Weights, WeightsEnum
from rushlight.vision.ops import Conv2dNormActivation
from rushlight.vision.transforms._presets import OpticalFlow

__all__ = (
    "RAFT",
    "Raft_Large_Weights",
    "Raft_Small_Weights",
    "raft_large",
    "raft_small",
)


def _shortcut(in_channels: int, out_channels: int, norm_layer, stride: int) -> nn.Module:
    return Conv2dNormActivation(
        in_channels, out_channels, 1, stride, norm_layer=norm_layer, bias=True, activation_layer=None
    )


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut past them. All have biases, as normalisations are frozen in later training.

    Args:
        in_channels, out_channels: channels.
        norm_layer: function of the number of channels that makes a normalisation; None for none.
        stride: of the first convolution.
        always_project: put a convolution into the shortcut also where sizes stay.
    """

    def __init__(self, in_channels, out_channels, *, norm_layer, stride=1, always_project: bool = False):
        super().__init__()
        self.convnormrelu1 = Conv2dNormActivation(
            in_channels, out_channels, norm_layer=norm_layer, kernel_size=3, stride=stride, bias=True
        )
        self.convnormrelu2 = Conv2dNormActivation(
            out_channels, out_channels, norm_layer=norm_layer, kernel_size=3, bias=True
        )
        same = stride == 1 and not always_project
        self.downsample = nn.Identity() if same else _shortcut(in_channels, out_channels, norm_layer, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        y = self.convnormrelu2(self.convnormrelu1(x))
        return self.relu(self.downsample(x) + y)


class BottleneckBlock(nn.Module):
    """A convolution between ones of size 1, and a shortcut past them. Arguments as of `ResidualBlock`."""

    def __init__(self, in_channels, out_channels, *, norm_layer, stride=1):
        super().__init__()
        inner = out_channels // 4
        options = {"norm_layer": norm_layer, "bias": True}
        self.convnormrelu1 = Conv2dNormActivation(in_channels, inner, kernel_size=1, **options)
        self.convnormrelu2 = Conv2dNormActivation(inner, inner, kernel_size=3, stride=stride, **options)
        self.convnormrelu3 = Conv2dNormActivation(inner, out_channels, kernel_size=1, **options)
        self.relu = nn.ReLU(inplace=True)
        same = stride == 1
        self.downsample = nn.Identity() if same else _shortcut(in_channels, out_channels, norm_layer, stride)

    def forward(self, x):
        y = self.convnormrelu3(self.convnormrelu2(self.convnormrelu1(x)))
        return self.relu(self.downsample(x) + y)


class FeatureEncoder(nn.Module):
    """Features of a picture, an eighth as high and wide.

    Args:
        block: `ResidualBlock` or `BottleneckBlock`.
        layers: channels after the first convolution, after three pairs of blocks, and of the result.
        strides: of the first convolution and of the pairs.
        norm_layer: function of the number of channels that makes a normalisation; None for none.
    """

    def __init__(
        self,
        *,
        block=ResidualBlock,
        layers=(64, 64, 96, 128, 256),
        strides=(2, 1, 2, 2),
        norm_layer=nn.BatchNorm2d,
    ):
        super().__init__()
        if len(layers) != 5:
            raise ValueError(f"The expected number of layers is 5, instead got {len(layers)}")
        self.convnormrelu = Conv2dNormActivation(
            3, layers[0], norm_layer=norm_layer, kernel_size=7, stride=strides[0], bias=True
        )
        for i in (1, 2, 3):
            first = block(layers[i - 1], layers[i], norm_layer=norm_layer, stride=strides[i])
            second = block(layers[i], layers[i], norm_layer=norm_layer, stride=1)
            self.add_module(f"layer{i}", nn.Sequential(first, second))
        self.conv = nn.Conv2d(layers[3], layers[4], kernel_size=1)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                fan_out(m.weight)
        self.output_dim = layers[-1]
        self.downsample_factor = 2 ** sum(stride == 2 for stride in strides)

    def forward(self, x):
        return self.conv(self.layer3(self.layer2(self.layer1(self.convnormrelu(x)))))


class MotionEncoder(nn.Module):
    """Features of the present movements and of how well they fit.

    Args:
        in_channels_corr: channels of the correlations.
        corr_layers: channels of one or two convolutions of them.
        flow_layers: channels of two convolutions of the movements.
        out_channels: of the result, the movements themselves included.
    """

    def __init__(self, *, in_channels_corr, corr_layers=(256, 192), flow_layers=(128, 64), out_channels=128):
        super().__init__()
        if len(flow_layers) != 2:
            raise ValueError(f"The expected number of flow_layers is 2, instead got {len(flow_layers)}")
        if len(corr_layers) not in (1, 2):
            raise ValueError(f"The number of corr_layers should be 1 or 2, instead got {len(corr_layers)}")

        def conv(have, make, size):
            return Conv2dNormActivation(have, make, norm_layer=None, kernel_size=size)

        self.convcorr1 = conv(in_channels_corr, corr_layers[0], 1)
        self.convcorr2 = conv(*corr_layers, 3) if len(corr_layers) == 2 else nn.Identity()
        self.convflow1 = conv(2, flow_layers[0], 7)
        self.convflow2 = conv(*flow_layers, 3)
        self.conv = conv(corr_layers[-1] + flow_layers[-1], out_channels - 2, 3)
        self.out_channels = out_channels

    def forward(self, flow, corr_features):
        corr = self.convcorr2(self.convcorr1(corr_features))
        motion = self.convflow2(self.convflow1(flow))
        return torch.cat([self.conv(torch.cat([corr, motion], dim=1)), flow], dim=1)


class ConvGRU(nn.Module):
    """A gated recurrent unit whose products are convolutions.

    Args:
        input_size, hidden_size: channels of the input and of the state.
        kernel_size, padding: of the convolutions.
    """

    def __init__(self, *, input_size, hidden_size, kernel_size, padding):
        super().__init__()
        for gate in "zrq":
            conv = nn.Conv2d(hidden_size + input_size, hidden_size, kernel_size=kernel_size, padding=padding)
            self.add_module(f"conv{gate}", conv)

    def forward(self, h, x):
        hx = torch.cat([h, x], dim=1)
        z, r = torch.sigmoid(self.convz(hx)), torch.sigmoid(self.convr(hx))
        q = torch.tanh(self.convq(torch.cat([r * h, x], dim=1)))
        return (1 - z) * h + z * q


def _pass_through_h(h, _):
    return h


class RecurrentBlock(nn.Module):
    """One or two `ConvGRU`s, one after the other.

    Args:
        input_size, hidden_size: channels of the input and of the state.
        kernel_size, padding: of each unit.
    """

    def __init__(self, *, input_size, hidden_size, kernel_size=((1, 5), (5, 1)), padding=((0, 2), (2, 0))):
        super().__init__()
        if len(kernel_size) != len(padding):
            raise ValueError(
                f"kernel_size should have the same length as padding, instead got len(kernel_size) = "
                f"{len(kernel_size)} and len(padding) = {len(padding)}"
            )
        if len(kernel_size) not in (1, 2):
            raise ValueError(f"kernel_size should either 1 or 2, instead got {len(kernel_size)}")
        self.convgru2 = _pass_through_h
        for i, (size, around) in enumerate(zip(kernel_size, padding, strict=True), 1):
            unit = ConvGRU(input_size=input_size, hidden_size=hidden_size, kernel_size=size, padding=around)
            setattr(self, f"convgru{i}", unit)
        self.hidden_size = hidden_size

    def forward(self, h, x):
        return self.convgru2(self.convgru1(h, x), x)


class FlowHead(nn.Module):
    """By how much the movements are to be changed.

    Args:
        in_channels: channels of the state.
        hidden_size: channels between the two convolutions.
    """

    def __init__(self, *, in_channels, hidden_size):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, hidden_size, 3, padding=1)
        self.conv2 = nn.Conv2d(hidden_size, 2, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.conv2(self.relu(self.conv1(x)))


class UpdateBlock(nn.Module):
    """One step: a new state, and by how much the movements are to be changed.

    Args:
        motion_encoder, recurrent_block, flow_head: its parts.
    """

    def __init__(self, *, motion_encoder, recurrent_block, flow_head):
        super().__init__()
        self.motion_encoder = motion_encoder
        self.recurrent_block = recurrent_block
        self.flow_head = flow_head
        self.hidden_state_size = recurrent_block.hidden_size

    def forward(self, hidden_state, context, corr_features, flow):
        motion = self.motion_encoder(flow, corr_features)
        hidden_state = self.recurrent_block(hidden_state, torch.cat([context, motion], dim=1))
        return hidden_state, self.flow_head(hidden_state)


class MaskPredictor(nn.Module):
    """What of its nine neighbours each pixel of the larger map is a mean of.

    Args:
        in_channels: channels of the state.
        hidden_size: channels between the two convolutions.
        multiplier: of the result, so that gradients of this branch are smaller.
    """

    def __init__(self, *, in_channels, hidden_size, multiplier=0.25):
        super().__init__()
        self.convrelu = Conv2dNormActivation(in_channels, hidden_size, norm_layer=None, kernel_size=3)
        self.conv = nn.Conv2d(hidden_size, 8 * 8 * 9, 1, padding=0)
        self.multiplier = multiplier

    def forward(self, x):
        return self.multiplier * self.conv(self.convrelu(x))


class CorrBlock(nn.Module):
    """How alike each place of one picture and the surroundings of each place of the other are.

    Args:
        num_levels: sizes of the surroundings, each twice the one before.
        radius: of the surroundings.
    """

    def __init__(self, *, num_levels: int = 4, radius: int = 4):
        super().__init__()
        self.num_levels = num_levels
        self.radius = radius
        self.corr_pyramid = [torch.tensor(0)]
        self.out_channels = num_levels * (2 * radius + 1) ** 2

    def build_pyramid(self, fmap1, fmap2) -> None:
        """Compare all places of two maps of features (N, C, H, W), and means of 2, 4, ... of them."""
        if fmap1.shape != fmap2.shape:
            raise ValueError(
                f"Input feature maps should have the same shape, instead got {fmap1.shape} (fmap1.shape) != "
                f"{fmap2.shape} (fmap2.shape)"
            )
        smallest = 2 * 2 ** (
            self.num_levels - 1
        )  # at the last level two pixels are left, else places are 0 / 0
        if any(size < smallest for size in fmap1.shape[-2:]):
            raise ValueError(
                "Feature maps are too small to be down-sampled by the correlation pyramid. H and W of feature maps "
                f"should be at least {smallest}; got: {fmap1.shape[-2:]}. Remember that input images to the model "
                "are downsampled by 8, so that means their dimensions should be at least 8 * "
                f"{smallest} = {8 * smallest}."
            )
        corr = self._compute_corr_volume(fmap1, fmap2)
        batch, height, width, channels, _, _ = corr.shape
        corr = corr.reshape(batch * height * width, channels, height, width)
        self.corr_pyramid = [corr]
        for _ in range(self.num_levels - 1):
            corr = F.avg_pool2d(corr, kernel_size=2, stride=2)
            self.corr_pyramid.append(corr)

    def index_pyramid(self, centroids_coords):
        """What fits around these places (N, 2, H, W), columns and rows: (N, out_channels, H, W)."""
        side = 2 * self.radius + 1
        steps = torch.linspace(-self.radius, self.radius, side)
        delta = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1).view(1, side, side, 2)
        batch, _, height, width = centroids_coords.shape
        centres = centroids_coords.permute(0, 2, 3, 1).reshape(batch * height * width, 1, 1, 2)
        found = []
        for corr in self.corr_pyramid:
            near = grid_sample(corr, centres + delta, align_corners=True, mode="bilinear")
            found.append(near.view(batch, height, width, -1))
            centres = centres / 2
        features = torch.cat(found, dim=-1).permute(0, 3, 1, 2).contiguous()
        expected = (batch, self.out_channels, height, width)
        if features.shape != expected:
            raise ValueError(
                f"Output shape of index pyramid is incorrect. Should be {expected}, got {features.shape}"
            )
        return features

    def _compute_corr_volume(self, fmap1, fmap2):
        batch, channels, height, width = fmap1.shape
        first, second = (fmap.view(batch, channels, height * width) for fmap in (fmap1, fmap2))
        corr = torch.matmul(first.transpose(1, 2), second).view(batch, height, width, 1, height, width)
        return corr / torch.sqrt(torch.tensor(channels))


class RAFT(nn.Module):
    """Where the pixels of one picture are in another, improved step by step.

    Args:
        feature_encoder: features of both pictures, an eighth as high and wide.
        context_encoder: features of the first, from which the first state and the context are taken.
        corr_block: compares features; it has `build_pyramid`, `index_pyramid` and `out_channels`.
        update_block: one step; it has `hidden_state_size`.
        mask_predictor: what larger maps are means of; bilinear interpolation by default.
    """

    def __init__(self, *, feature_encoder, context_encoder, corr_block, update_block, mask_predictor=None):
        super().__init__()
        self.feature_encoder = feature_encoder
        self.context_encoder = context_encoder
        self.corr_block = corr_block
        self.update_block = update_block
        self.mask_predictor = mask_predictor
        if not hasattr(self.update_block, "hidden_state_size"):
            raise ValueError("The update_block parameter should expose a 'hidden_state_size' attribute.")

    def forward(self, image1, image2, num_flow_updates: int = 12):
        """The movements (N, 2, H, W) after each step, in pixels; `image1` and `image2` are (N, 3, H, W), -1 to 1."""
        batch, _, height, width = image1.shape
        if (height, width) != image2.shape[-2:]:
            raise ValueError(
                f"input images should have the same shape, instead got ({height}, {width}) != {image2.shape[-2:]}"
            )
        if height % 8 or width % 8:
            raise ValueError(
                f"input image H and W should be divisible by 8, instead got {height} (h) and {width} (w)"
            )
        small = height // 8, width // 8
        features = self.feature_encoder(torch.cat([image1, image2], dim=0))
        first, second = torch.chunk(features, chunks=2, dim=0)
        if first.shape[-2:] != small:
            raise ValueError("The feature encoder should downsample H and W by 8")
        self.corr_block.build_pyramid(first, second)
        state, context = self._state_and_context(image1, small)
        start = places = make_coords_grid(batch, *small)
        flows = []
        for _ in range(num_flow_updates):
            places = places.detach()  # no gradients along the steps, as in the paper
            corr = self.corr_block.index_pyramid(centroids_coords=places)
            state, change = self.update_block(state, context, corr, places - start)
            places = places + change
            mask = None if self.mask_predictor is None else self.mask_predictor(state)
            flows.append(upsample_flow(flow=places - start, up_mask=mask))
        return flows

    def _state_and_context(self, image, small):
        out = self.context_encoder(image)
        if out.shape[-2:] != small:
            raise ValueError("The context encoder should downsample H and W by 8")
        hidden = self.update_block.hidden_state_size
        if out.shape[1] <= hidden:
            raise ValueError(
                f"The context encoder outputs {out.shape[1]} channels, but it should have at strictly more than "
                f"hidden_state={hidden} channels"
            )
        state, context = torch.split(out, [hidden, out.shape[1] - hidden], dim=1)
        return torch.tanh(state), F.relu(context)


_RECIPES = (
    "https://github.com/princeton-vl/RAFT",
    "https://github.com/pytorch/vision/tree/main/references/optical_flow",
)


def _sintel(clean: float, final: float, part: str = "Train") -> dict:
    return {f"Sintel-{part}-Cleanpass": {"epe": clean}, f"Sintel-{part}-Finalpass": {"epe": final}}


def _flow_weights(name: str, num_params: int, ops: float, size: float, default: str, rows: dict):
    """The class of weights of one network; `rows` has for each member the end of the file's name and the errors."""

    def weights(member, checksum, metrics):
        meta = {
            "min_size": (128, 128),
            "num_params": num_params,
            "recipe": _RECIPES[member.endswith("V2")],
            "_metrics": metrics,
            "_ops": ops,
            "_file_size": size,
        }
        return Weights(f"{DOWNLOADS}{name.lower()}_{member}-{checksum}.pth", OpticalFlow, meta)

    members = {member: weights(member, *row) for member, row in rows.items()}
    enum = WeightsEnum(f"{name}_Weights", [*members.items(), ("DEFAULT", members[default])], module=__name__)
    enum.__doc__ = f"Pretrained weights of {name.lower()}: {', '.join(members)}."
    return enum


# fmt: off
Raft_Large_Weights = _flow_weights("Raft_Large", 5257536, 211.007, 20.129, "C_T_SKHT_V2", {
    "C_T_V1": ("22a6c225", {**_sintel(1.4411, 2.7894), "Kitti-Train": {"per_image_epe": 5.0172, "fl_all": 17.4506}}),
    "C_T_V2": ("1bb1363a", {**_sintel(1.3822, 2.7161), "Kitti-Train": {"per_image_epe": 4.5118, "fl_all": 16.0679}}),
    "C_T_SKHT_V1": ("0b8c9e55", _sintel(1.94, 3.18, "Test")),
    "C_T_SKHT_V2": ("ff5fadd5", _sintel(1.819, 3.067, "Test")),
    "C_T_SKHT_K_V1": ("4a6a5039", {"Kitti-Test": {"fl_all": 5.10}}),
    "C_T_SKHT_K_V2": ("b5c70766", {"Kitti-Test": {"fl_all": 5.19}}),
})
Raft_Small_Weights = _flow_weights("Raft_Small", 990162, 47.655, 3.821, "C_T_V2", {
    "C_T_V1": ("ad48884c", {**_sintel(2.1231, 3.2790), "Kitti-Train": {"per_image_epe": 7.6557, "fl_all": 25.2801}}),
    "C_T_V2": ("01064c6d", {**_sintel(1.9901, 3.2831), "Kitti-Train": {"per_image_epe": 7.5978, "fl_all": 25.2369}}),
})
# fmt: on


def _raft(weights, progress, *, encoders, corr, motion, recurrent, flow_hidden, masks, **parts) -> RAFT:
    """A network; `parts` are modules that take the place of its own."""
    features, context = encoders
    feature_encoder = parts.pop("feature_encoder", None) or FeatureEncoder(**features)
    context_encoder = parts.pop("context_encoder", None) or FeatureEncoder(**context)
    corr_block = parts.pop("corr_block", None) or CorrBlock(**corr)
    update_block, mask_predictor = parts.pop("update_block", None), parts.pop("mask_predictor", None)
    hidden = recurrent["hidden_size"]
    if update_block is None:
        encoder = MotionEncoder(in_channels_corr=corr_block.out_channels, **motion)
        inputs = encoder.out_channels + context["layers"][-1] - hidden
        block = RecurrentBlock(input_size=inputs, **recurrent)
        head = FlowHead(in_channels=hidden, hidden_size=flow_hidden)
        update_block = UpdateBlock(motion_encoder=encoder, recurrent_block=block, flow_head=head)
    if mask_predictor is None and masks:
        mask_predictor = MaskPredictor(in_channels=hidden, hidden_size=256, multiplier=0.25)
    model = RAFT(
        feature_encoder=feature_encoder,
        context_encoder=context_encoder,
        corr_block=corr_block,
        update_block=update_block,
        mask_predictor=mask_predictor,
        **parts,
    )
    if weights is not None:
        model.load_state_dict(weights.get_state_dict(progress=progress, check_hash=True))
    return model


@register_model()
@handle_legacy_interface(weights=("pretrained", Raft_Large_Weights.C_T_SKHT_V2))
def raft_large(*, weights: Raft_Large_Weights | None = None, progress=True, **kwargs) -> RAFT:
    """RAFT (Teed and Deng, Recurrent All Pairs Field Transforms for Optical Flow, 2020).

    Args:
        weights: pretrained weights, a member of `Raft_Large_Weights` or its name; random ones by default.
        progress: show a bar while downloading them.
        **kwargs: arguments of `RAFT`.
    """
    layers = (64, 64, 96, 128, 256)
    return _raft(
        Raft_Large_Weights.verify(weights),
        progress,
        encoders=(
            {"block": ResidualBlock, "layers": layers, "norm_layer": nn.InstanceNorm2d},
            {"block": ResidualBlock, "layers": layers, "norm_layer": nn.BatchNorm2d},
        ),
        corr={"num_levels": 4, "radius": 4},
        motion={"corr_layers": (256, 192), "flow_layers": (128, 64), "out_channels": 128},
        recurrent={"hidden_size": 128, "kernel_size": ((1, 5), (5, 1)), "padding": ((0, 2), (2, 0))},
        flow_hidden=256,
        masks=True,
        **kwargs,
    )


@register_model()
@handle_legacy_interface(weights=("pretrained", Raft_Small_Weights.C_T_V2))
def raft_small(*, weights: Raft_Small_Weights | None = None, progress=True, **kwargs) -> RAFT:
    """A smaller RAFT (Teed and Deng, Recurrent All Pairs Field Transforms for Optical Flow, 2020).

    Args:
        weights: pretrained weights, a member of `Raft_Small_Weights` or its name; random ones by default.
        progress: show a bar while downloading them.
        **kwargs: arguments of `RAFT`.
    """
    return _raft(
        Raft_Small_Weights.verify(weights),
        progress,
        encoders=(
            {"block": BottleneckBlock, "layers": (32, 32, 64, 96, 128), "norm_layer": nn.InstanceNorm2d},
            {"block": BottleneckBlock, "layers": (32, 32, 64, 96, 160), "norm_layer": None},
        ),
        corr={"num_levels": 4, "radius": 3},
        motion={"corr_layers": (96,), "flow_layers": (64, 32), "out_channels": 82},
        recurrent={"hidden_size": 96, "kernel_size": (3,), "padding": (1,)},
        flow_hidden=128,
        masks=False,
        **kwargs,
    )
