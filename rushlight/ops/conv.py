"""Convolutions and transposed convolutions in 1, 2 and 3 dimensions; sliding blocks (`unfold`, `fold`).

Three functions make the family: `y = conv(x, w)`, the gradient of its input, which is what a transposed
convolution computes, and the gradient of its weight. Each is linear in both of its arguments, and each one's
gradients are the other two, so that derivatives of any order need nothing else.
"""

from functools import lru_cache, partial
from itertools import product
from math import prod

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.node import Node
from rushlight.devices import channels_last, channels_last_3d
from rushlight.dtypes import SCALAR_NAMES, from_numpy_dtype
from rushlight.kernels.reference.layout import c_order, empty_by, zeros_by
from rushlight.ops.adjoint import LinearNode, apply_linear, tuple_of
from rushlight.ops.common import MODE, Tensor, check_tensor, conj, record, wrap
from rushlight.ops.padding import constant_pad_nd
from rushlight.ops.registry import op
from rushlight.tensor import recording

FORMATS = {2: channels_last, 3: channels_last_3d}


class ConvolutionBackward0(Node):
    """A convolution or a transposed one; `settings`: stride, padding, dilation and groups of the former."""

    transposed = False

    def backward(self, grad):
        x, w = self.unpack()
        to_x, to_w, to_b = self.edges
        gx = gw = gb = None
        if to_x is not None and self.transposed:
            gx = _cropped(_convolve(grad, conj(w), self.settings), x._array.shape)
        elif to_x is not None:
            gx = _input_gradient(grad, conj(w), x._array.shape, self.settings)
        if to_w is not None:
            shape = w._array.shape
            if self.transposed:
                gw = _weight_gradient(conj(x), grad, shape, self.settings)
            elif to_b is None or MODE.enabled:
                gw = _weight_gradient(grad, conj(x), shape, self.settings)
            else:
                arrays = K.conv_backward_weight(grad._array, conj(x)._array, shape, *self.settings, True)
                return gx, wrap(arrays[0]), wrap(arrays[1])
        if to_b is not None:
            gb = grad.sum((0, *range(2, grad._array.ndim)))
        return gx, gw, gb


class ConvolutionBackwardBackward0(Node):
    """The gradient of a weight, from the output's gradient and the input."""

    def backward(self, grad):
        g, x = self.unpack()
        to_g, to_x = self.edges
        return (
            None if to_g is None else _cropped(_convolve(conj(x), grad, self.settings), g._array.shape),
            None if to_x is None else _input_gradient(conj(g), grad, x._array.shape, self.settings),
        )


def _cropped(t: Tensor, shape: tuple) -> Tensor:
    """Without the positions that only exist because of a large output padding."""
    return t if t._array.shape == shape else t[tuple(slice(n) for n in shape)]


def _convolve(x: Tensor, w: Tensor, settings, bias: Tensor | None = None) -> Tensor:
    array = K.conv(x._array, w._array, None if bias is None else bias._array, *settings)
    if recording(x, w, bias):
        return record(array, ConvolutionBackward0, (x, w, bias), x, w, settings=settings)
    return wrap(array)


def _input_gradient(g: Tensor, w: Tensor, x_shape: tuple, settings, bias: Tensor | None = None) -> Tensor:
    array = K.conv_backward_input(g._array, w._array, x_shape, *settings)
    if bias is not None:
        array = K.add(array, bias._array.reshape(-1, *(1,) * (array.ndim - 2)), out=array)
    if recording(g, w, bias):
        return record(array, ConvolutionBackward0, (g, w, bias), g, w, settings=settings, transposed=True)
    return wrap(array)


def _weight_gradient(g: Tensor, x: Tensor, w_shape: tuple, settings) -> Tensor:
    array = K.conv_backward_weight(g._array, x._array, w_shape, *settings, False)[0]
    if recording(g, x):
        return record(array, ConvolutionBackwardBackward0, (g, x), g, x, settings=settings)
    return wrap(array)


# -- checks, done once for each combination of shapes and settings ------------------------------------


def _sizes(name: str, what: str, value, n: int) -> tuple:
    try:
        return tuple_of(value, n)
    except ValueError:
        raise RuntimeError(
            f"{name}: expected {what} to be a single integer value or a list of {n} values to match the "
            "convolution "
            f"dimensions, but got {what}={list(value)}"
        ) from None
    except (TypeError, AttributeError):
        raise TypeError(
            f"{name}(): argument '{what}' must be tuple of ints, not {type(value).__name__}"
        ) from None


