"""Sampling at given places: `grid_sample`, and the places of an affine map."""

import warnings
from functools import lru_cache
from itertools import product

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.backward import grad as gradients
from rushlight.autograd.node import Node
from rushlight.kernels.reference.grid import places, weights
from rushlight.kernels.reference.layout import widen
from rushlight.ops.adjoint import LinearNode, apply_linear
from rushlight.ops.common import MODE, Tensor, check_tensor, record, recording, wrap
from rushlight.ops.registry import op

_MODES = ("bilinear", "nearest", "bicubic")
_PADDINGS = ("zeros", "border", "reflection")


class _GridSampler(Node):
    """The gradients go to the sampled input and to the places."""

    def backward(self, grad):
        x, grid = self.unpack()
        to_x, to_grid = self.edges
        if MODE.enabled:
            wanted = [t for t, edge in zip((x, grid), self.edges, strict=True) if edge is not None]
            found = iter(
                gradients(
                    _composed(x, grid, *self.settings), wanted, grad, create_graph=True, allow_unused=True
                )
            )
            gx = None if to_x is None else next(found)
            ggrid = None if to_grid is None else next(found)
            if to_grid is not None and ggrid is None:  # the nearest element does not change with the place
                ggrid = grid.new_zeros(grid.shape)
            return gx, ggrid
        gx, ggrid = K.grid_sample_backward(
            grad._array, x._array, grid._array, *self.settings, to_x is not None
        )
        return None if to_x is None else wrap(gx), None if to_grid is None else wrap(ggrid)


def _composed(x: Tensor, grid: Tensor, mode: str, padding: str, align_corners: bool) -> Tensor:
    """`grid_sample` by tensor operations, whose gradients have gradients."""
    n, sizes = x.dim() - 2, x.shape[2:]
    flat, points = x.flatten(2), grid.flatten(1, -2)
    taps = []  # for each dimension the positions and weights of each tap
    for d, size in enumerate(sizes):
        coordinate = points[..., n - 1 - d]
        index, inside, part, change = places(widen(coordinate._array), size, mode, padding, align_corners)
        part = wrap(part) + wrap(change) * (coordinate - coordinate.detach())  # the value, and its change
        taps.append((index, [w * wrap(i) for w, i in zip(weights(part, mode), inside, strict=True)]))
    total = 0
    for corner in product(range(len(taps[0][0])), repeat=n):
        index, weight = 0, 1
        for (positions, shares), t, size in zip(taps, corner, sizes, strict=True):
            index, weight = index * size + positions[t], weight * shares[t]
        where = wrap(np.repeat(index[:, None], flat.size(1), 1))
        total = total + flat.gather(2, where) * weight.unsqueeze(1)
    return total.reshape(*x.shape[:2], *grid.shape[1:-1]).to(x.dtype)


class GridSampler2DBackward0(_GridSampler):
    pass


class GridSampler3DBackward0(_GridSampler):
    pass


_NODES = {2: GridSampler2DBackward0, 3: GridSampler3DBackward0}


def _check(name: str, input, grid, mode: str) -> None:
    x, places = check_tensor(name, input)._array, check_tensor(name, grid, "grid", 2)._array
    if x.dtype != places.dtype:
        raise RuntimeError(
            f"{name}(): expected input and grid to have same dtype, but input has {input.dtype} and grid has "
            f"{grid.dtype}; convert one: grid.to(input.dtype)"
        )
    if x.shape[:1] != places.shape[:1] or x.ndim < 3:
        raise RuntimeError(
            f"{name}(): expected grid and input to have same batch size, but got input with sizes {list(x.shape)} "
            f"and grid with sizes {list(places.shape)}"
        )
    if places.shape[-1] != x.ndim - 2:
        raise RuntimeError(
            f"{name}(): expected grid to have size {x.ndim - 2} in last dimension, but got grid with sizes "
            f"{list(places.shape)}"
        )
    if x.ndim not in (4, 5) or x.ndim != places.ndim:
        raise RuntimeError(
            f"{name}(): expected 4D or 5D input and grid with same number of dimensions, but got input with sizes "
            f"{list(x.shape)} and grid with sizes {list(places.shape)}"
        )
    if 0 in x.shape[2:]:
        raise RuntimeError(
            f"{name}(): expected input to have non-empty spatial dimensions, but input has sizes {list(x.shape)} "
            f"with dimension {2 + x.shape[2:].index(0)} being empty"
        )
    if mode == "bicubic" and x.ndim == 5:
        raise RuntimeError(f"{name}(): bicubic interpolation only supports 4D input")
    if x.dtype.kind not in "fV":
        raise NotImplementedError(f'"{name}" not implemented for {input.dtype}: convert the input, x.float()')


