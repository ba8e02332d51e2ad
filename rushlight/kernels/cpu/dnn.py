"""The kernels of layers, native where they can be: oneDNN for matrices and convolutions, our own loops for the rest.

A native function returns None for what it does not cover (a dtype, a layout, nothing to compute); the reference
takes it then. Weights may be named by `token=(id, version)`, two integers of which the id is never used twice:
the layout that oneDNN prefers is then kept for as long as the version stays.
"""

import ml_dtypes
import numpy as np

from rushlight import _native
from rushlight.kernels.reference import dnn as reference

_native.set_bfloat16(np.dtype(ml_dtypes.bfloat16).num)
dnn_stats = _native.dnn_stats


def _native_first(name):
    """The native function, backed by the reference one of the same name."""
    native, fallback = getattr(_native, name, None), getattr(reference, name)
    if native is None:
        return fallback

    def kernel(*args, **kwargs):
        result = native(*args, **kwargs)
        return fallback(*args, **kwargs) if result is None else result

    kernel.__name__ = kernel.__qualname__ = name
    kernel.__doc__ = fallback.__doc__
    return kernel


matmul = _native_first("matmul")
linear = _native_first("linear")
linear_backward_input = _native_first("linear_backward_input")
linear_backward_weight = _native_first("linear_backward_weight")
conv = _native_first("conv")
conv_backward_input = _native_first("conv_backward_input")
conv_backward_weight = _native_first("conv_backward_weight")
max_pool = reference.max_pool
max_pool_backward = reference.max_pool_backward
adaptive_max_pool = reference.adaptive_max_pool
avg_pool = reference.avg_pool
avg_pool_backward = reference.avg_pool_backward
adaptive_avg_pool = reference.adaptive_avg_pool
adaptive_avg_pool_backward = reference.adaptive_avg_pool_backward
batch_norm_train = reference.batch_norm_train
batch_norm_eval = reference.batch_norm_eval
batch_norm_backward = reference.batch_norm_backward
layer_norm = reference.layer_norm
layer_norm_backward = reference.layer_norm_backward
upsample = reference.upsample
upsample_backward = reference.upsample_backward
embedding_backward = reference.embedding_backward

__all__ = list(reference.__all__)