def _check_settings(name, n, w_shape, stride, padding, dilation, groups) -> None:
    if groups <= 0:
        raise RuntimeError(f"{name}: non-positive groups is not supported, got groups={groups}")
    if min(padding) < 0:
        raise RuntimeError(
            f"{name}: negative padding is not supported, got padding={list(padding)}; slice the input instead"
        )
    if min(stride) <= 0:
        raise RuntimeError(f"{name}: non-positive stride is not supported, got stride={list(stride)}")
    if min(dilation) <= 0:
        raise RuntimeError(f"{name}: dilation should be greater than zero, but got {list(dilation)}")
    if len(w_shape) != n + 2:
        raise RuntimeError(
            f"{name}: expected weight to have {n + 2} dimensions, but got weight of size {list(w_shape)}"
        )
    if w_shape[0] < groups:
        raise RuntimeError(
            f"{name}: Given groups={groups}, expected weight to be at least {groups} at dimension 0, but got "
            "weight of "
            f"size {list(w_shape)} instead"
        )
    if w_shape[0] % groups:
        raise RuntimeError(
            f"{name}: Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, but "
            "got weight "
            f"of size [{list(w_shape)}] instead"
        )


def _check_input(name, n, x_shape, w_shape, b_shape, groups, transposed) -> None:
    batched = (n + 1, n + 2)
    if len(x_shape) not in batched:
        raise RuntimeError(
            f"Expected {batched[0]}D (unbatched) or {batched[1]}D (batched) input to {name}, but got input "
            "of size: "
            f"{list(x_shape)}; its dimensions are (batch, channels, "
            f"{', '.join(['depth', 'height', 'width'][-n:])})"
            f"{'; put in those that are missing: x.unsqueeze(0)' if len(x_shape) < batched[0] else ''}"
        )
    channels = w_shape[0] if transposed else w_shape[1] * groups
    given = f"Given transposed={1 if groups == 1 else groups}" if transposed else f"Given groups={groups}"
    if x_shape[1] != channels:
        hint = (
            "; the channels come second: x.permute(0, 3, 1, 2)" if n == 2 and x_shape[3] == channels
            else f"; make the layer with in_channels={x_shape[1]}, or the input with {channels} channels"
        )  # fmt: skip
        raise RuntimeError(
            f"{name}: {given}, weight of size {list(w_shape)}, expected input{list(x_shape)} to have "
            f"{channels} "
            f"channels, but got {x_shape[1]} channels instead{hint}"
        )
    outputs = w_shape[1] * groups if transposed else w_shape[0]
    if b_shape is not None and b_shape != (outputs,):
        raise RuntimeError(
            f"{name}: {'Given transposed=1' if transposed else 'Given'}{',' * transposed} weight of size "
            f"{list(w_shape)}, "
            f"expected bias to be 1-dimensional with {outputs} elements, but got bias of size "
            f"{list(b_shape)} instead"
        )


def _check_types(name, x_type, w_type, b_type) -> None:
    for what, other in (("weight", w_type), ("bias", b_type)):
        if other is not None and other != x_type:
            found, wanted = SCALAR_NAMES[from_numpy_dtype(other)], SCALAR_NAMES[from_numpy_dtype(x_type)]
            raise RuntimeError(
                f"{name}: expected scalar type {wanted} but found {found}: Input type ({wanted.lower()}) and "
                f"{what} type "
                f"({found.lower()}) should be the same; convert one: "
                f"{'x.float()' if x_type.kind in 'iub' else 'x.to(weight.dtype), or model.double()'}"
            )


