"""Attention of float32 and float64 heads by `csrc/attention.cpp`, of low-precision ones in float32."""

import numpy as np

from rushlight import _native
from rushlight.kernels.cpu.dnn import widened
from rushlight.kernels.cpu.elementwise import copy
from rushlight.kernels.reference import attention as _reference
from rushlight.kernels.reference.layout import is_low_precision


def _written(native, args: list, places: tuple):
    """The native function, which writes the arrays at these places, on low-precision arguments as float32."""
    wide = [
        np.empty_like(a, np.float32) if i in places and is_low_precision(a.dtype) else widened(a)
        for i, a in enumerate(args)
    ]
    result = native(*wide)
    if result is not None:
        for i in places:
            if wide[i] is not args[i]:
                copy(args[i], wide[i])
    return result


def attention(*args):
    result = _written(_native.attention, args, (8,))
    return _reference.attention(*args) if result is None else result


def attention_backward(*args):
    if _written(_native.attention_backward, args, (11, 12, 13)) is None:
        _reference.attention_backward(*args)


for _kernel in (attention, attention_backward):
    _kernel.__doc__ = getattr(_reference, _kernel.__name__).__doc__

__all__ = list(_reference.__all__)
