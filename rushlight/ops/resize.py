"""Other sizes for images: interpolation, and rearrangement of channels into positions and back."""

import math
import warnings

import numpy as np

from rushlight import kernels as K
from rushlight.ops.adjoint import LinearNode, apply_linear
from rushlight.ops.antialias import FILTERS, antialiased, resized_bytes
from rushlight.ops.common import Tensor, check_tensor
from rushlight.ops.conv import mark_format
from rushlight.ops.pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from rushlight.ops.registry import alias, op

_LINEAR_DIMS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}
_MODES = "nearest | linear | bilinear | bicubic | trilinear | area | nearest-exact"
_AREA = {1: adaptive_avg_pool1d, 2: adaptive_avg_pool2d, 3: adaptive_avg_pool3d}


def _upsample_nodes() -> dict:
    """A gradient function for each mode and number of dimensions, under PyTorch's names."""
    names = {(mode, n): f"Upsample{mode.capitalize()}{n}DBackward0" for mode, n in _LINEAR_DIMS.items()}
    for n in (1, 2, 3):
        names["nearest", n] = f"UpsampleNearest{n}DBackward0"
        names["nearest-exact", n] = f"UpsampleNearestExact{n}DBackward0"
    return {key: type(name, (LinearNode,), {"__module__": __name__}) for key, name in names.items()}


_NODES = _upsample_nodes()


def _per_dimension(what: str, value, n: int, shape: tuple) -> list | None:
    """`value`, one or one for each spatial dimension, as a list."""
    if value is None:
        return None
    if not isinstance(value, (tuple, list)):
        return [value] * n
    if len(value) == n:
        return list(value)
    if what == "size":
        raise ValueError(
            "Input and output must have the same number of spatial dimensions, but got input with spatial "
            "dimensions of "
            f"{list(shape[2:])} and output size of {value}. Please provide input tensor in (N, C, d1, d2, "
            "...,dK) format "
            "and output size in (o1, o2, ...,oK) format."
        )
    raise ValueError(
        "Input and scale_factor must have the same number of spatial dimensions, but got input with spatial "
        "dimensions of "
        f"{list(shape[2:])} and scale_factor of shape {value}. Please provide input tensor in (N, C, d1, d2, "
        "...,dK) "
        "format and scale_factor in (s1, s2, ...,sK) format."
    )


def _output_size(shape, size, scale_factor, recompute_scale_factor) -> tuple[tuple, tuple | None]:
    """The sizes to make, and the factors to step through the input by (None: the ratio of the sizes)."""
    n = len(shape) - 2
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is None and scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    if size is not None:
        if recompute_scale_factor:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        return tuple(s.__index__() for s in _per_dimension("size", size, n, shape)), None
    factors = [float(f) for f in _per_dimension("scale_factor", scale_factor, n, shape)]
    sizes = tuple(math.floor(have * f) for have, f in zip(shape[2:], factors, strict=True))
    return sizes, None if recompute_scale_factor else tuple(factors)


def _check_interpolation(x: np.ndarray, sizes: tuple, mode: str) -> None:
    n = x.ndim - 2
    if 0 in x.shape[1:]:
        raise RuntimeError(
            f"interpolate: Non-empty {x.ndim}D data tensor expected but got a tensor with sizes "
            f"{list(x.shape)}"
        )
    if min(sizes) < 1:
        have, found = (
            ", ".join(f"{d}: {s}" for d, s in zip("DHW"[-n:], which, strict=True))
            for which in (x.shape[2:], sizes)
        )
        raise RuntimeError(
            f"interpolate: Input and output sizes should be greater than 0, but got input ({have}) output "
            f"({found})"
        )
    if x.dtype.kind not in "fV" and x.dtype != np.uint8:
        raise NotImplementedError(
            f'interpolate: "{mode}" not implemented for {x.dtype}: convert the input, x.float()'
        )