def _same_padding(name, w_shape, stride, dilation):
    """The padding on both sides that keeps the size, and what else to put at the end where it is odd."""
    if any(s != 1 for s in stride):
        raise RuntimeError(
            f"{name}: padding='same' is not supported for strided convolutions, got stride={list(stride)}"
        )
    total = [d * (k - 1) for d, k in zip(dilation, w_shape[2:], strict=True)]
    return tuple(t // 2 for t in total), tuple(t % 2 for t in total)


@lru_cache(maxsize=4096)
def _plan(name, n, x_shape, w_shape, b_shape, x_type, w_type, b_type, stride, padding, dilation, groups):
    """Checks a convolution; returns its settings, and what to add behind each spatial dimension (or None)."""
    stride, dilation = _sizes(name, "stride", stride, n), _sizes(name, "dilation", dilation, n)
    extra = None
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise RuntimeError(f"{name}: Invalid padding string: '{padding}'; expected 'same' or 'valid'")
        _check_settings(name, n, w_shape, stride, (0,) * n, dilation, groups)
        padding, odd = _same_padding(name, w_shape, stride, dilation) if padding == "same" else ((0,) * n, ())
        extra = odd if any(odd) else None
    padding = _sizes(name, "padding", padding, n)
    _check_settings(name, n, w_shape, stride, padding, dilation, groups)
    _check_input(name, n, x_shape, w_shape, b_shape, groups, False)
    _check_types(name, x_type, w_type, b_type)
    padded = [size + 2 * p for size, p in zip(x_shape[2:], padding, strict=True)]
    kernel = [d * (k - 1) + 1 for d, k in zip(dilation, w_shape[2:], strict=True)]
    if any(k > size + e for k, size, e in zip(kernel, padded, extra or (0,) * n, strict=True)):
        raise RuntimeError(
            f"{name}: Calculated padded input size per channel: ({' x '.join(map(str, padded))}). Kernel "
            "size: "
            f"({' x '.join(map(str, kernel))}). Kernel size can't be greater than actual input size; use a "
            "larger input "
            "or padding, or fewer strided layers before this one"
        )
    return (stride, padding, dilation, groups), extra


def _tuples(*settings) -> list:
    """Lists as tuples, which can be looked up."""
    return [tuple(s) if isinstance(s, list) else s for s in settings]


def _conv(name, n, input, weight, bias, stride, padding, dilation, groups) -> Tensor:
    try:
        x, w = input._array, weight._array
        b_shape, b_type = (None, None) if bias is None else (bias._array.shape, bias._array.dtype)
    except AttributeError:
        raise _type_error(name, input, weight, bias) from None
    if x.ndim == n + 1:
        return _conv(name, n, input.unsqueeze(0), weight, bias, stride, padding, dilation, groups).squeeze(0)
    shapes = x.shape, w.shape, b_shape, x.dtype, w.dtype, b_type
    try:
        settings, extra = _plan(name, n, *shapes, stride, padding, dilation, groups)
    except TypeError:
        stride, padding, dilation = _tuples(stride, padding, dilation)
        settings, extra = _plan(name, n, *shapes, stride, padding, dilation, groups)
    if extra is not None:
        input = constant_pad_nd(input, [width for e in reversed(extra) for width in (0, e)])
    result = _convolve(input, weight, settings, bias)
    if input._format is not None or weight._format is not None or input._base is not None:
        mark_format(result, input, weight)
    return result


def mark_format(result: Tensor, *inputs) -> None:
    """Mark a result as channels-last where one of the inputs is so for the user to see, as PyTorch does."""
    wanted = FORMATS.get(result._array.ndim - 2)
    for t in inputs:
        if t._format is not None or (
            t._base is not None and wanted and t.is_contiguous(memory_format=wanted)
        ):
            if not t._strided().flags.c_contiguous:
                result._format = wanted


def _type_error(name, input, weight, bias) -> TypeError:
    for value, what, position in ((input, "input", 1), (weight, "weight", 2), (bias, "bias", 3)):
        if not isinstance(value, Tensor) and (value is not None or position < 3):
            return TypeError(
                f"{name}(): argument '{what}' (position {position}) must be Tensor, not "
                f"{type(value).__name__}"
            )
    return TypeError(f"{name}(): expected tensors")


_CONV_DOC = """Slide filters over an input with {n} spatial dimension{s}.

    Args:
        input: (N, C, {sizes}), or (C, {sizes}) for one sample.
        weight: (out channels, C / groups, {kernel}).
        bias: (out channels,), or None.
        stride: steps between neighbouring windows, one number or {n}.
        padding: zeros around the input, one number or {n}; "valid" for none, "same" to keep the size.
        dilation: steps between neighbouring elements of a filter.
        groups: into how many separate groups the channels are divided.
    Returns:
        (N, out channels, {sizes}'): each size' is
        (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1.
    Raises:
        RuntimeError: shapes, types or settings do not fit together.

    >>> import rushlight as torch
    >>> torch.nn.functional.conv{n}d(torch.ones({example}), torch.ones({filter})).shape
    torch.Size({result})
    """

_TRANSPOSED_DOC = """The gradient of a convolution with respect to its input, as an operation: it enlarges.

    Args:
        input: (N, C, {sizes}), or (C, {sizes}) for one sample.
        weight: (C, out channels / groups, {kernel}).
        bias: (out channels,), or None.
        stride: steps between neighbouring windows in the output.
        padding: what is cut off each side of the output.
        output_padding: what is added to one side of each size of the output.
        groups: into how many separate groups the channels are divided.
        dilation: steps between neighbouring elements of a filter.
    Returns:
        (N, out channels, {sizes}'): each size' is
        (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1.
    Raises:
        RuntimeError: shapes, types or settings do not fit together.

    Source: Zeiler et al., Deconvolutional Networks, CVPR 2010.

    >>> import rushlight as torch
    >>> torch.nn.functional.conv_transpose{n}d(torch.ones({example}), torch.ones({filter}), stride=2).shape
    torch.Size({result})
    """


def _define(n: int):
    """The convolution and the transposed convolution over `n` spatial dimensions."""
    name, transposed_name = f"conv{n}d", f"conv_transpose{n}d"

    def conv(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
        return _conv(name, n, input, weight, bias, stride, padding, dilation, groups)

    def conv_transpose(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
        return _conv_transpose(
            transposed_name, n, input, weight, bias, stride, padding, output_padding, groups, dilation
        )

    words = {"n": n, "s": "s" * (n > 1), "sizes": ", ".join("DHW"[-n:] if n > 1 else "L"),
             "kernel": ", ".join(f"k{d}" for d in ("DHW"[-n:] if n > 1 else "L"))}  # fmt: skip
    for function, public, doc, example in (
        (conv, name, _CONV_DOC, ([1, 1, *[5] * n], [2, 1, *[3] * n], [1, 2, *[3] * n])),
        (
            conv_transpose,
            transposed_name,
            _TRANSPOSED_DOC,
            ([1, 1, *[2] * n], [1, 2, *[2] * n], [1, 2, *[4] * n]),
        ),
    ):
        function.__name__ = function.__qualname__ = public
        shapes = {"example": ", ".join(map(str, example[0])), "filter": ", ".join(map(str, example[1]))}
        function.__doc__ = doc.format(**words, **shapes, result=example[2])
        op(name=public, method=False)(function)
    return conv, conv_transpose


# -- transposed -----------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _transposed_plan(
    name,
    n,
    x_shape,
    w_shape,
    b_shape,
    x_type,
    w_type,
    b_type,
    stride,
    padding,
    output_padding,
    groups,
    dilation,
):
    """Checks a transposed convolution; returns the settings of what it transposes, and its output's shape."""
    stride, dilation = _sizes(name, "stride", stride, n), _sizes(name, "dilation", dilation, n)
    padding, extra = _sizes(name, "padding", padding, n), _sizes(name, "output_padding", output_padding, n)
    if min(extra) < 0:
        raise RuntimeError(
            f"{name}: negative output_padding is not supported, got output_padding={list(extra)}"
        )
    _check_settings(name, n, w_shape, stride, padding, dilation, groups)
    _check_input(name, n, x_shape, w_shape, b_shape, groups, True)
    _check_types(name, x_type, w_type, b_type)
    if any(e >= s and e >= d for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise RuntimeError(
            f"{name}: output padding must be smaller than either stride or dilation, but got "
            f"output_padding={list(extra)}, "
            f"stride={list(stride)}, dilation={list(dilation)}"
        )
    sizes = tuple(
        (size - 1) * s - 2 * p + d * (k - 1) + e + 1
        for size, s, p, d, k, e in zip(
            x_shape[2:], stride, padding, dilation, w_shape[2:], extra, strict=True
        )
    )
    if min(sizes) < 1:
        raise RuntimeError(
            f"{name}: Given input size per channel: ({' x '.join(map(str, x_shape[2:]))}). Calculated output "
            "size per "
            f"channel: ({' x '.join(map(str, sizes))}). Output size is too small; use less padding or a "
            "larger kernel"
        )
    return (stride, padding, dilation, groups), (x_shape[0], w_shape[1] * groups, *sizes)


def _conv_transpose(
    name, n, input, weight, bias, stride, padding, output_padding, groups, dilation
) -> Tensor:
    try:
        x, w = input._array, weight._array
        b_shape, b_type = (None, None) if bias is None else (bias._array.shape, bias._array.dtype)
    except AttributeError:
        raise _type_error(name, input, weight, bias) from None
    if x.ndim == n + 1:
        settings = stride, padding, output_padding, groups, dilation
        return _conv_transpose(name, n, input.unsqueeze(0), weight, bias, *settings).squeeze(0)
    shapes = x.shape, w.shape, b_shape, x.dtype, w.dtype, b_type
    stride, padding, output_padding, dilation = _tuples(stride, padding, output_padding, dilation)
    settings, shape = _transposed_plan(name, n, *shapes, stride, padding, output_padding, groups, dilation)
    result = _input_gradient(input, weight, shape, settings, bias)
    if input._format is not None or weight._format is not None or input._base is not None:
        mark_format(result, input, weight)
    return result


conv1d, conv_transpose1d = _define(1)
conv2d, conv_transpose2d = _define(2)
conv3d, conv_transpose3d = _define(3)


# -- sliding blocks -------------------------------------------------------------------------------------


class Im2ColBackward0(LinearNode):
    pass


class Col2ImBackward0(LinearNode):
    pass


def _windows(shape, kernel, dilation, padding, stride):
    """For each element of a kernel, the slices that cut it out of every window of the padded input."""
    counts = _counts(shape, kernel, dilation, padding, stride)
    for offsets in product(*map(range, kernel)):
        yield (
            offsets,
            tuple(
                slice(o * d, o * d + s * (c - 1) + 1, s)
                for o, d, s, c in zip(offsets, dilation, stride, counts, strict=True)
            ),
        )


def _counts(shape, kernel, dilation, padding, stride) -> tuple:
    return tuple(
        (size + 2 * p - d * (k - 1) - 1) // s + 1
        for size, k, d, p, s in zip(shape, kernel, dilation, padding, stride, strict=True)
    )


def _im2col(x: np.ndarray, shape, kernel, dilation, padding, stride) -> np.ndarray:
    n, c = x.shape[:2]
    padded = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)))
    counts = _counts(shape, kernel, dilation, padding, stride)
    columns = empty_by(x, (n, c, *kernel, *counts))
    for offsets, window in _windows(shape, kernel, dilation, padding, stride):
        columns[(slice(None), slice(None), *offsets)] = padded[(slice(None), slice(None), *window)]
    return columns.reshape(n, c * prod(kernel), prod(counts))


