"""Reductions of jagged tensors, and softmax."""

from rushlight.config import finfo, iinfo
from rushlight.nested.jagged import NestedTensor, pack
from rushlight.nested.jagged_ops import jagged_op
from rushlight.tensor import Tensor, check_dim

#: What pads short pieces where the ragged dimension is reduced: 0 for a sum, or one end of the type.
_NEUTRAL = {
    "sum": 0, "prod": 1, "all": True, "any": False, "amax": "min", "max": "min", "argmax": "min", "amin": "max",
    "min": "max", "argmin": "max",
}  # fmt: skip


def _neutral(name: str, dtype):
    end = _NEUTRAL[name]
    if not isinstance(end, str):
        return end
    if dtype.category == 0:
        return end == "max"
    return getattr((finfo if dtype.is_floating_point else iinfo)(dtype), end)


@jagged_op(*_NEUTRAL)
def _reduce(func, nt, dim=None, keepdim=False, **kwargs):
    name = func.__name__
    if isinstance(dim, Tensor):  # max and min of two tensors
        from rushlight.nested import pointwise

        return pointwise.call(func, (nt, dim), kwargs)
    if dim is None or dim == ():
        found = func(nt._values, **kwargs)
        return found.reshape((1,) * nt.dim()) if keepdim else found
    dims, batch, ragged = _dims(nt, dim, name)
    if ragged and not batch:
        if len(dims) > 1:
            raise RuntimeError(
                f"{name}(): reducing along a ragged and non-batch dimension is not supported for nested tensors"
            )
        return func(nt.to_padded_tensor(_neutral(name, nt.dtype)), nt._ragged_idx, keepdim, **kwargs)
    return _within(func, nt, dim, dims, ragged, keepdim, kwargs)


@jagged_op("mean")
def _mean(func, nt, dim=None, keepdim=False, **kwargs):
    if dim is None or dim == ():
        return func(nt._values, **kwargs)
    dims, batch, ragged = _dims(nt, dim, "mean")
    if not ragged or batch:
        return _within(func, nt, dim, dims, ragged, keepdim, kwargs)
    if len(dims) > 1:
        raise AssertionError(
            "mean(): cannot reduce on both ragged and non-batch dimensions without also reducing on batch"
        )
    total = nt.sum(nt._ragged_idx, keepdim, **kwargs)
    counts = total.new_tensor(nt._cuts.counts)
    return total / counts.reshape(-1, *(1,) * (total.dim() - 1))


def _dims(nt: NestedTensor, dim, name: str) -> tuple:
    """The dimensions to reduce; whether the batch is among them, and the ragged one."""
    dims = sorted({check_dim(d, nt.dim()) for d in (dim if isinstance(dim, list | tuple) else [dim])})
    batch, ragged = 0 in dims, nt._ragged_idx in dims
    if ragged and nt._cuts.lengths is not None:
        raise RuntimeError(
            f"{name}(): reducing across the ragged dimension is not supported for non-contiguous nested tensors with "
            "holes"
        )
    if batch and not ragged:
        raise RuntimeError(
            f"{name}(): reducing along the batch dimension but not the ragged dimension is not supported for nested "
            "tensors"
        )
    return dims, batch, ragged


def _within(func, nt: NestedTensor, dim, dims: list, ragged: bool, keepdim: bool, kwargs: dict):
    """A reduction of dimensions of the packed values."""
    inner = [d - 1 for d in dims if d]
    found = func(nt._values, inner if isinstance(dim, list | tuple) else inner[0], keepdim, **kwargs)
    if ragged:
        return found.unsqueeze(0) if keepdim else found
    r = nt._ragged_idx - (0 if keepdim else sum(d < nt._ragged_idx for d in dims))
    if isinstance(found, Tensor):
        return nt._with(found, r)
    return type(found)([nt._with(t, r) for t in found])


@jagged_op("softmax", "log_softmax")
def _softmax(func, input, dim=None, *args, **kwargs):
    name = func.__name__
    if isinstance(dim, tuple):
        raise RuntimeError(f"{name}(): not supported for dimensions of type 'tuple' for NestedTensor")
    dim = check_dim(input.dim() - 1 if dim is None else dim, input.dim())
    if dim == 0:
        raise RuntimeError(
            f"{name}(): not supported when reducing across the batch dimension for NestedTensor"
        )
    if dim != input._ragged_idx:
        return input._with(func(input._values, dim - 1, *args, **kwargs))
    if name == "log_softmax" or dim > 1:
        where = "" if dim == 1 else " for ragged_idx > 1"
        raise RuntimeError(
            f"{name}(): not supported when reducing along the ragged dimension{where} for NestedTensor"
        )
    if input._cuts.lengths is not None:
        raise RuntimeError(
            "softmax(): not supported where lengths is not None if reducing across the ragged dimension for NestedTensor"
        )
    padded = input.to_padded_tensor(float("-inf"))
    return input._with(pack(func(padded, dim, *args, **kwargs), input))
