"""Reductions and normalizations of the elements that a mask names, for dense tensors.

The others count as the neutral element of the operation: 0 in a sum, 1 in a product, the lowest number in a maximum.
"""

from functools import partial
from math import inf, nan

from rushlight import linalg
from rushlight.config import iinfo
from rushlight.devices import strided
from rushlight.dtypes import bool_, float32, int64
from rushlight.masked.maskedtensor.core import MaskedTensor
from rushlight.nn import functional as F
from rushlight.ops import cumulative, extremum, functions_of_two, reduction
from rushlight.ops.comparison import where
from rushlight.ops.creation import scalar_tensor
from rushlight.ops.parts import broadcast_to
from rushlight.tensor import Tensor, check_dim

__all__ = [
    "amax", "amin", "argmax", "argmin", "cumprod", "cumsum", "log_softmax", "logaddexp", "logsumexp", "mean", "median",
    "norm", "normalize", "prod", "softmax", "softmin", "std", "sum", "var",
]  # fmt: skip


def _lowest(input: Tensor, sign: int):
    """The lowest number of a type, or with -1 the highest."""
    dtype = input.dtype
    if dtype.is_floating_point or dtype.is_complex:
        return -inf * sign
    if dtype is bool_:
        raise NotImplementedError(
            f"identity of a maximum or minimum on {dtype} input: convert it first, x.int()"
        )
    return iinfo(dtype).min if sign > 0 else iinfo(dtype).max


def _mask_for(input: Tensor, mask: Tensor) -> Tensor:
    """The mask in the shape of the input, bool."""
    if mask.dim() > input.dim():
        raise IndexError(
            "_input_mask expected broadcastable mask (got mask dimensionality higher than of the input): "
            f"{list(mask.shape)} for {list(input.shape)}"
        )
    return broadcast_to(mask, input.shape).to(bool_)


def _filled(name: str, input: Tensor, mask, neutral) -> Tensor:
    """The input, with a number at the places that the mask does not name; a masked tensor brings its own mask."""
    if isinstance(input, MaskedTensor):
        input, mask = input.get_data(), input.get_mask()
    if input.layout is not strided:
        raise ValueError(
            f"masked {name} expects strided tensor (got {input.layout} tensor); use input.to_dense()"
        )
    if mask is None:
        return input
    return where(
        _mask_for(input, mask),
        input,
        scalar_tensor(neutral() if callable(neutral) else neutral, dtype=input.dtype),
    )


def _dims(dim, ndim: int) -> tuple:
    """The dimensions, sorted; all of them where none is given."""
    if dim is None or dim == ():
        return tuple(range(ndim))
    given = (dim,) if isinstance(dim, int) else tuple(dim)
    found = [check_dim(d, ndim) for d in given]
    for i, d in enumerate(found):
        if d in found[:i]:
            raise RuntimeError(f"dim={given[i]} appears multiple times in the list of dims")
    return tuple(sorted(found))


def _total_dtype(input: Tensor, dtype):
    if dtype is not None:
        return dtype
    return int64 if input.dtype.category < 2 else input.dtype


