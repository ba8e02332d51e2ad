"""Fractional max pooling: windows at random places, so that an output may have any size."""

from math import prod

import numpy as np

from rushlight.ops.common import check_tensor
from rushlight.ops.pooling import MaxPool2DWithIndicesBackward0, _max_result, _no_bool, _sizes
from rushlight.ops.random import rand
from rushlight.ops.registry import op


class FractionalMaxPool2DBackward0(MaxPool2DWithIndicesBackward0):
    pass


class FractionalMaxPool3DBackward0(MaxPool2DWithIndicesBackward0):
    pass


_NODES = {2: FractionalMaxPool2DBackward0, 3: FractionalMaxPool3DBackward0}


def _starts(samples: np.ndarray, size: int, out: int, kernel: int) -> np.ndarray:
    """Where the windows along one dimension begin, [N, C, out], from random numbers [N, C] between 0 and 1."""
    kind = samples.dtype.type
    steps = np.arange(out, dtype=samples.dtype)
    alpha = kind(size - kernel) / kind(max(out - 1, 1))
    starts = ((steps + samples[..., None]) * alpha).astype(np.int64) - (samples * alpha).astype(np.int64)[
        ..., None
    ]
    starts[..., -1:] = size - kernel
    return starts


def _pool(x: np.ndarray, kernel: tuple, out: tuple, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest of each window of x[N, C, *sizes], and its flat position; samples[N, C, n] in the order D, H, W."""
    n, sizes, lead = len(kernel), x.shape[2:], x.shape[:2]
    positions = 0  # of each element of each window: [N, C, *out, *kernel]
    for d in range(n):
        starts = _starts(samples[..., d], sizes[d], out[d], kernel[d])
        starts = starts.reshape(*lead, *[out[d] if i == d else 1 for i in range(n)], *[1] * n)
        within = np.arange(kernel[d]).reshape([kernel[d] if i == d else 1 for i in range(n)])
        positions = positions * sizes[d] + starts + within
    positions = np.broadcast_to(positions, (*lead, *out, *kernel)).reshape(*lead, prod(out), prod(kernel))
    values = np.take_along_axis(x.reshape(*lead, 1, prod(sizes)), positions, -1)
    best = values.argmax(-1)[..., None]
    y, index = (np.take_along_axis(a, best, -1).reshape(*lead, *out) for a in (values, positions))
    return y, index


def _settings(name, n, input, kernel_size, output_size, output_ratio) -> tuple[tuple, tuple]:
    """The kernel and the output's sizes, checked."""
    shape = check_tensor(name, input)._array.shape
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    if len(shape) not in (n + 1, n + 2) or 0 in shape[len(shape) - n - 1 :]:
        raise RuntimeError(
            f"{name}(): Expected {n + 1}D or {n + 2}D tensor with non-zero channels and sizes, but got: {list(shape)}"
        )
    sizes = shape[-n:]
    if output_size is None:
        ratios = output_ratio if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * n
        if len(ratios) != n:
            raise ValueError(f"{name} requires output_ratio to either be a single number or {n} of them.")
        output_size = tuple(int(size * ratio) for size, ratio in zip(sizes, ratios, strict=True))
    kernel, out = _sizes(name, "kernel_size", kernel_size, n), _sizes(name, "output_size", output_size, n)
    for d, (size, k, o) in enumerate(zip(sizes, kernel, out, strict=True)):
        if k < 1 or o < 1 or o + k - 1 > size - (n == 3):  # in volumes PyTorch wants one more
            what = ("time", "height", "width")[3 - n + d]
            raise RuntimeError(
                f"{name}(): pool {what} {k} too large relative to input {what} {size}: expected output size {o} + "
                f"kernel size - 1 to be {'less than' if n == 3 else 'at most'} the input's size, and both positive"
            )
    return kernel, out


def _samples(name, n, input, samples, lead: tuple) -> np.ndarray:
    """The random numbers, in the order of the dimensions."""
    if samples is None:
        samples = rand(*lead, n, dtype=input.dtype)
    if check_tensor(name, samples, "_random_samples").dtype != input.dtype:
        raise RuntimeError(
            f"{name}: Expect _random_samples to have the same dtype as input, {input.dtype}, got {samples.dtype}"
        )
    shape = samples._array.shape
    if shape[1:] != (lead[1], n) or shape[0] < lead[0]:
        raise RuntimeError(
            f"{name}: Expect _random_samples to have the shape {[*lead, n]}, got {list(shape)}"
        )
    array = samples._array[: lead[0]]
    return array[..., ::-1] if n == 2 else array  # PyTorch's are (W, H), but (D, H, W)


_DOC = """The largest element of each of `output_size` windows at random places.

    Args:
        input: (N, C, {sizes}) or (C, {sizes}).
        kernel_size: the size of a window, one number or {n}.
        output_size: the number of windows, one number or {n}; or
        output_ratio: that number as a share of the input's size.
        return_indices: also return where each was found, as int64 positions in the flattened ({sizes}).
        _random_samples: the random numbers, (N, C, {n}) between 0 and 1, drawn if not given.
    Returns:
        The values, or the values and their indices.
    Raises:
        ValueError: there is neither size nor ratio. RuntimeError: the shapes do not fit.

    Source: B. Graham, Fractional Max-Pooling, 2014.

    >>> import rushlight as torch
    >>> torch.nn.functional.fractional_max_pool{n}d(torch.ones({example}), 2, output_size=3).shape
    torch.Size([{shape}])
    """


def _define(n: int):
    name = f"fractional_max_pool{n}d"

    def with_indices(
        input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
    ):
        kernel, out = _settings(name, n, input, kernel_size, output_size, output_ratio)
        if input._array.dtype.kind not in "fV":
            _no_bool(name, input, no_integers=True)
        shape = input._array.shape
        unbatched = len(shape) == n + 1
        lead = (1, shape[0]) if unbatched else shape[:2]
        samples = _samples(name, n, input, _random_samples, lead)
        return _max_result(input, lambda x: _pool(x, kernel, out, samples), _NODES[n], True, unbatched)

    def fractional_max_pool(
        input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
    ):
        found = with_indices(input, kernel_size, output_size, output_ratio, True, _random_samples)
        return found if return_indices else found[0]

    fractional_max_pool.__name__ = fractional_max_pool.__qualname__ = name
    with_indices.__name__ = with_indices.__qualname__ = f"{name}_with_indices"
    with_indices.__doc__ = f"`{name}` with `return_indices=True`: the values and where each was found."
    words = {"sizes": "D, H, W"[-3 * n + 2 :], "example": ", ".join(["1", "2", *["6"] * n])}
    fractional_max_pool.__doc__ = _DOC.format(n=n, shape=", ".join(["1", "2", *["3"] * n]), **words)
    op(method=False)(with_indices)
    return op(method=False)(fractional_max_pool), with_indices


fractional_max_pool2d, fractional_max_pool2d_with_indices = _define(2)
fractional_max_pool3d, fractional_max_pool3d_with_indices = _define(3)
