"""Counting the multiply-adds of products and convolutions while they are computed."""

import math

from rushlight.ops.attention import attend
from rushlight.ops.detour import Detour
from rushlight.ops.registry import OPS

__all__ = ["Counter"]


def _convolution(result, input, weight, *rest) -> int:
    return result.numel() * weight[0].numel()


def _transposed(result, input, weight, *rest) -> int:
    return input.numel() * weight[0].numel()


def _product(result, input, *rest) -> int:
    return result.numel() * input.shape[-1]


def _sum_and_product(result, input, first, *rest) -> int:
    return result.numel() * first.shape[-1]


def _sum_of_products(result, input, first, *rest) -> int:
    return result.numel() * first.shape[-1] * len(first)


def _bilinear(result, input1, input2, weight, *rest) -> int:
    return result.numel() * weight[0].numel()


def _attention(result, inputs, split, *rest) -> int:
    query, key, value = split(*[t._array for t in inputs])
    return math.prod(query.shape[:-1]) * key.shape[-2] * (query.shape[-1] + value.shape[-1])


def _cell(result, input, hx, w_ih, w_hh, *rest) -> int:
    rows = input.numel() // input.shape[-1]
    return rows * (w_ih.numel() + w_hh.numel())


def _recurrent(result, input, second, *rest) -> int:
    """Every step multiplies all matrices. Arguments are (input, hx, weights, …), or (data, sizes, hx, weights, …)."""
    weights = rest[0] if isinstance(rest[1], bool) else rest[1]
    steps = math.prod(input.shape[:-1])
    return steps * sum(w.numel() for w in weights if w.dim() == 2)


_COUNTS = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _transposed),
    **dict.fromkeys(("linear", "matmul", "mm", "bmm", "mv", "dot"), _product),
    **dict.fromkeys(("addmm", "addmv", "baddbmm"), _sum_and_product),
    "addbmm": _sum_of_products,
    "bilinear": _bilinear,
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), _recurrent),
    **dict.fromkeys(("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"), _cell),
}


class Counter:
    """While it is open, tells of the multiply-adds of each product, convolution or recurrent layer.

    Args:
        tell: called with the number after each.
    """

    _detours: list[Detour] = []
    _open: list["Counter"] = []

    def __init__(self, tell):
        self.tell = tell
        self.inside = False  # an op that is counted is running: those that it calls are its own

    def __enter__(self) -> "Counter":
        if not self._detours:
            functions = {OPS[name].function: count for name, count in _COUNTS.items()} | {attend: _attention}
            self._detours += [Detour(function, _counted(count)) for function, count in functions.items()]
        self._open.append(self)
        for detour in self._detours:
            detour.on()
        return self

    def __exit__(self, *exc) -> None:
        for detour in reversed(self._detours):
            detour.off()
        self._open.pop()


def _counted(count):
    def handler(original, args, kwargs):
        counter = Counter._open[-1] if Counter._open else None
        if counter is None or counter.inside:
            return original(*args, **kwargs)
        counter.inside = True
        try:
            result = original(*args, **kwargs)
        finally:
            counter.inside = False
        counter.tell(count(result, *args, *kwargs.values()))
        return result

    return handler
