"""How gradients get their masks.

An operation on masked tensors is done on their data, and one node of the graph stands for it: `MaskedBackward`, which
holds what ordinary autograd recorded, differentiates that, and finds the mask by the kind of the operation:

- "elementwise": the mask that came; the gradients of broadcast operands are sums of what counts.
- "linear": rearranged elements; the mask goes the way of the gradient.
- "whole": reductions, whose gradients count where elements of the input do.

Ordinary nodes know nothing of masks. Those that a masked gradient reaches become instances of a subclass which hands
them the data, with 0 where nothing counts, and gives masks to what they return.
"""

import functools

import numpy as np

from rushlight.autograd import enable_grad
from rushlight.autograd.backward import grad as gradients
from rushlight.autograd.grad_mode import MODE
from rushlight.autograd.node import Node, connect
from rushlight.devices import sparse_csr, strided
from rushlight.dtypes import bool_
from rushlight.masked.maskedtensor.core import MaskedTensor, made, same, values_of, with_values
from rushlight.nested.pointwise import FAMILIES
from rushlight.ops.common import sum_to
from rushlight.ops.comparison import where
from rushlight.ops.creation import ones_like
from rushlight.ops.parts import broadcast_to
from rushlight.tensor import Tensor

MISMATCH = "Input masks must match. If you need support for this, please open an issue on Github."


def data_of(t: Tensor) -> Tensor:
    """The elements of a tensor that may be masked, outside the graph."""
    return (t._masked_data if isinstance(t, MaskedTensor) else t).detach()


def zeroed(data: Tensor, mask: Tensor) -> Tensor:
    """0 where nothing counts."""
    return where(mask, data, data.new_zeros(()))


class MaskedNode(Node):
    """A node whose gradients are masked, and which lets ordinary nodes below it know what to do with them."""

    def masked(self, grad, *inner) -> tuple:
        """The gradients of the inputs."""
        raise NotImplementedError

    def backward(self, grad):
        """The gradients of the inputs; ordinary nodes among these become able to take them."""
        if MODE.enabled:
            raise NotImplementedError(
                "create_graph=True: derivatives of gradients of masked tensors are not recorded; use to_tensor(0) and "
                "ordinary operations"
            )
        if not isinstance(grad, MaskedTensor):
            grad = made(grad, self.mask)
        found = self.masked(grad)
        for target, g in zip(self.edges, found, strict=True):
            if g is not None:
                _admit(target)
        return found


class ConstructorBackward(MaskedNode):
    """What `as_masked_tensor` and `get_data` leave: the gradient passes, with its mask."""

    def masked(self, grad) -> tuple:
        return (grad,)


class GetDataBackward(ConstructorBackward):
    """What `get_data` leaves."""


class LayoutBackward(MaskedNode):
    """Of another layout: the gradient comes back in that of the input."""

    def masked(self, grad) -> tuple:
        return (converted(grad, self.layout),)


class MaskedBackward(MaskedNode):
    """An operation on the data of masked tensors."""

    def masked(self, grad) -> tuple:
        out, *leaves = self.saved
        mask = values_of(grad._masked_mask)
        if self.kind == "elementwise" and self._multiplied() and not same(grad._masked_mask, self.mask):
            raise ValueError(MISMATCH)
        g = zeroed(values_of(grad._masked_data), mask)
        taken = [leaf for leaf in leaves if leaf._rg]
        found = gradients(out, taken, g, retain_graph=True)
        masks = [mask] * len(taken)
        if self.kind == "linear":
            masks = [m != 0 for m in gradients(out, taken, mask.to(g.dtype), retain_graph=True)]
        results = iter(zip(found, masks, strict=True))
        return tuple(self._one(i, *next(results)) if leaf._rg else None for i, leaf in enumerate(leaves))

    def _multiplied(self) -> bool:
        """Whether a wanted gradient is one that came, combined with masked data; then both masks must match."""
        out, *leaves = self.saved
        kept = [t._array for t in out._node.saved if isinstance(t, Tensor)]
        masked = [i for i, (mask, _) in enumerate(self.operands) if mask is not None]
        if len(leaves) == 1:
            return any(np.may_share_memory(a, t._array) for a in kept for t in (out, leaves[0]))
        return bool(kept) and any(leaf._rg and masked != [i] for i, leaf in enumerate(leaves))

    def _one(self, i: int, g: Tensor, mask: Tensor) -> MaskedTensor:
        operand_mask, shape = self.operands[i]
        if self.kind == "whole":
            return made(with_values(operand_mask, g), operand_mask)
        if g.shape != shape and operand_mask is None:
            return made(sum_to(zeroed(g, mask), shape), sum_to(mask.long(), shape) > 0)
        like = self.mask if operand_mask is None else operand_mask
        return made(with_values(like, g), with_values(like, mask))


@functools.cache
def _named(kind: type, name: str) -> type:
    """A class of nodes that says the name of what it stands for."""
    return type(name, (kind,), {"__doc__": kind.__doc__})