@op(method=False)
def interpolate(
    input,
    size=None,
    scale_factor=None,
    mode="nearest",
    align_corners=None,
    recompute_scale_factor=None,
    antialias=False,
):
    """Sample an image, a signal or a volume on a grid of another size.

    Args:
        input: (N, C, L), (N, C, H, W) or (N, C, D, H, W).
        size: the sizes to make, one number or one for each dimension.
        scale_factor: what to multiply the sizes by, instead of `size`.
        mode: "nearest", "nearest-exact", "area", "linear" (3-D input), "bilinear", "bicubic" (4-D),
            "trilinear" (5-D) or "lanczos" (4-D, with antialias).
        align_corners: whether the corner positions, rather than the corners of the corner pixels, coincide.
        recompute_scale_factor: step through the input by the ratio of the sizes, not by `scale_factor`.
        antialias: filter before making an image smaller ("bilinear", "bicubic" and "lanczos").
    Returns:
        (N, C, *sizes).
    Raises:
        ValueError: `size`, `scale_factor` or `align_corners` do not fit.
        NotImplementedError: the mode does not fit the input, or is not offered.

    >>> import rushlight as torch
    >>> torch.nn.functional.interpolate(torch.tensor([[[1.0, 2.0]]]), scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    """
    x = check_tensor("interpolate", input)._array
    n = x.ndim - 2
    if mode in ("nearest", "nearest-exact", "area"):
        if align_corners is not None:
            raise ValueError(
                "align_corners option can only be set with the interpolating modes: linear | bilinear | "
                "bicubic | trilinear"
            )
    if antialias:
        if mode not in FILTERS or n != 2:
            raise ValueError(
                "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D "
                "tensor as input"
            )
    elif mode == "lanczos" and n == 2:
        raise ValueError("Lanczos mode requires antialias=True")
    if mode == "lanczos" and align_corners:
        raise ValueError("Lanczos mode does not support align_corners=True")
    if n not in (1, 2, 3) or (not antialias and mode not in _MODES.split(" | ")):
        raise NotImplementedError(
            f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {x.ndim}D) for the modes: "
            f"{_MODES} (got {mode})"
        )
    sizes, scales = _output_size(x.shape, size, scale_factor, recompute_scale_factor)
    if mode == "area":
        return _AREA[n](input, sizes)
    if mode in _LINEAR_DIMS and _LINEAR_DIMS[mode] != n:
        raise NotImplementedError(
            f"Got {x.ndim}D input, but {mode} mode needs {_LINEAR_DIMS[mode] + 2}D input"
        )
    if antialias:
        _check_interpolation(x, sizes, mode)
        return antialiased(input, sizes, mode, bool(align_corners), scales)
    return _upsample(input, sizes, mode, bool(align_corners), scales)


def _upsample(input: Tensor, sizes: tuple, mode: str, align_corners: bool, scales: tuple | None) -> Tensor:
    x = input._array
    _check_interpolation(x, sizes, mode)
    shape = x.shape
    if scales is not None and mode.endswith(
        "linear"
    ):  # as PyTorch: a dimension that keeps its size is copied
        scales = tuple(
            None if out == have else f for out, have, f in zip(sizes, shape[2:], scales, strict=True)
        )
    function = lambda x: K.upsample(x, sizes, mode, align_corners, scales)
    if x.dtype == np.uint8 and mode in FILTERS:
        function = lambda x: resized_bytes(x, sizes, mode, align_corners, scales, filtered=False)
    elif x.dtype == np.uint8 and mode in _LINEAR_DIMS:
        function = lambda x: _rounded(K.upsample(x.astype(np.float32), sizes, mode, align_corners, scales))
    adjoint = lambda g: K.upsample_backward(g, shape, mode, align_corners, scales)
    out = apply_linear(input, function, adjoint, _NODES[mode, x.ndim - 2])
    if input._format is not None or input._base is not None:
        mark_format(out, input)
    return out


def _rounded(pixels: np.ndarray) -> np.ndarray:
    """Brightness as whole numbers from 0 to 255."""
    return np.clip(np.floor(pixels + 0.5), 0, 255).astype(np.uint8)


def upsample(input, size=None, scale_factor=None, mode="nearest", align_corners=None):
    """The old name of `interpolate`.

    >>> import rushlight as torch
    >>> torch.nn.Upsample(scale_factor=2)(torch.tensor([[[1.0, 2.0]]]))
    tensor([[[1., 1., 2., 2.]]])
    """
    warnings.warn(
        "`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2
    )
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input, size=None, scale_factor=None):
    """The old name of `interpolate(..., mode="nearest")`."""
    warnings.warn(
        "`nn.functional.upsample_nearest` is deprecated. Use `nn.functional.interpolate` instead.",
        stacklevel=2,
    )
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(input, size=None, scale_factor=None):
    """The old name of `interpolate(..., mode="bilinear", align_corners=True)`."""
    warnings.warn(
        "`nn.functional.upsample_bilinear` is deprecated. Use `nn.functional.interpolate` instead.",
        stacklevel=2,
    )
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


# -- rearrangement --------------------------------------------------------------------------------------


class PixelShuffleBackward0(LinearNode):
    pass


class PixelUnshuffleBackward0(LinearNode):
    pass


class ChannelShuffleBackward0(LinearNode):
    pass


