"""`vmap`: a function of one sample as a function of a batch.

The function is called once per sample, so it may do anything that it may do outside: look at values, branch, draw
random numbers, differentiate.
"""

import contextlib
import functools

import numpy as np

from rushlight.autograd.grad_mode import MODE
from rushlight.ops.joining import stack
from rushlight.random import default_generator
from rushlight.tensor import Tensor, wrap
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
        chunk_size: how many samples PyTorch computes together; here they are computed one by one.
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
        return _Loop(func, name, dims, leaves, spec, kwargs, randomness).run(out_dims)

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


@contextlib.contextmanager
def random_refused(refused: bool = True):
    """Raise RuntimeError at the end of a `with` block that drew random numbers from the default generator."""
    if not refused:
        yield
        return
    state = default_generator.get_state()
    yield
    if not np.array_equal(default_generator.get_state()._array, state._array):
        default_generator.set_state(state)
        raise RuntimeError(
            "vmap: called random operation while in randomness error mode. Please either use the 'same' or 'different' "
            "randomness flags on vmap or perform the randomness operation out of vmap"
        )


@contextlib.contextmanager
def _graphs_kept(kept: bool):
    """Backward passes leave graphs as they are, as there is one more sample to come that may need them."""
    outer = MODE.keeps_graphs
    MODE.keeps_graphs = outer or kept
    try:
        yield
    finally:
        MODE.keeps_graphs = outer


class _Loop:
    """One call of a function per sample."""

    def __init__(self, func, name, dims, leaves, spec, kwargs, randomness):
        self.func, self.name, self.spec, self.randomness = func, name, spec, randomness
        self.leaves, self.dims, self.kwargs = leaves, dims, kwargs
        sizes = [t.size(d) for t, d in zip(leaves, dims, strict=True) if d is not None]
        if not sizes:
            raise ValueError("vmap: Expected at least one Tensor to vmap over")
        if any(s != sizes[0] for s in sizes):
            raise ValueError(
                "vmap: Expected all tensors to have the same size in the mapped dimension, got sizes "
                f"{sizes} for the mapped dimension"
            )
        self.size = sizes[0]

    def run(self, out_dims):
        """The stacked results of all samples."""
        empty = self.size == 0
        parts = [self._samples(t, d, empty) for t, d in zip(self.leaves, self.dims, strict=True)]
        results, spec = [], None
        state = default_generator.get_state() if self.randomness == "same" else None
        with random_refused(self.randomness == "error"):
            for i in range(max(self.size, 1)):
                if i and state is not None:
                    default_generator.set_state(state)
                with _graphs_kept(i + 1 < self.size):
                    result = self.func(*tree_unflatten([p[i] for p in parts], self.spec), **self.kwargs)
                flat, found = tree_flatten(result)
                if spec is not None and found != spec:
                    raise ValueError(
                        f"vmap({self.name}, ...): `{self.name}` returned results of different structures for different "
                        f"samples: {spec} and {found}"
                    )
                spec = found
                results.append(flat)
        dims = self._out_dims(out_dims, result, spec)
        columns = zip(*results, strict=True)
        return tree_unflatten([self._stacked(c, d) for c, d in zip(columns, dims, strict=True)], spec)

    def _samples(self, t, dim, empty: bool):
        if dim is None:
            return [t] * max(self.size, 1)
        if empty:  # one run on zeros says what the results would look like
            shape = [n for i, n in enumerate(t.shape) if i != dim]
            return [wrap(np.zeros(shape, t._array.dtype))]
        return t.unbind(dim)

    def _out_dims(self, out_dims, result, spec) -> list:
        if isinstance(result, Tensor) and isinstance(out_dims, tuple) and len(out_dims) == 1:
            return list(out_dims)
        dims = _broadcast_to_and_flatten(out_dims, spec)
        if dims is None:
            raise ValueError(
                f"vmap({self.name}, ..., out_dims={out_dims})(<inputs>): out_dims is not compatible with the structure "
                f"of `outputs`. out_dims has structure {tree_flatten(out_dims)[1]} but outputs has structure {spec}."
            )
        return dims

    def _stacked(self, column: tuple, dim):
        first = column[0]
        if dim is None:
            return first
        if not isinstance(first, Tensor):
            raise ValueError(
                f"vmap({self.name}, ...): `{self.name}` must only return Tensors, got type {type(first)}. Did you mean "
                "to set out_dims= to None for output?"
            )
        if self.size == 0:
            shape = list(first.shape)
            shape.insert(dim % (first.dim() + 1), 0)
            return wrap(np.zeros(shape, first._array.dtype))
        return stack(column, dim)
