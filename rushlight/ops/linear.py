"""Linear layers."""

import math

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.node import Node, Step, connect
from rushlight.ops.common import MODE, Tensor, check_tensor, conj, overloaded, wrap, write_out
from rushlight.ops.contraction import tensordot
from rushlight.ops.linalg import expandable, matmul, type_name, types_differ
from rushlight.ops.registry import op
from rushlight.sparse_tensor import SparseTensor


class LinearNode(Node):
    """x @ w.T + b, over the last dimension of x."""

    def backward(self, grad):
        x, w = self.unpack()
        edges = self.edges
        gx = gw = gb = None
        if not MODE.enabled and grad._array.dtype.kind != "c":
            a, g = x._array, grad._array
            if a.ndim != 2:
                g, a = g.reshape(-1, g.shape[-1]), a.reshape(-1, a.shape[-1])
            if edges[0] is not None:
                gx = K.linear_backward_input(g, w._array)
                gx = wrap(gx if x._array.ndim == 2 else gx.reshape(x._array.shape))
            with_bias = len(edges) > 2 and edges[2] is not None
            if edges[1] is not None:
                gw, gb = K.linear_backward_weight(g, a, with_bias)
                gw, gb = wrap(gw), wrap(gb) if with_bias else None
            elif with_bias:
                gb = wrap(K.sum(g, (0,), False))
            return (gx, gw, gb) if len(edges) > 2 else (gx, gw)
        rows = grad.reshape(-1, grad.shape[-1])
        if edges[0] is not None:
            gx = matmul(grad, conj(w))
        if edges[1] is not None:
            gw = matmul(rows.t(), conj(x.reshape(-1, x._array.shape[-1])))
        if len(edges) == 2:
            return gx, gw
        return gx, gw, None if edges[2] is None else rows.sum(0)


class _LinearAddmm(LinearNode):
    @property
    def next_functions(self) -> tuple:
        """As PyTorch's: the bias first, then the input, then the transposed weight."""
        x, w, *bias = super().next_functions
        return *bias, x, Step.named("TBackward0", w)


class _LinearMm(_LinearAddmm):
    pass


class _LinearView(_LinearAddmm):
    @property
    def next_functions(self) -> tuple:
        """As PyTorch's, which flattens the input for a product of matrices."""
        *bias, x, w = super().next_functions
        name = "AddmmBackward0" if bias else "MmBackward0"
        return (Step.named(name, *bias, Step.named("ViewBackward0", x), w),)


class _LinearUnsafeView(_LinearView):
    pass


# PyTorch composes a linear layer of these, so its nodes are named after them.
_LINEAR_NODES = {(True, True): _LinearAddmm, (True, False): _LinearMm, (False, True): _LinearView,
                 (False, False): _LinearUnsafeView}  # fmt: skip
for _key, _public in (
    ((True, True), "AddmmBackward0"), ((True, False), "MmBackward0"),
    ((False, True), "ViewBackward0"), ((False, False), "UnsafeViewBackward0"),
):  # fmt: skip
    _LINEAR_NODES[_key].__name__ = _LINEAR_NODES[_key].__qualname__ = _public


@op(method=False)
def linear(input, weight, bias=None, *, out=None):
    """input @ weight.T + bias: a linear layer.

    Args:
        input: a tensor [..., in_features].
        weight: a tensor [out_features, in_features], or [in_features] for one output without dimension.
        bias: a tensor [out_features], or None.
        out: where to put the result.
    Returns:
        A tensor [..., out_features].
    Raises:
        RuntimeError: the sizes do not go together, or the types differ.

    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.linear.html

    >>> import rushlight as torch
    >>> torch.nn.functional.linear(torch.tensor([1.0, 2.0]), torch.tensor([[3.0, 4.0]]), torch.tensor([1.0]))
    tensor([12.])
    """
    if out is not None:
        return write_out(linear(input, weight, bias), out, exact=True)
    try:
        x, w = input._array, weight._array
        b = None if bias is None else bias._array
        features = w.shape[1]
        if x.shape[-1] != features or x.dtype is not w.dtype or x.dtype.kind == "b":
            return _odd_linear(input, weight, bias)
    except (AttributeError, IndexError):
        return _odd_linear(input, weight, bias)
    if (b is not None and (b.shape != w.shape[:1] or b.dtype is not w.dtype)) or w.ndim != 2:
        return _odd_linear(input, weight, bias)
    flat = x.ndim == 2
    if flat:
        result = wrap(K.linear(x, w, b))
    else:
        lead = x.shape[:-1]
        result = wrap(K.linear(x.reshape(math.prod(lead), features), w, b).reshape(*lead, w.shape[0]))
    if MODE.enabled and (input._rg or weight._rg or (b is not None and bias._rg)):
        if b is None:
            node = connect(_LINEAR_NODES[flat, False](), (input, weight))
        else:
            node = connect((_LinearAddmm if flat else _LinearView)(), (input, weight, bias))
        node.save(input, weight)
        result._node, result._rg = node, True
    return result