def _shuffle_pixels(x: np.ndarray, r: int) -> np.ndarray:
    *lead, c, h, w = x.shape
    k = len(lead)
    split = x.reshape(*lead, c // (r * r), r, r, h, w)
    return split.transpose(*range(k), k, k + 3, k + 1, k + 4, k + 2).reshape(
        *lead, c // (r * r), h * r, w * r
    )


def _unshuffle_pixels(x: np.ndarray, r: int) -> np.ndarray:
    *lead, c, h, w = x.shape
    k = len(lead)
    split = x.reshape(*lead, c, h // r, r, w // r, r)
    return split.transpose(*range(k), k, k + 2, k + 4, k + 1, k + 3).reshape(*lead, c * r * r, h // r, w // r)


def _check_pixels(name: str, what: str, input, factor) -> tuple:
    shape = check_tensor(name, input)._array.shape
    if len(shape) < 3:
        raise RuntimeError(
            f"{name} expects input to have at least 3 dimensions, but got input with {len(shape)} "
            "dimension(s)"
        )
    if factor <= 0:
        raise RuntimeError(f"{name} expects a positive {what}, but got {factor}")
    return shape


@op(method=False)
def pixel_shuffle(input, upscale_factor):
    """Turn groups of r * r channels into r x r positions each.

    Args:
        input: (*, C * r * r, H, W).
        upscale_factor: r.
    Returns:
        (*, C, H * r, W * r).
    Raises:
        RuntimeError: the channels are not divisible by r * r.

    Source: Shi et al., Real-Time Single Image and Video Super-Resolution, CVPR 2016.

    >>> import rushlight as torch
    >>> torch.pixel_shuffle(torch.arange(4.0).reshape(4, 1, 1), 2)
    tensor([[[0., 1.],
             [2., 3.]]])
    """
    shape, r = _check_pixels("pixel_shuffle", "upscale_factor", input, upscale_factor), upscale_factor
    if shape[-3] % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of "
            "upscale_factor, but "
            f"input.size(-3)={shape[-3]} is not divisible by {r * r}"
        )
    return apply_linear(
        input, lambda x: _shuffle_pixels(x, r), lambda g: _unshuffle_pixels(g, r), PixelShuffleBackward0
    )


@op(method=False)
def pixel_unshuffle(input, downscale_factor):
    """Turn r x r positions into r * r channels each: undoes `pixel_shuffle`.

    Args:
        input: (*, C, H * r, W * r).
        downscale_factor: r.
    Returns:
        (*, C * r * r, H, W).
    Raises:
        RuntimeError: the height or the width is not divisible by r.

    >>> import rushlight as torch
    >>> torch.pixel_unshuffle(torch.arange(4.0).reshape(1, 2, 2), 2).shape
    torch.Size([4, 1, 1])
    """
    shape, r = _check_pixels("pixel_unshuffle", "downscale_factor", input, downscale_factor), downscale_factor
    for what, dim in (("height", -2), ("width", -1)):
        if shape[dim] % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {what} to be divisible by downscale_factor, but "
                f"input.size({dim})={shape[dim]} "
                f"is not divisible by {r}"
            )
    return apply_linear(
        input, lambda x: _unshuffle_pixels(x, r), lambda g: _shuffle_pixels(g, r), PixelUnshuffleBackward0
    )


def _shuffle_channels(x: np.ndarray, groups: int) -> np.ndarray:
    n, c, *rest = x.shape
    return x.reshape(n, groups, c // groups, *rest).swapaxes(1, 2).reshape(x.shape)


@op(method=False)
def channel_shuffle(input, groups):
    """Deal the channels of `groups` groups out in turn.

    Args:
        input: (N, C, *sizes).
        groups: into how many groups the channels are divided.
    Returns:
        A tensor of the input's shape.
    Raises:
        RuntimeError: the channels are not divisible by the groups.

    Source: Zhang et al., ShuffleNet, CVPR 2018.

    >>> import rushlight as torch
    >>> torch.channel_shuffle(torch.arange(4.0).reshape(1, 4, 1), 2).flatten()
    tensor([0., 2., 1., 3.])
    """
    shape = check_tensor("channel_shuffle", input)._array.shape
    if len(shape) < 3:
        raise RuntimeError(
            f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(shape)}"
        )
    if groups <= 0:
        raise RuntimeError(
            f"Number of groups to divide channels in must be positive. Value of groups:{groups}"
        )
    if shape[1] % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {shape[1]} channels and {groups} groups."
        )
    other = shape[1] // groups
    return apply_linear(
        input,
        lambda x: _shuffle_channels(x, groups),
        lambda g: _shuffle_channels(g, other),
        ChannelShuffleBackward0,
    )


alias("native_channel_shuffle", channel_shuffle, method=False)