def _sample(name: str, input, grid, mode: str, padding: str, align_corners: bool) -> Tensor:
    _check(name, input, grid, mode)
    settings = mode, padding, align_corners
    array = K.grid_sample(input._array, grid._array, *settings)
    if not recording(input, grid):
        return wrap(array)
    node_type = _NODES[input._array.ndim - 2]
    return record(array, node_type, (input, grid), input, grid, settings=settings)


def _numbered(name: str, n: int | None):
    """One of the functions that take the modes as numbers."""

    def sampler(input, grid, interpolation_mode, padding_mode, align_corners):
        if n is not None and check_tensor(name, input).dim() != n + 2:
            raise RuntimeError(
                f"{name}(): expected {n + 2}D input and grid with same number of dimensions, but got input with "
                f"sizes {list(input.shape)} and grid with sizes {list(grid.shape)}"
            )
        return _sample(
            "grid_sampler",
            input,
            grid,
            _MODES[interpolation_mode],
            _PADDINGS[padding_mode],
            bool(align_corners),
        )

    sampler.__name__ = sampler.__qualname__ = name
    sampler.__doc__ = """`grid_sample` with the modes as numbers.

    Args:
        input, grid: as `grid_sample` takes them.
        interpolation_mode: 0 bilinear, 1 nearest, 2 bicubic.
        padding_mode: 0 zeros, 1 border, 2 reflection.
        align_corners: whether -1 and 1 are the centres of the outermost elements.
    """
    return op(name=name, method=False)(sampler)


grid_sampler = _numbered("grid_sampler", None)
grid_sampler_2d, grid_sampler_3d = _numbered("grid_sampler_2d", 2), _numbered("grid_sampler_3d", 3)


@op(method=False)
def grid_sample(input, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    """The values of images or volumes at given places.

    Args:
        input: (N, C, H, W) or (N, C, D, H, W).
        grid: the places, (N, H', W', 2) as (x, y) or (N, D', H', W', 3) as (x, y, z): -1 and 1 are the two ends.
        mode: how values between positions are found, "bilinear" (in volumes trilinear), "nearest" or "bicubic".
        padding_mode: what lies outside, "zeros", the "border" or a "reflection".
        align_corners: whether -1 and 1 are the centres of the outermost elements, rather than their outer edges.
    Returns:
        (N, C, H', W') or (N, C, D', H', W').
    Raises:
        ValueError: there is no such mode. RuntimeError: the shapes or types do not fit.

    Source: Jaderberg et al., Spatial Transformer Networks, NeurIPS 2015.

    >>> import rushlight as torch
    >>> image, places = torch.tensor([[[[1.0, 3.0]]]]), torch.zeros(1, 1, 1, 2)
    >>> torch.nn.functional.grid_sample(image, places, align_corners=False)
    tensor([[[[2.]]]])
    """
    if mode not in _MODES:
        raise ValueError(
            "nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: "
            f"'{mode}'"
        )
    if padding_mode not in _PADDINGS:
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but "
            f"got: '{padding_mode}'"
        )
    if align_corners is None:
        warnings.warn(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please "
            "specify align_corners=True if the old behavior is desired. See the documentation of grid_sample for "
            "details.",
            stacklevel=2,
        )
    return _sample("grid_sampler", input, grid, mode, padding_mode, bool(align_corners))


# -- the places of an affine map ------------------------------------------------------------------------


