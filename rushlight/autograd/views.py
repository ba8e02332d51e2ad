"""In-place operations in the recorded graph, on tensors and on views of them."""

import numpy as np

from rushlight.autograd.grad_mode import MODE
from rushlight.autograd.node import Node, edge, tick
from rushlight.dtypes import SCALAR_NAMES, can_cast
from rushlight.kernels.reference.layout import c_order
from rushlight.tensor import Tensor, wrap


def view_of(x: Tensor, array: np.ndarray) -> Tensor:
    """A tensor on part of the memory of `x`, which `array` shows; outside the graph so far.

    Like PyTorch's, a view made under no_grad of a tensor that requires grad says that it requires grad too.
    """
    view = wrap(array)
    view._vc = x._counter()
    view._base = base = x if x._base is None else x._base
    view._seen_node = base._node
    if x._rg and not MODE.enabled and array.dtype == x._array.dtype:
        view._rg = True
    return view


def check_writable(t: Tensor) -> None:
    """Refuse an in-place operation that autograd or aliasing forbids."""
    if t._rg and MODE.enabled:
        if t._node is None:
            raise RuntimeError(
                "a leaf Variable that requires grad is being used in an in-place operation. Wrap the update in "
                "torch.no_grad(), or use the out-of-place form."
            )
        if t._base is not None and t._base._node is None and t._base._rg:
            raise RuntimeError(
                "a view of a leaf Variable that requires grad is being used in an in-place operation. Wrap the "
                "update in torch.no_grad(), or clone() the leaf first."
            )
    a = t._array
    if 0 in a.strides and a.size and any(s == 0 and n > 1 for s, n in zip(a.strides, a.shape, strict=True)):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory "
            "location. Please clone() the tensor before performing the operation."
        )


def before(t: Tensor) -> Tensor:
    """The tensor with the history that it has now, for an operation that is about to overwrite it."""
    if not (t._rg and MODE.enabled):
        return t
    edge(t)  # brings a view up to date
    old = t._share()
    old._node, old._nr, old._rg = t._node, t._nr, True
    return old


def keep_old_value(node: Node, old: Tensor) -> Node:
    """Where a node saved the tensor that is about to be overwritten, let it keep a copy."""
    if any(saved is old for saved in node.saved):
        copy = wrap(old._array.copy(order="K"))
        copy._node, copy._nr, copy._rg = old._node, old._nr, old._rg
        node.save(*[copy if saved is old else saved for saved in node.saved])
    return node


def after(t: Tensor, node: Node | None, number: int = 0) -> Tensor:
    """Note that `t` was overwritten, and give it its new history."""
    t._bump()
    return place(t, node, number)


def place(t: Tensor, node: Node | None, number: int = 0) -> Tensor:
    """Give `t`, just overwritten, its new history: `node`, whose first edge leads to the old one."""
    if node is None:
        return t
    if t._base is None:
        t._node, t._nr, t._rg = node, number, True
        return t
    base = t._base
    base._node, base._nr, base._rg = CopySlices(base, t, node, number), 0, True
    rejoin(t)
    return t


def assign(t: Tensor, result: Tensor, name: str = "in-place operation") -> Tensor:
    """Write `result`, computed from `before(t)`, into `t`."""
    if result._array.shape != t._array.shape:
        raise RuntimeError(
            f"output with shape {list(t.shape)} doesn't match the broadcast shape {list(result.shape)} ({name})"
        )
    if result._array.dtype != t._array.dtype:
        if not can_cast(result.dtype, t.dtype):
            raise RuntimeError(
                f"result type {SCALAR_NAMES[result.dtype]} can't be cast to the desired output type "
                f"{SCALAR_NAMES[t.dtype]} ({name})"
            )
        result = result.to(t.dtype)
    np.copyto(t._array, result._array)
    return after(t, result._node if result._rg and MODE.enabled else None, result._nr)


def old_values(t: Tensor, *arguments) -> Tensor:
    """`before(t)`, with values that survive where the operation is recorded and its nodes may save them.

    Args:
        t: what is about to be overwritten.
        arguments: what else the operation is given.
    """
    old = before(t)
    if old is not t:
        old._array, old._vc = old._array.copy(order="K"), None
    elif MODE.enabled and any(isinstance(a, Tensor) and a._rg for a in arguments):
        return wrap(t._array.copy(order="K"))
    return old


def inplace(function, name: str):
    """The in-place form of an op whose first argument is the tensor to change."""

    def method(self, *args, **kwargs):
        check_writable(self)
        old = old_values(self, *args, *kwargs.values())
        return assign(self, function(old, *args, **kwargs), name)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = (
        f"In-place form of `{function.__name__}`: writes the result into this tensor and returns it."
    )
    return method


def _index_in(base: Tensor, view: Tensor) -> np.ndarray:
    """Where each element of the view lies in the base, as positions in the base's own order."""
    array = base._array
    positions = np.empty_like(array, dtype=np.int64, subok=False)
    positions[...] = np.arange(array.size).reshape(array.shape)
    offset = view._array.__array_interface__["data"][0] - array.__array_interface__["data"][0]
    lowest = (
        np.lib.stride_tricks.as_strided(positions, (max(array.size, 1),), (8,))
        if array.size
        else positions.ravel()
    )
    strides = tuple(s // array.itemsize * 8 for s in view._array.strides)
    return np.lib.stride_tricks.as_strided(lowest[offset // array.itemsize :], view._array.shape, strides)


def rejoin(view: Tensor) -> None:
    """Give a view whose base was changed in place its place in the base's new graph."""
    base = view._base
    view._seen_node = base._node
    if not base._rg:
        return
    node = AsStridedBackward0()
    node.seq, node.edges = tick(), (base._node or base,)
    if base._nr:
        node.edge_outputs = (base._nr,)
    node.shape, node.index = base._array.shape, wrap(c_order(_index_in(base, view)))
    view._node, view._nr, view._rg = node, 0, True


class AsStridedBackward0(Node):
    """A view given by where its elements lie in its base."""

    def backward(self, grad):
        zeros = grad.new_zeros(int(np.prod(self.shape)))
        return zeros.index_add(0, self.index.reshape(-1), grad.reshape(-1)).reshape(self.shape)


class CopySlices(Node):
    """A tensor after an in-place operation on a view of it."""

    def __init__(self, base: Tensor, view: Tensor, inner: Node, number: int):
        self.inner, self.number = inner, number
        self.index = wrap(c_order(_index_in(base, view)))
        self.seq = tick()
        self.edges = (edge(base), *inner.edges[1:])
        numbers = (base._nr, *(inner.edge_outputs or (0,) * len(inner.edges))[1:])
        self.edge_outputs = numbers if any(numbers) else None

    def backward(self, grad):
        flat = grad.reshape(-1)
        index = self.index.reshape(-1)
        part = flat.index_select(0, index).reshape(self.index.shape)
        if self.inner.outputs > 1:
            parts = [None] * self.inner.outputs
            parts[self.number] = part
            results = self.inner.backward(*parts)
        else:
            results = self.inner.backward(part)
        results = results if isinstance(results, tuple) else (results,)
        first = results[0] if results[0] is not None else part.new_zeros(part.shape)
        kept = flat.index_copy(0, index, first.reshape(-1)).reshape(grad.shape)
        return kept, *results[1:]

    def release(self):
        self.inner.release()
