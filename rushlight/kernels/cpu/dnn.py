"""The kernels of layers, native where they can be: oneDNN for matrices and convolutions, else our own loops.

A native function returns None for what it does not cover (a dtype, a layout, nothing to compute); the
reference takes it then.
"""

import ml_dtypes
import numpy as np

from rushlight import _native
from rushlight.kernels.cpu.elementwise import cast
from rushlight.kernels.reference import dnn as reference
from rushlight.kernels.reference import pooling, resample
from rushlight.kernels.reference.layout import is_low_precision

_native.set_bfloat16(np.dtype(ml_dtypes.bfloat16).num)
_FLOAT32 = np.dtype(np.float32)
dnn_stats = _native.dnn_stats


def _native_first(name, home=reference, types=None):
    """The native function, backed by the reference one of the same name.

    Args:
        types: low-precision arrays that the native function does not take go to it as float32. This function of the
            arguments says what its results become then: a type for all, or one or None for each.
    """
    native, fallback = getattr(_native, name), getattr(home, name)

    def kernel(*args, **kwargs):
        result = native(*args, **kwargs)
        if result is None and types and is_low_precision(args[0].dtype) and not kwargs:
            result = _narrowed(native(*[widened(a) for a in args]), types(*args))
        return fallback(*args, **kwargs) if result is None else result

    kernel.__name__ = kernel.__qualname__ = name
    kernel.__doc__ = fallback.__doc__
    return kernel


def widened(value):
    """A low-precision array as float32, anything else as it is."""
    return cast(value, _FLOAT32) if isinstance(value, np.ndarray) and is_low_precision(value.dtype) else value


def _narrowed(result, kind):
    """float32 results in other types; None and whole numbers stay."""
    if isinstance(result, tuple):
        kinds = kind if isinstance(kind, tuple) else (kind,) * len(result)
        return tuple(_narrowed(r, k) for r, k in zip(result, kinds, strict=True))
    if kind is None or not isinstance(result, np.ndarray) or result.dtype != _FLOAT32:
        return result
    return result if kind == _FLOAT32 else cast(result, kind)


def _first(x, *others):
    """All results have the type of the first argument."""
    return x.dtype


def _parameter(x, w):
    """The type of the gradients of a layer's parameters."""
    return (x if w is None else w).dtype


def _documented(kernel):
    kernel.__doc__ = getattr(reference, kernel.__name__).__doc__
    return kernel


matmul = _native_first("matmul", types=_first)
linear = _native_first("linear", types=_first)
linear_backward_input = _native_first("linear_backward_input", types=_first)
linear_backward_weight = _native_first("linear_backward_weight", types=_first)

conv = _native_first("conv", types=_first)
conv_backward_input = _native_first("conv_backward_input", types=_first)
conv_backward_weight = _native_first("conv_backward_weight", types=_first)

batch_norm_train = _native_first("batch_norm_train", types=lambda x, *_: (x.dtype, None, None, None))
batch_norm_eval = _native_first("batch_norm_eval", types=_first)
batch_norm_backward = _native_first(
    "batch_norm_backward", types=lambda g, x, mean, rstd, w, train: (x.dtype, *(_parameter(x, w),) * 2)
)
layer_norm = _native_first("layer_norm", types=lambda x, *_: (x.dtype, None, None))
layer_norm_backward = _native_first(
    "layer_norm_backward", types=lambda g, x, mean, rstd, w: (x.dtype, *(_parameter(x, w),) * 2)
)
group_norm = _native_first("group_norm", types=lambda x, *_: (x.dtype, None, None))
group_norm_backward = _native_first(
    "group_norm_backward", types=lambda g, x, mean, rstd, w, groups: (x.dtype, *(_parameter(x, w),) * 2)
)

max_pool_backward = _native_first("max_pool_backward", types=_first)
embedding_backward = _native_first("embedding_backward", types=_first)
grid_sample = _native_first("grid_sample", types=_first)
grid_sample_backward = _native_first("grid_sample_backward")
_max_over = _native_first("max_over", pooling, types=_first)
_mean_over = _native_first("mean_over", pooling, types=_first)
_mean_over_backward = _native_first("mean_over_backward", pooling, types=_first)


@_documented
def max_pool(x, kernel, stride, padding, dilation, ceil_mode):
    return _max_over(x, pooling.max_tables(x.shape[2:], kernel, stride, padding, dilation, ceil_mode))


@_documented
def adaptive_max_pool(x, out_size):
    return _max_over(x, pooling.adaptive_max_tables(x.shape[2:], out_size))


@_documented
def avg_pool(x, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override=None):
    tables = pooling.avg_tables(x.shape[2:], kernel, stride, padding, ceil_mode, count_include_pad)
    return _mean_over(x, tables, divisor_override)


@_documented
def avg_pool_backward(
    g, x_shape, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override=None
):
    tables = pooling.avg_tables(x_shape[2:], kernel, stride, padding, ceil_mode, count_include_pad)
    return _mean_over_backward(g, x_shape, tables, divisor_override)


@_documented
def adaptive_avg_pool(x, out_size):
    return _mean_over(x, pooling.adaptive_tables(x.shape[2:], out_size))


@_documented
def adaptive_avg_pool_backward(g, x_shape):
    return _mean_over_backward(g, x_shape, pooling.adaptive_tables(x_shape[2:], g.shape[2:]))


@_documented
def upsample(x, out_size, mode, align_corners=False, scales=None):
    if x.dtype.char in "fd":
        steps = resample.tables(x.shape[2:], out_size, mode, align_corners, scales, x.dtype)
        y = _native.resample(x, steps)
        if y is not None:
            return y
    return reference.upsample(x, out_size, mode, align_corners, scales)


@_documented
def upsample_backward(g, x_shape, mode, align_corners=False, scales=None):
    if g.dtype.char in "fd":
        steps = resample.tables(x_shape[2:], g.shape[2:], mode, align_corners, scales, g.dtype)
        gx = _native.resample_backward(g, x_shape, steps)
        if gx is not None:
            return gx
    return reference.upsample_backward(g, x_shape, mode, align_corners, scales)


__all__ = list(reference.__all__)