class AffineGridGeneratorBackward0(LinearNode):
    pass


@lru_cache(maxsize=64)
def _base_grid(size: tuple, align_corners: bool, kind: np.dtype) -> np.ndarray:
    """The homogeneous coordinates [elements, n + 1] of all elements of an image or volume, the last dimension first."""
    lines = [np.linspace(-1, 1, n, dtype=kind) if n > 1 else np.zeros(1, kind) for n in size]
    if not align_corners:
        lines = [line * (kind.type(n - 1) / kind.type(n)) for line, n in zip(lines, size, strict=True)]
    coordinates = [c.ravel() for c in np.meshgrid(*lines, indexing="ij")]
    return np.stack([*reversed(coordinates), np.ones_like(coordinates[0])], -1)


@op(method=False)
def affine_grid_generator(theta, size, align_corners):
    """`affine_grid`, under the name of the operation behind it."""
    name = "affine_grid_generator"
    size = tuple(s.__index__() for s in size)
    if len(size) not in (4, 5):
        raise RuntimeError(f"{name} needs 4d (spatial) or 5d (volumetric) inputs, got the size {list(size)}")
    n = len(size) - 2
    shape = check_tensor(name, theta, "theta")._array.shape
    if shape != (size[0], n, n + 1):
        raise RuntimeError(
            f"{name}: Expected a batch of {n}D affine matrices of shape {size[0]}x{n}x{n + 1} for size {list(size)}. "
            f"Got {list(shape)}."
        )
    kind = theta._array.dtype
    base = _base_grid(size[2:], bool(align_corners), widen(theta._array[:0]).dtype)
    places = lambda t: (
        (base @ widen(t).swapaxes(1, 2)).reshape(size[0], *size[2:], n).astype(kind, copy=False)
    )
    adjoint = lambda g: (widen(g).reshape(size[0], -1, n).swapaxes(1, 2) @ base).astype(kind, copy=False)
    return apply_linear(theta, places, adjoint, AffineGridGeneratorBackward0)


@op(method=False)
def affine_grid(theta, size, align_corners=None):
    """The places that an affine map takes the elements of an image or volume from, for `grid_sample`.

    Args:
        theta: the maps, (N, 2, 3) for images or (N, 3, 4) for volumes.
        size: that of the output, (N, C, H, W) or (N, C, D, H, W).
        align_corners: whether -1 and 1 are the centres of the outermost elements, rather than their outer edges.
    Returns:
        (N, H, W, 2) or (N, D, H, W, 3).
    Raises:
        ValueError: the maps have a wrong shape or type. NotImplementedError: the size has 3 or more than 5 numbers.

    Source: Jaderberg et al., Spatial Transformer Networks, NeurIPS 2015.

    >>> import rushlight as torch
    >>> same = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> torch.nn.functional.affine_grid(same, [1, 1, 1, 2], align_corners=False)
    tensor([[[[-0.5000,  0.0000],
              [ 0.5000,  0.0000]]]])
    """
    name = "affine_grid"
    if align_corners is None:
        warnings.warn(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please "
            "specify align_corners=True if the old behavior is desired. See the documentation of grid_sample for "
            "details.",
            stacklevel=2,
        )
    if not check_tensor(name, theta, "theta").is_floating_point():
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    n = len(size) - 2
    if n in (2, 3):
        if theta.dim() != 3 or theta.shape[-2:] != (n, n + 1):
            raise ValueError(
                f"Expected a batch of {n}D affine matrices of shape Nx{n}x{n + 1} for size {tuple(size)}. Got "
                f"{tuple(theta.shape)}."
            )
    else:
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. Got size "
            f"{tuple(size)}."
        )
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {tuple(size)}")
    if align_corners and min(size[2:]) == 1:
        warnings.warn(
            "Since version 1.3.0, affine_grid behavior has changed for unit-size grids when align_corners=True. "
            "This is not an intended use case of affine_grid.",
            stacklevel=2,
        )
    return affine_grid_generator(theta, size, bool(align_corners))