def _odd_linear(input, weight, bias) -> Tensor:
    """`linear` for unusual shapes, and its errors."""
    if isinstance(input, SparseTensor) or isinstance(weight, SparseTensor):
        return overloaded("linear", input, weight, bias)
    x = check_tensor("linear", input)._array
    w = check_tensor("linear", weight, "weight", 2)._array
    if bias is not None:
        check_tensor("linear", bias, "bias", 3)
    if not x.ndim or not w.ndim:
        raise RuntimeError(
            f"both arguments to linear need to be at least 1D, but they are {x.ndim}D and {w.ndim}D"
        )
    if w.ndim > 2:
        raise RuntimeError(
            f"t() expects a tensor with <= 2 dimensions, but self is {w.ndim}D (linear: the weight)"
        )
    rows = w if w.ndim == 2 else w.reshape(1, -1)
    if x.shape[-1] != rows.shape[1]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({math.prod(x.shape[:-1])}x{x.shape[-1]} and "
            f"{rows.shape[1]}x{rows.shape[0]}): linear expected input [..., {rows.shape[1]}], got "
            f"{list(x.shape)} (weight "
            f"{list(w.shape)}).{_linear_hint(x, rows.shape[1])}"
        )
    if x.dtype != w.dtype:
        raise types_differ(input, weight)
    if bias is not None and bias._array.dtype != w.dtype:
        raise RuntimeError(
            f"self and mat2 must have the same dtype, but got {type_name(bias)} and {type_name(weight)}"
        )
    if w.ndim == 1 and bias is not None:
        raise RuntimeError("mat2 must be a matrix, got 1-D tensor (linear: the weight, beside a bias)")
    product = matmul(input, weight.t())
    if bias is None:
        return product
    expandable(bias._array, product._array.shape)
    return product + bias


def _linear_hint(x: np.ndarray, features: int) -> str:
    """The likely fix of a linear layer's wrong input."""
    if x.ndim > 1 and math.prod(x.shape[1:]) == features:
        return " Flatten it first: x.flatten(1)"
    if x.ndim > 1 and x.shape[-2] == features:
        return " Transpose it first: x.mT"
    return f" Make it {x.shape[-1]} features: nn.Linear({x.shape[-1]}, ...)"


@op(method=False)
def bilinear(input1, input2, weight, bias=None):
    """For each output o, input1 @ weight[o] @ input2, plus a bias.

    Args:
        input1: a tensor [..., n].
        input2: a tensor [..., m], with the same leading dimensions.
        weight: a tensor [o, n, m].
        bias: a tensor [o], or None.
    Returns:
        A tensor [..., o].
    Raises:
        RuntimeError: the sizes do not go together.

    >>> import rushlight as torch
    >>> torch.bilinear(torch.ones(1, 2), torch.ones(1, 3), torch.ones(1, 2, 3))
    tensor([[6.]])
    """
    x, y, w = input1._array, input2._array, weight._array
    if x.ndim != y.ndim:
        raise RuntimeError(f"bilinear(): input dimensions do not match: got {x.ndim} and {y.ndim}")
    for i in range(x.ndim - 1):
        if x.shape[i] != y.shape[i]:
            raise RuntimeError(
                f"bilinear(): input batch dimensions do not match at dim {i}: got {x.shape[i]} and "
                f"{y.shape[i]}"
            )
    for number, a in ((1, x), (2, y)):
        if a.shape[-1] != w.shape[number]:
            raise RuntimeError(
                f"bilinear(): input{number} size does not match weight size: got {a.shape[-1]} but expected "
                f"{w.shape[number]}"
            )
    if bias is not None and bias._array.shape[0] != w.shape[0]:
        raise RuntimeError(
            f"bilinear(): bias size does not match weight size: got {bias._array.shape[0]} but expected "
            f"{w.shape[0]}"
        )
    half = tensordot(input1, weight, ([-1], [1]))  # [..., o, m]
    result = matmul(half, input2.unsqueeze(-1)).squeeze(-1)
    return result if bias is None else result + bias
