"""Hooks on saved tensors. While there are any, nodes that save become instances of a subclass that packs.

Without hooks nothing here runs: `Node.saved` is a plain field, which this module replaces by a property for the time
that hooks are there.
"""

import threading
import weakref

from rushlight.autograd.grad_mode import MODE
from rushlight.autograd.node import RELEASED, Node, connect
from rushlight.autograd.saved_names import pack_order
from rushlight.handle import NodeBase
from rushlight.tensor import Tensor


class _Hooks(threading.local):
    disabled: str | None = None

    def __init__(self):
        self.stack: list = []  # (pack, unpack)


HOOKS = _Hooks()
_users = [0]  # how many hooks there are in all threads
_lock = threading.Lock()
_field = NodeBase.__dict__["saved"]


def push(pack, unpack) -> None:
    """From now on, save through these functions."""
    if HOOKS.disabled is not None:
        raise RuntimeError(HOOKS.disabled)
    HOOKS.stack.append((pack, unpack))
    with _lock:
        _users[0] += 1
        if _users[0] == 1:
            Node.saved = property(_read, _write)


def pop() -> None:
    """Undo the last `push`."""
    HOOKS.stack.pop()
    with _lock:
        _users[0] -= 1
        if not _users[0]:
            del Node.saved


def disable(message: str) -> None:
    """Refuse hooks with this message."""
    if HOOKS.stack:
        raise RuntimeError(message)
    HOOKS.disabled = message


if hasattr(_field, "__set__"):  # a field in C

    def _read(node):
        return _field.__get__(node)

    def _store(node, tensors) -> None:
        _field.__set__(node, tensors)

else:

    def _read(node):
        return node.__dict__.get("saved", ())

    def _store(node, tensors) -> None:
        node.__dict__["saved"] = tensors


def _write(node: Node, tensors) -> None:
    if not tensors or tensors is RELEASED or not HOOKS.stack:
        _store(node, tensors)
        return
    node.__class__ = _packing(type(node))
    node.saved = tensors


class Packed:
    """One saved tensor as the hooks keep it, and its place in the graph."""

    def __init__(self, t: Tensor, pack, unpack):
        self.original = weakref.ref(t)
        self.unpack_hook = unpack
        self.leaf = t if t._rg and t._node is None else None
        self.node, self.number = t._node if t._rg else None, t._nr
        version = t._version
        enabled, MODE.enabled = MODE.enabled, False
        try:
            self.kept = pack(t)
        finally:
            MODE.enabled = enabled
        if t._version != version:
            raise RuntimeError(
                "A saved tensor pack hook is modifying its input in place. Tensors provided as input to pack hook can "
                "not be modified by in-place operations as this can lead to unexpected side-effects. Please open an "
                "issue if you need to perform in-place operations on the input to a pack hook."
            )

    def unpack(self) -> Tensor:
        """The tensor again."""
        found = self.unpack_hook(self.kept)
        if not isinstance(found, Tensor):
            raise TypeError(
                f"Output of saved tensor unpack_hook expected to be a Tensor but got result of type {type(found).__name__}"
            )
        found = found.detach()
        if MODE.enabled and self.node is not None:
            found._node, found._nr, found._rg = self.node, self.number, True
        elif MODE.enabled and self.leaf is not None:
            found._node, found._rg = connect(AliasBackward0(), (self.leaf,)), True
        return found


_NO_HOOKS = (lambda t: t.detach(), lambda kept: kept)  # without its node, which would make a cycle


class AliasBackward0(Node):
    """The same tensor under another handle."""

    def backward(self, grad):
        return grad


def packed(t: Tensor):
    """A tensor to keep beside the graph: through the hooks where there are any. `unpack()` gives it back."""
    if HOOKS.stack:
        return Packed(t, *HOOKS.stack[-1])
    return Packed(t, *_NO_HOOKS)


_packing_types: dict[type, type] = {}


def _packing(cls: type) -> type:
    """The subclass of a node type that keeps its tensors packed."""
    if hasattr(cls, "plain_type"):
        return cls
    found = _packing_types.get(cls)
    if found is None:
        methods = {
            "plain_type": cls,
            "unpack": _unpack,
            "release": _release,
            "saved": property(_originals, _pack),
        }
        found = _packing_types[cls] = type(
            cls.__name__, (cls,), {**methods, "__module__": cls.__module__, "__doc__": cls.__doc__}
        )
    return found


def _pack(node, tensors) -> None:
    hooks = HOOKS.stack[-1] if HOOKS.stack else _NO_HOOKS
    node.packed = _in_order(node, tensors, lambda t: Packed(t, *hooks))


def _originals(node) -> tuple:
    """The tensors that were saved, as far as somebody else still holds them."""
    return tuple(None if p is None else p.original() for p in node.packed or ())


def _unpack(node) -> tuple:
    if node.packed is None:
        iter(RELEASED)
    return _in_order(node, node.packed, Packed.unpack)


def _in_order(node, items, function) -> tuple:
    """What a function gives for each item, None for none, called in the order in which PyTorch would."""
    done = [None] * len(items)
    for i in pack_order(type(node).__name__, len(items)):
        if items[i] is not None:
            done[i] = function(items[i])
    return tuple(done)


def _release(node) -> None:
    node.packed = None
    node.plain_type.release(node)
