"""Python functions applied element by element: slow, for experiments."""

import numpy as np

from rushlight.autograd.views import check_writable
from rushlight.ops.common import MODE, Tensor


def _write(t: Tensor, values) -> Tensor:
    if t._rg and MODE.enabled:
        raise RuntimeError(
            "Can't call apply_() or map_() on Variable that requires grad. Use var.detach() first."
        )
    check_writable(t)
    flat = np.fromiter(values, t._array.dtype, t._array.size) if t._array.dtype.kind != "V" else list(values)
    t._array[...] = np.asanyarray(flat, t._array.dtype).reshape(t._array.shape)
    t._bump()
    return t


def apply_(self, callable):
    """Replace each element by what a Python function makes of it.

    >>> import rushlight as torch
    >>> torch.tensor([1.0, 2.0]).apply_(lambda v: v + 1)
    tensor([2., 3.])
    """
    return _write(self, (callable(v) for v in self._array.reshape(-1).tolist()))


def map_(self, tensor, callable):
    """Replace each element by a Python function of it and the same one of another tensor.

    >>> import rushlight as torch
    >>> torch.tensor([1.0]).map_(torch.tensor([2.0]), lambda a, b: a + b)
    tensor([3.])
    """
    return map2_(self, tensor, tensor, lambda a, b, _: callable(a, b))


def map2_(self, x, y, callable):
    """As `map_`, with a function of three.

    >>> import rushlight as torch
    >>> one = torch.ones(1)
    >>> one.map2_(torch.tensor([2.0]), torch.tensor([3.0]), lambda a, b, c: a + b * c)
    tensor([7.])
    """
    others = [np.broadcast_to(t._array, self._array.shape).reshape(-1).tolist() for t in (x, y)]
    return _write(self, map(callable, self._array.reshape(-1).tolist(), *others))


Tensor.apply_, Tensor.map_, Tensor.map2_ = apply_, map_, map2_
