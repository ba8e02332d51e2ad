"""The kernels of layers, native where they can be: oneDNN for matrices and convolutions, else our own loops.

A native function returns None for what it does not cover (a dtype, a layout, nothing to compute); the
reference takes it then. Weights may be named by `token=(id, version)`, two integers of which the id is never
used twice: the layout that oneDNN prefers is then kept for as long as the version stays.
"""

import ml_dtypes
import numpy as np

from rushlight import _native
from rushlight.kernels.reference import dnn as reference
from rushlight.kernels.reference import pooling, resample

_native.set_bfloat16(np.dtype(ml_dtypes.bfloat16).num)
dnn_stats = _native.dnn_stats


def _native_first(name, home=reference):
    """The native function, backed by the reference one of the same name."""
    native, fallback = getattr(_native, name), getattr(home, name)

    def kernel(*args, **kwargs):
        result = native(*args, **kwargs)
        return fallback(*args, **kwargs) if result is None else result

    kernel.__name__ = kernel.__qualname__ = name
    kernel.__doc__ = fallback.__doc__
    return kernel


def _documented(kernel):
    kernel.__doc__ = getattr(reference, kernel.__name__).__doc__
    return kernel


matmul = _native_first("matmul")
linear = _native_first("linear")
linear_backward_input = _native_first("linear_backward_input")
linear_backward_weight = _native_first("linear_backward_weight")

conv = _native_first("conv")
conv_backward_input = _native_first("conv_backward_input")
conv_backward_weight = _native_first("conv_backward_weight")

batch_norm_train = _native_first("batch_norm_train")
batch_norm_eval = _native_first("batch_norm_eval")
batch_norm_backward = _native_first("batch_norm_backward")
layer_norm = _native_first("layer_norm")
layer_norm_backward = _native_first("layer_norm_backward")

max_pool_backward = _native_first("max_pool_backward")
embedding_backward = _native_first("embedding_backward")
grid_sample = _native_first("grid_sample")
grid_sample_backward = _native_first("grid_sample_backward")
_max_over = _native_first("max_over", pooling)
_mean_over = _native_first("mean_over", pooling)
_mean_over_backward = _native_first("mean_over_backward", pooling)


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
