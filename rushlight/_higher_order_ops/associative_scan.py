"""Running results of any associative function along a dimension.

Source: Blelloch, "Prefix Sums and Their Applications" (1990).
"""

from collections.abc import Callable

from rushlight.func import vmap
from rushlight.ops.joining import cat, stack
from rushlight.tensor import Tensor
from rushlight.utils._pytree import tree_flatten, tree_unflatten

__all__ = ["associative_scan"]


def associative_scan(
    combine_fn: Callable, xs, dim: int, reverse: bool = False, combine_mode: str = "pointwise"
):
    """Running results of an associative function: of the first slice, of the first two, of the first three and so on.

    Args:
        combine_fn: from two slices (trees as `xs` is, without `dim`) to their combination.
        xs: a tensor or a tree of tensors of one length along `dim`.
        dim: the dimension, from 0.
        reverse: start at the end.
        combine_mode: "generic"; "pointwise" is for CUDA devices.
    Returns:
        A tree as `xs`, of the same shapes.
    Raises:
        ValueError: `combine_mode` is not "generic", or a leaf has nothing along `dim`.

    >>> import rushlight as torch
    >>> from rushlight._higher_order_ops import associative_scan
    >>> associative_scan(lambda x, y: x * y, torch.tensor([1.0, 2.0, 3.0, 4.0]), 0, combine_mode="generic")
    tensor([ 1.,  2.,  6., 24.])
    """
    leaves, spec = tree_flatten(xs)
    if combine_mode == "pointwise":
        raise ValueError(
            "associative_scan: for combine_mode='pointwise', all input tensors need to be on CUDA. Use 'generic'."
        )
    if combine_mode != "generic":
        raise ValueError(
            f"associative_scan: expected combine_mode 'pointwise' or 'generic', got {combine_mode!r}"
        )
    if not leaves or not all(isinstance(x, Tensor) and x.ndim > dim and x.shape[dim] for x in leaves):
        raise ValueError("associative_scan: expected tensors with at least one element along `dim`")
    leaves = [x.movedim(dim, 0) for x in leaves]
    if reverse:
        leaves = [x.flip(0) for x in leaves]

    def combine(left: list[Tensor], right: list[Tensor]) -> list[Tensor]:
        def flat(left, right):
            return tuple(tree_flatten(combine_fn(tree_unflatten(left, spec), tree_unflatten(right, spec)))[0])

        return list(vmap(flat)(tuple(left), tuple(right)))

    found = _scan(combine, leaves)
    if reverse:
        found = [x.flip(0) for x in found]
    return tree_unflatten([x.movedim(0, dim) for x in found], spec)


def _scan(combine: Callable, xs: list[Tensor]) -> list[Tensor]:
    """Combine neighbours, scan the pairs, which gives every second result, and from these the others."""
    length = len(xs[0])
    if length < 2:
        return xs
    pairs = combine([x[:-1:2] for x in xs], [x[1::2] for x in xs])
    odd = _scan(combine, pairs)
    firsts = [x[:1] for x in xs]
    if length > 2:
        later = combine([x[: (length - 1) // 2] for x in odd], [x[2::2] for x in xs])
        even = [cat([a, b]) for a, b in zip(firsts, later, strict=True)]
    else:
        even = firsts
    return [_interleaved(a, b) for a, b in zip(even, odd, strict=True)]


def _interleaved(even: Tensor, odd: Tensor) -> Tensor:
    count = len(odd)
    both = stack([even[:count], odd], 1).flatten(0, 1)
    return both if len(even) == count else cat([both, even[count:]])