def sum(input, dim=None, *, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The sum of the elements at which the mask is True.

    Args:
        input: the tensor.
        dim: the dimension or dimensions to reduce; all by default.
        keepdim: whether they are kept, with size 1.
        dtype: the type of the result; int64 for integers by default.
        mask: bool, of a shape that broadcasts to that of the input; all True by default.

    >>> import rushlight as torch
    >>> x = torch.tensor([[1, 2, 3], [4, 5, 6]])
    >>> torch.masked.sum(x, 1, mask=x % 2 == 0)
    tensor([ 2, 10])
    """
    dims = _dims(dim, input.dim())
    return reduction.sum(
        _filled("sum", input, mask, 0), dims, bool(keepdim), dtype=_total_dtype(input, dtype)
    )


def prod(input, dim=None, *, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The product of the elements at which the mask is True; arguments as those of `sum`.

    >>> import rushlight as torch
    >>> torch.masked.prod(torch.tensor([2.0, 3.0, 4.0]), mask=torch.tensor([True, False, True]))
    tensor(8.)
    """
    dims = _dims(dim, input.dim())
    result = _filled("prod", input, mask, 1)
    for d in reversed(dims):
        result = reduction.prod(result, d, bool(keepdim))
    return result.to(_total_dtype(input, dtype))


def cumsum(input, dim, *, dtype=None, mask=None) -> Tensor:
    """Running sums along a dimension, to which elements count at which the mask is True.

    >>> import rushlight as torch
    >>> torch.masked.cumsum(torch.tensor([1.0, 2.0, 3.0]), 0, mask=torch.tensor([True, False, True]))
    tensor([1., 1., 4.])
    """
    dtype = input.dtype if dtype is None else dtype
    (dim,) = _dims(dim, input.dim())
    return cumulative.cumsum(_filled("cumsum", input, mask, 0), dim, dtype=dtype)


def cumprod(input, dim, *, dtype=None, mask=None) -> Tensor:
    """Running products along a dimension, to which elements count at which the mask is True.

    >>> import rushlight as torch
    >>> torch.masked.cumprod(torch.tensor([1.0, 2.0, 3.0]), 0, mask=torch.tensor([True, False, True]))
    tensor([1., 1., 3.])
    """
    dtype = input.dtype if dtype is None else dtype
    (dim,) = _dims(dim, input.dim())
    return cumulative.cumprod(_filled("cumprod", input, mask, 1), dim, dtype=dtype)


def _extreme(function, sign: int, input, dim, keepdim, dtype, mask) -> Tensor:
    filled = _filled(function.__name__, input, mask, partial(_lowest, input, sign))
    dims = dim if function.__name__.startswith("arg") else _dims(dim, input.dim())
    return function(filled, dims, bool(keepdim)).to(input.dtype if dtype is None else dtype)


def amax(input, dim=None, *, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The largest of the elements at which the mask is True; the lowest number of the type where there is none.

    >>> import rushlight as torch
    >>> torch.masked.amax(torch.tensor([[1.0, 9.0], [2.0, 3.0]]), 1, mask=torch.tensor([True, False]))
    tensor([1., 2.])
    """
    return _extreme(extremum.amax, 1, input, dim, keepdim, dtype, mask)


def amin(input, dim=None, *, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The smallest of the elements at which the mask is True; the highest number of the type where there is none.

    >>> import rushlight as torch
    >>> torch.masked.amin(torch.tensor([[1.0, 9.0], [2.0, 3.0]]), 1, mask=torch.tensor([False, True]))
    tensor([9., 3.])
    """
    return _extreme(extremum.amin, -1, input, dim, keepdim, dtype, mask)


def argmax(input, dim=None, *, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The place of the largest of the elements at which the mask is True, in the type of the input by default.

    >>> import rushlight as torch
    >>> torch.masked.argmax(torch.tensor([1, 9, 3]), 0, mask=torch.tensor([True, False, True]))
    tensor(2)
    """
    return _extreme(extremum.argmax, 1, input, dim, keepdim, dtype, mask)


def argmin(input, dim=None, *, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The place of the smallest of the elements at which the mask is True, in the type of the input by default.

    >>> import rushlight as torch
    >>> torch.masked.argmin(torch.tensor([1, 9, 3]), 0, mask=torch.tensor([False, True, True]))
    tensor(2)
    """
    return _extreme(extremum.argmin, -1, input, dim, keepdim, dtype, mask)


def _count(input: Tensor, dim, keepdim, mask) -> Tensor:
    """How many elements are reduced to each of the result; a masked tensor's own mask does not matter, as in PyTorch."""
    if isinstance(input, MaskedTensor):
        input = input.get_data()
    named = _mask_for(input, input.new_ones((), dtype=bool_) if mask is None else mask)
    return reduction.sum(named, _dims(dim, input.dim()), bool(keepdim))


def mean(input, dim=None, *, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The mean of the elements at which the mask is True; NaN where there is none.

    Raises:
        ValueError: the input is neither floating-point nor complex.

    >>> import rushlight as torch
    >>> torch.masked.mean(torch.tensor([1.0, 2.0, 6.0]), mask=torch.tensor([False, True, True]))
    tensor(4.)
    """
    kind = input.dtype if dtype is None else dtype
    if kind.category < 2:
        raise ValueError(
            f"mean(): Could not infer output dtype. {'Input' if dtype is None else 'Optional'} dtype must be either a "
            f"floating point or complex dtype. Got: {kind}"
        )
    return sum(input, dim, keepdim=keepdim, dtype=kind, mask=mask) / _count(input, dim, keepdim, mask)


def median(input, dim=-1, *, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The median of the elements at which the mask is True; NaN where there is none.

    Raises:
        ValueError: there is none, and integers have no NaN.

    >>> import rushlight as torch
    >>> torch.masked.median(torch.tensor([1.0, 2.0, 6.0, 9.0]), 0, mask=torch.tensor([True, True, True, False]))
    tensor(2.)
    """
    (dim,) = _dims(dim, input.dim())
    floats = input if input.dtype.is_floating_point else input.to(float32)
    found = extremum.nanmedian(_filled("median", floats, mask, nan), dim, keepdim).values
    if floats is input:
        return found
    if found.isnan().any():
        raise ValueError("masked median expects no fully masked out rows if dtype is not floating point")
    return found.to(input.dtype if dtype is None else dtype)


def logsumexp(input, dim=None, *, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The logarithm of the sum of the exponentials of the elements at which the mask is True.

    >>> import rushlight as torch
    >>> torch.masked.logsumexp(torch.tensor([0.0, 5.0, 0.0]), mask=torch.tensor([True, False, True]))
    tensor(0.6931)
    """
    filled = _filled("logsumexp", input, mask, partial(_lowest, input, 1))
    found = reduction.logsumexp(filled, _dims(dim, input.dim()), keepdim=keepdim)
    return found.to(input.dtype if dtype is None else dtype)


def logaddexp(input, other, *, dtype=None, input_mask=None, other_mask=None) -> Tensor:
    """The logarithm of the sum of the exponentials of two tensors, each only where its mask is True.

    >>> import rushlight as torch
    >>> mask = torch.tensor([True, False])
    >>> torch.masked.logaddexp(torch.zeros(2), torch.ones(2), input_mask=mask)
    tensor([1.3133, 1.0000])
    """
    pairs = ((input, input_mask), (other, other_mask))
    filled = [_filled("logaddexp", t, m, partial(_lowest, t, 1)) for t, m in pairs]
    return functions_of_two.logaddexp(*filled).to(input.dtype if dtype is None else dtype)


def norm(input, ord=2.0, dim=None, *, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The norm of the vector of the elements at which the mask is True.

    Args:
        input: the tensor.
        ord: which norm, as for `torch.linalg.vector_norm`.
        dim, keepdim, dtype, mask: as for `sum`.

    >>> import rushlight as torch
    >>> torch.masked.norm(torch.tensor([3.0, 9.0, 4.0]), mask=torch.tensor([True, False, True]))
    tensor(5.)
    """
    if ord == -inf and mask is not None and not input.dtype.is_floating_point:
        raise AssertionError(f"input must be floating point, got {input.dtype}")
    filled = _filled("norm", input, mask, inf if ord == -inf else 0)
    dims = _dims(dim, input.dim())
    return linalg.vector_norm(filled, ord, dims, bool(keepdim), dtype=input.dtype if dtype is None else dtype)


def var(input, dim=None, unbiased=None, *, correction=None, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The variance of the elements at which the mask is True; NaN where there is none.

    Args:
        input: the tensor.
        dim: the dimension or dimensions to reduce; all by default.
        unbiased: whether `correction` is 1 (the default) or 0.
        correction: what is subtracted from the number of elements.
        keepdim, dtype, mask: as for `sum`.

    >>> import rushlight as torch
    >>> torch.masked.var(torch.tensor([1.0, 9.0, 3.0]), mask=torch.tensor([True, False, True]))
    tensor(2.)
    """
    if unbiased is not None and correction is not None:
        raise AssertionError("Only one of unbiased and correction may be given")
    if correction is None:
        correction = 0 if unbiased is False else 1
    if dtype is None:
        dtype = float32 if input.dtype.category < 2 else input.dtype
    computed = float32 if dtype.category < 2 else dtype
    count = _count(input, dim, True, mask)
    apart = input - sum(input, dim, keepdim=True, dtype=dtype, mask=mask) / count
    total = sum(apart * apart.conj(), dim, keepdim=keepdim, dtype=computed, mask=mask)
    real = total.real.dtype if computed.is_complex else computed
    left = (count.reshape(total.shape).to(real) - correction).clamp(min=0)
    return (total / left).to(dtype)


def std(input, dim=None, unbiased=None, *, correction=None, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The standard deviation of the elements at which the mask is True; arguments as those of `var`.

    >>> import rushlight as torch
    >>> torch.masked.std(torch.tensor([1.0, 9.0, 3.0]), mask=torch.tensor([True, False, True]))
    tensor(1.4142)
    """
    return var(input, dim, unbiased, correction=correction, keepdim=keepdim, dtype=dtype, mask=mask).sqrt()


def _normalized(function, sign: int, input, dim, dtype, mask) -> Tensor:
    filled = _filled(function.__name__, input, mask, partial(_lowest, input, sign))
    return function(filled, _dims(dim, input.dim())[0], dtype=input.dtype if dtype is None else dtype)


def softmax(input, dim, *, dtype=None, mask=None) -> Tensor:
    """Softmax of the elements at which the mask is True; 0 at the others, NaN where all are others.

    >>> import rushlight as torch
    >>> torch.masked.softmax(torch.tensor([1.0, 9.0, 1.0]), 0, mask=torch.tensor([True, False, True]))
    tensor([0.5000, 0.0000, 0.5000])
    """
    return _normalized(F.softmax, 1, input, dim, dtype, mask)


def log_softmax(input, dim, *, dtype=None, mask=None) -> Tensor:
    """The logarithm of `softmax`: minus infinity where the mask is False.

    >>> import rushlight as torch
    >>> torch.masked.log_softmax(torch.tensor([1.0, 9.0, 1.0]), 0, mask=torch.tensor([True, False, True]))
    tensor([-0.6931,    -inf, -0.6931])
    """
    return _normalized(F.log_softmax, 1, input, dim, dtype, mask)


def softmin(input, dim, *, dtype=None, mask=None) -> Tensor:
    """Softmax of the negated elements at which the mask is True; 0 at the others.

    >>> import rushlight as torch
    >>> torch.masked.softmin(torch.tensor([1.0, 9.0, 1.0]), 0, mask=torch.tensor([True, True, False]))
    tensor([9.9966e-01, 3.3535e-04, 0.0000e+00])
    """
    return _normalized(F.softmin, -1, input, dim, dtype, mask)


def normalize(input, ord, dim, *, eps=1e-12, dtype=None, mask=None) -> Tensor:
    """The elements divided by the norm of those at which the mask is True; 0 at the others.

    Args:
        input: the tensor.
        ord: which norm.
        dim: the dimension along which it is taken.
        eps: the smallest divisor.
        dtype, mask: as for `sum`.

    >>> import rushlight as torch
    >>> torch.masked.normalize(torch.tensor([3.0, 9.0, 4.0]), 2.0, 0, mask=torch.tensor([True, False, True]))
    tensor([0.6000, 0.0000, 0.8000])
    """
    found = norm(input, ord, dim, keepdim=True, dtype=dtype, mask=mask)
    return _filled("normalize", input, mask, 0) / found.clamp(min=eps)