def _col2im(columns: np.ndarray, shape, kernel, dilation, padding, stride) -> np.ndarray:
    n, c = columns.shape[0], columns.shape[1] // prod(kernel)
    counts = _counts(shape, kernel, dilation, padding, stride)
    columns = columns.reshape(n, c, *kernel, *counts)
    padded = zeros_by(columns, (n, c, *(size + 2 * p for size, p in zip(shape, padding, strict=True))))
    for offsets, window in _windows(shape, kernel, dilation, padding, stride):
        padded[(slice(None), slice(None), *window)] += columns[(slice(None), slice(None), *offsets)]
    inside = tuple(slice(p, p + size) for size, p in zip(shape, padding, strict=True))
    return c_order(padded[(slice(None), slice(None), *inside)])


def _block_settings(name, kernel_size, dilation, padding, stride) -> tuple:
    found = []
    for what, value in (
        ("kernel_size", kernel_size), ("dilation", dilation), ("padding", padding), ("stride", stride)
    ):  # fmt: skip
        try:
            sizes = tuple_of(value, 2)
        except ValueError:
            raise RuntimeError(
                f"{name}: It is expected {what} equals to 2, but got size {len(value)}"
            ) from None
        if min(sizes) < (0 if what == "padding" else 1):
            least = "non-negative" if what == "padding" else "greater than zero"
            raise RuntimeError(f"{name}: {what} should be {least}, but got {list(sizes)}")
        found.append(sizes)
    return tuple(found)


