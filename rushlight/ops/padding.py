"""Padding: borders of a constant, of mirrored, repeated or wrapped-around values."""

import numpy as np

from rushlight.autograd.node import Node
from rushlight.kernels.reference.layout import c_order, zeros_by
from rushlight.ops.common import Tensor, check_tensor, record, recording, wrap
from rushlight.ops.joining import empty_like_layout, keep_format
from rushlight.ops.registry import op


class ConstantPadNdBackward0(Node):
    def backward(self, grad):
        return constant_pad_nd(grad, [-p for p in self.pad])


def _sides(pad, ndim: int) -> list:
    """(before, after) for each dimension, from PyTorch's list that starts with the last one."""
    pad = [int(p) for p in pad]
    if len(pad) % 2:
        raise RuntimeError(f"Padding length must be divisible by 2, got {len(pad)}")
    if len(pad) > 2 * ndim:
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got padding "
            "length "
            f"{len(pad)} and input of dimension {ndim}"
        )
    return [(0, 0)] * (ndim - len(pad) // 2) + [(pad[i], pad[i + 1]) for i in range(len(pad) - 2, -1, -2)]


@op(method=False)
def constant_pad_nd(input, pad, value=0):
    """A tensor with borders of one value; negative widths cut off.

    Args:
        input: a tensor.
        pad: widths before and after the last dimension, then the one before it, and so on.
        value: what the borders hold.
    Raises:
        RuntimeError: more is cut off than there is.

    >>> import rushlight as torch
    >>> torch.constant_pad_nd(torch.tensor([1, 2]), (1, 1))
    tensor([0, 1, 2, 0])
    """
    array = check_tensor("pad", input)._array
    sides = _sides(pad, array.ndim)
    shape, source, target = [], [], []
    for d, (n, (low, high)) in enumerate(zip(array.shape, sides, strict=True)):
        if n + low + high < 0:
            raise RuntimeError(
                f"The input size {n}, plus negative padding {low} and {high}, resulted in a negative output "
                "size, which "
                f"is invalid. Check dimension {d} of your input."
            )
        shape.append(n + low + high)
        source.append(slice(max(-low, 0), n - max(-high, 0)))
        target.append(slice(max(low, 0), n + low + min(high, 0)))
    out = empty_like_layout(array, tuple(shape))
    if any(low > 0 or high > 0 for low, high in sides):
        out.fill(value)
    out[tuple(target)] = array[tuple(source)]
    if recording(input):
        result = record(out, ConstantPadNdBackward0, (input,), pad=list(pad))
    else:
        result = wrap(out)
    return keep_format(result, input) if array.ndim > 3 else result


def _reflected(n: int, low: int, high: int) -> np.ndarray:
    positions = np.abs(np.arange(-low, n + high))
    return np.where(positions >= n, 2 * (n - 1) - positions, positions)


def _replicated(n: int, low: int, high: int) -> np.ndarray:
    return np.clip(np.arange(-low, n + high), 0, n - 1)


def _wrapped(n: int, low: int, high: int) -> np.ndarray:
    start, kept = max(-low, 0), n + min(low, 0) + min(high, 0)  # what is left after cutting goes round
    return start + np.arange(-max(low, 0), kept + max(high, 0)) % kept


_SOURCES = {"reflect": _reflected, "replicate": _replicated, "circular": _wrapped}


class _BorderNode(Node):
    def backward(self, grad):
        return _border_adjoint(grad, self.sources, self.shape, type(self))


class CircularPadBackward0(_BorderNode):
    pass


class BorderBackwardBackward0(Node):
    def backward(self, grad):
        return _bordered(grad, self.sources, self.forward_type)


def _border_nodes(stem: str) -> dict:
    names = {n: f"{stem}Pad{n}DBackward0" for n in (1, 2, 3)}
    return {n: type(name, (_BorderNode,), {"__module__": __name__}) for n, name in names.items()}


_NODES = {"reflect": _border_nodes("Reflection"), "replicate": _border_nodes("Replication")}


def _take(array: np.ndarray, positions: np.ndarray, dim: int) -> np.ndarray:
    """Positions of one dimension, in the memory layout of the input."""
    shape = (*array.shape[:dim], positions.size, *array.shape[dim + 1 :])
    out = empty_like_layout(array, shape)
    out[...] = array[(*(slice(None),) * dim, positions)]
    return out


def _bordered(x: Tensor, sources: list, node_type: type[Node]) -> Tensor:
    """Each dimension read at the positions in `sources` (dimension, positions)."""
    array = x._array
    for dim, positions in sources:
        array = _take(array, positions, dim)
    if recording(x):
        return record(array, node_type, (x,), sources=sources, shape=x._array.shape)
    return wrap(array)


def _border_adjoint(grad: Tensor, sources: list, shape: tuple, node_type: type[Node]) -> Tensor:
    """Each position's gradients added up where they came from."""
    array = grad._array
    for dim, positions in reversed(sources):
        moved = np.moveaxis(array, dim, 0)
        total = zeros_by(array, (shape[dim], *moved.shape[1:]))
        for start, stop in _runs(positions):
            total[positions[start] : positions[stop - 1] + 1] += moved[start:stop]
        array = np.moveaxis(total, 0, dim)
    if recording(grad):
        return record(array, BorderBackwardBackward0, (grad,), sources=sources, forward_type=node_type)
    return wrap(c_order(array).reshape(shape))


def _runs(positions: np.ndarray):
    """Stretches of `positions` that count upwards, as (start, stop)."""
    breaks = np.flatnonzero(np.diff(positions) != 1) + 1
    return zip([0, *breaks.tolist()], [*breaks.tolist(), positions.size], strict=True)


def _check_border(x: Tensor, sides: list, mode: str, dims: int) -> None:
    shape = x._array.shape
    if dims not in (1, 2, 3) or len(shape) not in (dims + 1, dims + 2):
        raise NotImplementedError(
            f"Padding size {2 * dims} is not supported for {len(shape)}D input tensor.\n"
            "Supported combinations for non-constant padding:\n"
            "  - 2D or 3D input: padding size = 2 (pads last dimension)\n"
            "  - 3D or 4D input: padding size = 4 (pads last 2 dimensions)\n"
            "  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)"
        )
    for d, (n, (low, high)) in enumerate(zip(shape, sides, strict=True)):
        if mode == "reflect" and max(low, high) >= n and (low or high):
            raise RuntimeError(
                f"Argument #{2 * (len(shape) - d) + 2}: Padding size should be less than the corresponding "
                "input "
                f"dimension, but got: padding ({low}, {high}) at dimension {d} of input {list(shape)}"
            )
        if mode == "circular" and max(low, high) > n:
            raise RuntimeError(
                f"Padding value causes wrapping around more than once: padding ({low}, {high}) at dimension "
                f"{d} of input "
                f"{list(shape)}"
            )
        if d >= len(shape) - dims and n + low + high < 1:
            raise RuntimeError(
                f"input (size {n}) is too small for padding ({low}, {high}) at dimension {d} of input "
                f"{list(shape)}: "
                f"calculated output size {n + low + high}"
            )


@op(method=False)
def pad(input, pad, mode="constant", value=None):
    """A tensor with borders.

    Args:
        input: a tensor; for modes other than constant (C, ...) or (N, C, ...) with 1 to 3 further dimensions.
        pad: widths before and after the last dimension, then the one before it, and so on.
        mode: "constant", "reflect" (mirrored, without the edge itself), "replicate" (the edge) or "circular".
        value: what constant borders hold; 0 by default.
    Raises:
        RuntimeError: the widths don't fit. NotImplementedError: unknown mode, or no mode for this shape.

    >>> import rushlight as torch
    >>> torch.nn.functional.pad(torch.tensor([[1.0, 2.0, 3.0]]), (2, 1), mode="reflect")
    tensor([[3., 2., 1., 2., 3., 2.]])
    """
    check_tensor("pad", input)
    if mode == "constant":
        return constant_pad_nd(input, pad, 0 if value is None else value)
    sides = _sides(pad, input._array.ndim)
    if value is not None and value != 0:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    if mode not in _SOURCES:
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    dims = len(pad) // 2
    _check_border(input, sides, mode, dims)
    sources = [
        (d, _SOURCES[mode](input._array.shape[d], low, high))
        for d, (low, high) in enumerate(sides)
        if low or high
    ]
    node_type = CircularPadBackward0 if mode == "circular" else _NODES[mode][dims]
    result = _bordered(input, sources, node_type)
    return keep_format(result, input) if input._array.ndim > 3 else result
