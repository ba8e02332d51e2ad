"""`vmap`: a function of one sample as a function of a batch.

The function is called once, with batched tensors (`batched.py`). Where it does what is defined for one sample alone, as
reading memory in a layer of the user's own, it is called once per sample instead.
"""

import functools

from rushlight.autograd.engine import SamplesNeeded
from rushlight.func.batched import Batched, Level, each_sample
from rushlight.ops.joining import cat
from rushlight.random import default_generator
from rushlight.tensor import Tensor
from rushlight.utils._pytree import _broadcast_to_and_flatten, tree_flatten, tree_leaves, tree_unflatten


def _name(func) -> str:
    if hasattr(func, "__name__"):
        return func.__name__
    return (
        f"functools.partial({_name(func.func)}, ...)" if isinstance(func, functools.partial) else repr(func)
    )


def vmap(func, in_dims=0, out_dims=0, randomness: str = "error", *, chunk_size: int | None = None):
    """The function that applies `func` to every sample of a batch.

    Args:
        func: takes and returns tensors, or containers of them, of one sample.
        in_dims: the batch dimension of each argument, None where all samples share it: an int for all arguments, or
            structured as they are.
        out_dims: where the batch dimension of each result goes; None for a result that is the same for all samples.
        randomness: what random operations do: "error", "different" numbers for each sample, or the "same".
        chunk_size: how many samples are computed together; all where None.
    Returns:
        A function of batches; keyword arguments are passed on as they are.
    Raises:
        ValueError: `in_dims` or `out_dims` do not fit, or sizes differ. RuntimeError: a random operation was called
        under randomness="error".

    >>> import rushlight as torch
    >>> torch.vmap(torch.dot)(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.ones(2, 2))
    tensor([3., 7.])
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(
            f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}"
        )
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")
    name = _name(func)

    def wrapped(*args, **kwargs):
        _check_out_dims(name, out_dims)
        dims, leaves, spec = _inputs(name, in_dims, args)
        call = functools.partial(_batched, func, name, dims, leaves, spec, kwargs, randomness, out_dims)
        size = _size(dims, leaves)
        if chunk_size is None or chunk_size >= size:
            return call(0, size)
        return _joined([call(i, min(chunk_size, size - i)) for i in range(0, size, chunk_size)], out_dims)

    return functools.wraps(func)(wrapped) if hasattr(func, "__name__") else wrapped


def _check_out_dims(name: str, out_dims) -> None:
    for d in tree_leaves(out_dims):
        if not (d is None or isinstance(d, int)):
            raise ValueError(
                f"vmap({name}, ..., out_dims={out_dims}): `out_dims` must be an int, None or a python collection of ints "
                "representing where in the outputs the vmapped dimension should appear."
            )


def _inputs(name: str, in_dims, args: tuple) -> tuple[list, list, object]:
    """The batch dimension of every leaf of the arguments, the leaves, and their structure."""
    where = f"vmap({name}, in_dims={in_dims}, ...)(<inputs>)"
    if not isinstance(in_dims, (int, tuple)):
        raise ValueError(
            f"{where}: expected `in_dims` to be int or a (potentially nested) tuple matching the structure of inputs, "
            f"got: {type(in_dims)}."
        )
    if not args:
        raise ValueError(
            f"vmap({name})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are trying to vmap over a "
            "function with no inputs. The latter is unsupported."
        )
    leaves, spec = tree_flatten(args)
    dims = _broadcast_to_and_flatten(in_dims, spec)
    if dims is None:
        raise ValueError(
            f"{where}: in_dims is not compatible with the structure of `inputs`. in_dims has structure "
            f"{tree_flatten(in_dims)[1]} but inputs has structure {spec}."
        )
    for i, (leaf, dim) in enumerate(zip(leaves, dims, strict=True)):
        if dim is None:
            continue
        if not isinstance(dim, int):
            raise ValueError(
                f"{where}: Got in_dim={dim} for an input but in_dim must be either an integer dimension or None."
            )
        if not isinstance(leaf, Tensor):
            raise ValueError(
                f"{where}: Got in_dim={dim} for an input but the input is of type {type(leaf)}. We cannot vmap over "
                "non-Tensor arguments, please use None as the respective in_dim"
            )
        if not -leaf.dim() <= dim < leaf.dim():
            raise ValueError(
                f"{where}: Got in_dim={dim} for some input, but that input is a Tensor of dimensionality {leaf.dim()} so "
                f"expected in_dim to satisfy -{leaf.dim()} <= in_dim < {leaf.dim()}."
            )
        dims[i] = dim % leaf.dim()
    return dims, leaves, spec


def _size(dims: list, leaves: list) -> int:
    """The number of samples."""
    sizes = [t.size(d) for t, d in zip(leaves, dims, strict=True) if d is not None]
    if not sizes:
        raise ValueError("vmap: Expected at least one Tensor to vmap over")
    if any(s != sizes[0] for s in sizes):
        raise ValueError(
            f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sizes} for the mapped "
            "dimension"
        )
    return sizes[0]


def _batched(func, name, dims, leaves, spec, kwargs, randomness, out_dims, start: int, size: int):
    """The results for some of the samples."""
    with Level(size, randomness) as level:
        given = [
            t if d is None else level.batched(_part(t, d, start, size))
            for t, d in zip(leaves, dims, strict=True)
        ]
        args, state = tree_unflatten(given, spec), default_generator.get_state
        before = state() if randomness != "error" else None
        try:
            result = func(*args, **kwargs)
        except SamplesNeeded:
            if before is not None:
                default_generator.set_state(before)
            result = each_sample(level, func, args, kwargs)
        flat, found = tree_flatten(result)
        flat = [
            _finished(t, d, level, name)
            for t, d in zip(flat, _out_dims(name, out_dims, result, found), strict=True)
        ]
        return tree_unflatten(flat, found)


def _part(t: Tensor, dim: int, start: int, size: int) -> Tensor:
    """Samples along dimension 0."""
    t = t.movedim(dim, 0) if dim else t
    return t if size == t.shape[0] else t[start : start + size]


def _out_dims(name: str, out_dims, result, spec) -> list:
    if isinstance(result, Tensor) and isinstance(out_dims, tuple) and len(out_dims) == 1:
        return list(out_dims)
    dims = _broadcast_to_and_flatten(out_dims, spec)
    if dims is None:
        raise ValueError(
            f"vmap({name}, ..., out_dims={out_dims})(<inputs>): out_dims is not compatible with the structure of "
            f"`outputs`. out_dims has structure {tree_flatten(out_dims)[1]} but outputs has structure {spec}."
        )
    return dims


def _finished(t, dim: int | None, level: Level, name: str):
    """A result with its samples along a dimension of its own."""
    own = type(t) is Batched and t._level is level
    if dim is None:
        if own:
            raise ValueError(
                f"vmap({name}, ...): `{name}` can not return a BatchedTensor when out_dim is None"
            )
        return t
    if not isinstance(t, Tensor):
        raise ValueError(
            f"vmap({name}, ...): `{name}` must only return Tensors, got type {type(t)}. Did you mean to set out_dims= to "
            "None for output?"
        )
    value = t._value if own else t.expand(level.size, *t.shape)
    return value.movedim(0, dim) if dim else value


def _joined(parts: list, out_dims):
    """The results of several chunks as one."""
    columns, spec = zip(*[tree_flatten(p)[0] for p in parts], strict=True), tree_flatten(parts[0])[1]
    dims = _broadcast_to_and_flatten(out_dims, spec) or [out_dims[0]]
    return tree_unflatten(
        [c[0] if d is None else cat(c, d) for c, d in zip(columns, dims, strict=True)], spec
    )