@op(name="im2col", method=False)
def unfold(input, kernel_size, dilation=1, padding=0, stride=1):
    """Cut sliding blocks out of images; each becomes a column.

    Args:
        input: (N, C, H, W) or (C, H, W).
        kernel_size: the height and width of a block, one number or two.
        dilation: steps between neighbouring elements of a block.
        padding: zeros around the image.
        stride: steps between neighbouring blocks.
    Returns:
        (N, C * kH * kW, number of blocks), without N where the input has none.
    Raises:
        RuntimeError: the input has another number of dimensions, or no block fits into it.

    >>> import rushlight as torch
    >>> torch.nn.functional.unfold(torch.ones(1, 1, 3, 3), 2).shape
    torch.Size([1, 4, 4])
    """
    x = check_tensor("unfold", input)._array
    settings = _block_settings("unfold", kernel_size, dilation, padding, stride)
    if x.ndim not in (3, 4) or 0 in x.shape[x.ndim - 3 :]:
        raise RuntimeError(
            "unfold: Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero "
            "dimensions for "
            f"input, but got: {list(x.shape)}"
        )
    if x.dtype.kind in "iu":
        raise NotImplementedError(f"unfold: not implemented for {input.dtype}; convert the input: x.float()")
    if x.ndim == 3:
        return unfold(input.unsqueeze(0), kernel_size, dilation, padding, stride).squeeze(0)
    shape, counts = x.shape[2:], _counts(x.shape[2:], *settings)
    if min(counts) < 1:
        kernel, spacing, around, _ = settings
        raise RuntimeError(
            f"unfold: Given input with spatial size {shape}, kernel_size={kernel}, dilation={spacing}, "
            f"padding={around}, "
            f"calculated shape of the array of sliding blocks as {counts}, but its components must be at "
            "least one."
        )
    function, adjoint = (partial(_apply_blocks, f, shape, settings) for f in (_im2col, _col2im))
    return apply_linear(input, function, adjoint, Im2ColBackward0)


