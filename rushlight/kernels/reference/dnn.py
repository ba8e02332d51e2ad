"""The reference kernels of neural-network layers, in plain NumPy: oracle and fallback of the native ones.

Arrays are (N, C, *spatial) in shape, whatever their memory layout. Convolutions return channels-last memory;
pooling, normalisation and resampling keep the layout they are given.
"""

from rushlight.kernels.reference.conv import (
    conv,
    conv_backward_input,
    conv_backward_weight,
    linear,
    linear_backward_input,
    linear_backward_weight,
    matmul,
)
from rushlight.kernels.reference.grid import grid_sample, grid_sample_backward
from rushlight.kernels.reference.normalization import (
    batch_norm_backward,
    batch_norm_eval,
    batch_norm_train,
    group_norm,
    group_norm_backward,
    layer_norm,
    layer_norm_backward,
)
from rushlight.kernels.reference.pooling import (
    adaptive_avg_pool,
    adaptive_avg_pool_backward,
    adaptive_max_pool,
    avg_pool,
    avg_pool_backward,
    max_pool,
    max_pool_backward,
)
from rushlight.kernels.reference.resample import embedding_backward, upsample, upsample_backward


def dnn_stats():
    """Native primitives made and cached so far, and reordered weights cached: none here."""
    return {"created": 0, "cached": 0}


__all__ = [
    "adaptive_avg_pool",
    "adaptive_avg_pool_backward",
    "adaptive_max_pool",
    "avg_pool",
    "avg_pool_backward",
    "batch_norm_backward",
    "batch_norm_eval",
    "batch_norm_train",
    "conv",
    "conv_backward_input",
    "conv_backward_weight",
    "dnn_stats",
    "embedding_backward",
    "grid_sample",
    "grid_sample_backward",
    "group_norm",
    "group_norm_backward",
    "layer_norm",
    "layer_norm_backward",
    "linear",
    "linear_backward_input",
    "linear_backward_weight",
    "matmul",
    "max_pool",
    "max_pool_backward",
    "upsample",
    "upsample_backward",
]