def record(function, operands: list, mask: Tensor, kind: str) -> MaskedTensor:
    """The result of an operation on the elements of tensors, at least one of them masked.

    Args:
        function: the operation, on ordinary tensors.
        operands: its tensors.
        mask: that of the result.
        kind: how its gradients get their masks; see above.
    """
    values = [values_of(data_of(t)) for t in operands]
    like = mask if kind == "elementwise" else values_of(mask)
    if not (MODE.enabled and any(t._rg for t in operands)):
        return made(with_values(like, function(*values)), mask)
    size = np.broadcast_shapes(*(tuple(v.shape) for v in values)) if kind == "elementwise" else None
    leaves = []
    for t, v in zip(operands, values, strict=True):
        if kind == "whole":
            v = zeroed(v, values_of(t._masked_mask))  # so that a NaN where nothing counts does not come back
        elif size is not None and tuple(v.shape) != size and t._rg:
            v = broadcast_to(v, size).detach()  # summed by ourselves, only what counts
        leaves.append(v.requires_grad_() if t._rg else v)
    with enable_grad():
        out = function(*leaves)
    result = made(with_values(like, out.detach()), mask)
    if out._rg:
        node = _named(MaskedBackward, type(out._node).__name__)()
        node.kind, node.mask, node.saved = kind, mask, (out, *leaves)
        node.operands = [
            (t._masked_mask, None) if isinstance(t, MaskedTensor) else (None, t.shape) for t in operands
        ]
        _join(result, node, operands)
    return result


def _join(result: Tensor, node: Node, inputs) -> Tensor:
    connect(node, [t if t._rg else None for t in inputs])
    result._node, result._rg = node, True
    return result


def joined(result: MaskedTensor, data: Tensor) -> MaskedTensor:
    """A masked tensor on other data through which gradients flow to these."""
    if not (data._rg and MODE.enabled):
        return result
    node = ConstructorBackward()
    node.mask = result._masked_mask
    return _join(result, node, (data,))


def unmasked(mt: MaskedTensor) -> Tensor:
    """The data of a masked tensor, whose gradient becomes one with its mask."""
    data = mt._masked_data.detach()
    if mt._rg and MODE.enabled:
        node = GetDataBackward()
        node.mask = mt._masked_mask
        _join(data, node, (mt,))
    return data


def converted(mt: MaskedTensor, layout) -> MaskedTensor:
    """The same in another layout, outside the graph; sparse, it has the places where elements count."""
    if mt.layout is layout:
        return mt
    data, mask = mt._masked_data, mt._masked_mask
    if mt.is_sparse:
        data, mask = data.to_dense(), mask.to_dense()
    if layout is not strided:
        mask = mask.to_sparse().coalesce()
        data = data.detach().sparse_mask(mask)
    return made(data.to_sparse_csr(), mask.to_sparse_csr()) if layout is sparse_csr else made(data, mask)


def to_layout(mt: MaskedTensor, layout) -> MaskedTensor:
    """The same in another layout, with gradients."""
    result = converted(mt, layout)
    if mt._rg and MODE.enabled and result is not mt:
        node = LayoutBackward()
        node.mask, node.layout = result._masked_mask, mt.layout
        _join(result, node, (mt,))
    return result


# -- ordinary nodes --------------------------------------------------------------------------------


def _admit(target) -> None:
    """Make a node take masked gradients; leaves do anyway."""
    if target.is_node and not isinstance(target, MaskedNode) and not hasattr(target, "takes_masks"):
        target.__class__ = _tolerant(type(target))


@functools.cache
def _tolerant(kind: type) -> type:
    """The class of nodes that does as another, and knows masks."""

    def backward(self, *grads):
        if not any(isinstance(g, MaskedTensor) for g in grads):
            return kind.backward(self, *grads)
        masks = [_mask_in(g) for g in grads]
        plain = [g if m is None else zeroed(data_of(g), m) for g, m in zip(grads, masks, strict=True)]
        found = _tuple(kind.backward(self, *plain))
        pairs = zip(found, _masks(kind, self, plain, masks, found), strict=True)
        for target, g in zip(self.edges, found, strict=False):
            if g is not None and target is not None:
                _admit(target)
        return tuple(None if g is None else made(g, m) for g, m in pairs)

    return type(kind.__name__, (kind,), {"backward": backward, "takes_masks": True, "__doc__": kind.__doc__})


def _mask_in(grad):
    if grad is None:
        return None
    return grad._masked_mask if isinstance(grad, MaskedTensor) else ones_like(grad, dtype=bool_)


def _masks(kind: type, node: Node, grads: list, masks: list, found: tuple) -> list:
    """The masks of what an ordinary node returned.

    Where each element is treated by itself, a gradient counts where those count that it is the sum of; elsewhere the
    mask goes the way of the gradient.
    """
    smaller = all(g is None or g.numel() <= masks[0].numel() for g in found)  # not so for glu
    if smaller and kind.__module__.removeprefix("rushlight.ops.") in FAMILIES:
        counts = masks[0].long()
        return [None if g is None else sum_to(counts, tuple(g.shape)) > 0 for g in found]
    ways = [None if m is None else m.to(g.dtype) for g, m in zip(grads, masks, strict=True)]
    return [None if m is None else m != 0 for m in _tuple(kind.backward(node, *ways))]


def _tuple(results) -> tuple:
    return results if isinstance(results, tuple) else (results,)