def _apply_blocks(function, shape, settings, array):
    return function(array, shape, *settings)


@op(name="col2im", method=False)
def fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """Put columns back as sliding blocks of an image; where blocks overlap their elements are added.

    Args:
        input: (N, C * kH * kW, number of blocks) or without N.
        output_size: the height and width of the image.
        kernel_size, dilation, padding, stride: as in `unfold`.
    Returns:
        (N, C, H, W), without N where the input has none.
    Raises:
        RuntimeError: the columns do not fit the sizes.

    >>> import rushlight as torch
    >>> torch.nn.functional.fold(torch.ones(1, 4, 4), (3, 3), 2)
    tensor([[[[1., 2., 1.],
              [2., 4., 2.],
              [1., 2., 1.]]]])
    """
    x = check_tensor("fold", input)._array
    shape = tuple_of(output_size, 2)
    settings = _block_settings("fold", kernel_size, dilation, padding, stride)
    if x.ndim not in (2, 3) or 0 in x.shape[x.ndim - 2 :]:
        raise RuntimeError(
            "fold: Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero "
            "dimensions for "
            f"input, but got: {list(x.shape)}"
        )
    if x.ndim == 2:
        return fold(input.unsqueeze(0), output_size, kernel_size, dilation, padding, stride).squeeze(0)
    kernel, counts = settings[0], _counts(shape, *settings)
    if x.shape[1] % prod(kernel):
        raise RuntimeError(
            "fold: Expected size of input's dimension 1 to be divisible by the product of kernel_size, but "
            "got "
            f"input.size(1)={x.shape[1]} and kernel_size={kernel}."
        )
    if min(counts) < 1 or prod(counts) != x.shape[2]:
        raise RuntimeError(
            f"fold: Given output_size={shape}, kernel_size={kernel}, dilation={settings[1]}, "
            f"padding={settings[2]}, "
            f"stride={settings[3]}, expected size of input's dimension 2 to match the calculated number of "
            "sliding blocks "
            f"{' * '.join(map(str, counts))} = {prod(counts)}, but got input.size(2)={x.shape[2]}."
        )
    function, adjoint = (partial(_apply_blocks, f, shape, settings) for f in (_col2im, _im2col))
    return apply_linear(input, function, adjoint, Col2ImBackward0)


@op(method=False)
def conv_tbc(input, weight, bias, pad=0):
    """The convolution of signals whose dimensions are in the order time, batch, channels.

    Args:
        input: (T, N, C_in).
        weight: (kernel size, C_in, C_out).
        bias: (C_out).
        pad: zeros at both ends.
    Returns:
        (T', N, C_out).
    Raises:
        RuntimeError: the shapes do not fit.

    >>> import rushlight as torch
    >>> torch.conv_tbc(torch.ones(3, 1, 1), torch.ones(2, 1, 1), torch.zeros(1)).flatten()
    tensor([2., 2.])
    """
    for name, t in (("input", input), ("weight", weight)):
        if check_tensor("conv_tbc", t, name).dim() != 3:
            raise RuntimeError(
                f"conv_tbc: {name} must have 3 dims, got {t.dim()}: expected time, batch, channel and kernel size, input "
                "channels, output channels"
            )
    return conv1d(input.permute(1, 2, 0), weight.permute(2, 1, 0), bias, 1, pad).permute(2, 0, 1)
