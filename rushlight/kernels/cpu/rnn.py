"""Recurrent layers over time: native loops with packed weights for float32 and float64.

A single step goes through oneDNN's matrix product instead: packing the weights would take as long as the step.
"""

import numpy as np

from rushlight import _native
from rushlight.kernels.cpu.dnn import linear, linear_backward_input
from rushlight.kernels.reference import rnn as _reference

_NUMBERS = {name: i for i, name in enumerate(_reference.CELLS)}


def _dense(a):
    return a if a is None or a.flags.c_contiguous else a.copy()


def _fused(x, w_ih, w_hh, batch_sizes) -> bool:
    """Whether to multiply the input step by step: many rows at once, with weights that stay in the second cache."""
    return len(batch_sizes) > 1 and len(x) >= 16 * len(batch_sizes) and w_ih.nbytes + w_hh.nbytes <= 1 << 19


def rnn_forward(cell, x, w_ih, bias, h, c, w_hh, b_hn, w_hr, batch_sizes, reverse, keep):
    if x.dtype.char not in "fd" or not h.size or not x.size:
        return _reference.rnn_forward(cell, x, w_ih, bias, h, c, w_hh, b_hn, w_hr, batch_sizes, reverse, keep)
    fused = _fused(x, w_ih, w_hh, batch_sizes)
    product = linear(h, w_hh) if len(batch_sizes) == 1 else None
    last_h, last_c = h.copy(), None if c is None else c.copy()
    y, gates, h_before, extra, full = _native.rnn_forward(
        _NUMBERS[cell], *((None, _dense(x), _dense(w_ih), _dense(bias)) if fused else (linear(x, w_ih, bias), None, None, None)),
        last_h, last_c, None if product is not None else _dense(w_hh), product, _dense(b_hn), _dense(w_hr), batch_sizes,
        reverse, keep,
    )  # fmt: skip
    return y, last_h, last_c, (gates, h_before, extra, full)


def rnn_backward(cell, gy, gh, gc, saved, w_hh, w_hr, batch_sizes, reverse):
    gates, h_before, extra, _ = saved
    if gates.dtype.char not in "fd" or not gates.size:
        return _reference.rnn_backward(cell, gy, gh, gc, saved, w_hh, w_hr, batch_sizes, reverse)
    single, batch = len(batch_sizes) == 1, int(batch_sizes[0])
    dh = np.zeros((batch, w_hh.shape[1]), gates.dtype) if gh is None else gh.copy()
    dc = None
    if cell == "lstm":
        hidden = len(w_hh) // 4
        dc = np.zeros((batch, hidden), gates.dtype) if gc is None else gc.copy()
    to_input, to_hidden, to_output = _native.rnn_backward(
        _NUMBERS[cell], _dense(gy), dh, dc, gates, h_before, extra, None if single else _dense(w_hh), _dense(w_hr),
        batch_sizes, reverse,
    )  # fmt: skip
    to_hidden = to_input if to_hidden is None else to_hidden
    if single:
        product = linear_backward_input(to_hidden, w_hh)
        dh = product + dh if cell == "gru" else product
    return to_input, to_hidden, dh, dc, to_output


for _kernel in (rnn_forward, rnn_backward):
    _kernel.__doc__ = getattr(_reference, _kernel.__name__).__doc__

__all__ = list(_reference.__all__)
