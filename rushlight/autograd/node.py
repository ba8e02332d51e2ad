"""Nodes of the recorded graph: what a gradient function keeps, and how it gets it back.

An op's gradient function is a subclass of `Node` that stands beside the op. Its `edges` say where the
gradients of the op's inputs go: to the node that made the input, to the input itself where that is a
leaf, or nowhere (None).
"""

from functools import cache
from itertools import count

from rushlight.autograd.grad_mode import MODE
from rushlight.autograd.saved_names import saved_attributes
from rushlight.handle import NodeBase, connect, edge, tick

__all__ = ["RELEASED", "AccumulateGrad", "Handle", "Node", "connect", "edge", "shown_as", "tick"]


class _Released:
    """Stands where saved tensors were, once a backward pass has used and dropped them."""

    def __iter__(self):
        raise RuntimeError(
            "Trying to backward through the graph a second time (or directly access saved tensors after they have "
            "already been freed). Saved intermediate values of the graph are freed when you call .backward() or "
            "autograd.grad(). Specify retain_graph=True if you need to backward through the graph a second time or if "
            "you need to access saved tensors after calling backward."
        )

    def __getitem__(self, index):
        return iter(self)


RELEASED = _Released()

_QUALIFIED = ("AccumulateGrad", "CopyBackwards", "CopySlices")


class Node(NodeBase):
    """A gradient function in the recorded graph: what PyTorch calls `grad_fn`.

    A subclass implements `backward(grad)`, which returns one gradient per edge (None for none); a node
    with several outputs gets one gradient (or None) per output.
    """

    # Defaults live on the class, so that recording an op writes only what differs.
    is_node = True
    outputs = 1
    pre_hooks = None
    post_hooks = None
    traceback = None
    metadata_dict = None

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        for name, attribute in saved_attributes(cls.__name__).items():
            setattr(cls, name, attribute)

    def backward(self, *grads):
        """The gradients of the inputs from those of the outputs."""
        raise NotImplementedError(f"{self.name()} has no backward")

    def save(self, *tensors) -> None:
        """Keep inputs for the backward pass, with the versions they have now."""
        self.saved = tensors
        for t in tensors:
            if t is not None and t._vc is not None:
                self.versions = tuple([0 if t is None or t._vc is None else t._vc[0] for t in tensors])
                return

    def save_output(self, output, *tensors) -> None:
        """Keep this node's (first) output, without making a cycle, and further tensors."""
        self.save(output._share(), *tensors)

    def unpack(self) -> tuple:
        """The saved tensors; RuntimeError where one was changed in place since, or all were freed."""
        for t in self.saved:
            if t is not None and t._vc is not None:
                self._check_versions()
                break
        return self.saved

    def _check_versions(self) -> None:
        versions = self.versions
        for i, t in enumerate(self.saved):
            if t is not None and t._vc is not None:
                expected = 0 if versions is None else versions[i]
                if t._vc[0] != expected:
                    raise RuntimeError(_modified_message(t, t._vc[0], expected, self))

    def unpack_output(self):
        """The saved output, joined to this node again where its gradient may be wanted."""
        return self.unpack_with_output()[0]

    def unpack_with_output(self) -> tuple:
        """The same and what was saved beside it, each unpacked once."""
        shared, *others = self.unpack()
        if not MODE.enabled:
            return shared, *others
        output = shared._share()
        output._node, output._rg = self, True
        return output, *others

    def release(self) -> None:
        """Drop what was saved, after a backward pass that does not retain the graph."""
        if self.saved:
            self.saved = RELEASED

    @property
    def next_functions(self) -> tuple:
        """The (node, output number) pairs that the gradients go to, leaves as AccumulateGrad."""
        numbers = self.edge_outputs or (0,) * len(self.edges)
        return tuple(
            (None, 0) if e is None else (e if e.is_node else AccumulateGrad(e), n)
            for e, n in zip(self.edges, numbers, strict=True)
        )

    @property
    def metadata(self) -> dict:
        """A dictionary for the user's own notes on this node."""
        if self.metadata_dict is None:
            self.metadata_dict = {}
        return self.metadata_dict

    def name(self) -> str:
        """The name of this kind of node; a few have PyTorch's namespace in front."""
        name = type(self).__name__
        return f"torch::autograd::{name}" if name in _QUALIFIED else name

    def register_hook(self, hook):
        """Call `hook(grad_inputs, grad_outputs)` after each backward of this node; returns a handle."""
        if self.post_hooks is None:
            self.post_hooks = {}
        return Handle(self.post_hooks, hook)

    def register_prehook(self, hook):
        """Call `hook(grad_outputs)` before each backward of this node; returns a handle."""
        if self.pre_hooks is None:
            self.pre_hooks = {}
        return Handle(self.pre_hooks, hook)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object at {hex(id(self))}>"


class Handle:
    """Removes a hook: by `remove()`, or at the end of a `with` block."""

    _ids = count()

    def __init__(self, hooks: dict, hook):
        self.id = next(Handle._ids)
        self._hooks = hooks
        hooks[self.id] = hook

    def remove(self) -> None:
        """Take the hook off; harmless when it is off already."""
        self._hooks.pop(self.id, None)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.remove()


class Step(Node):
    """A node that PyTorch has and we need not, for code that walks the graph: `Step.named("TBackward0", (node, 0))`."""

    def __init__(self, *following):
        self._following = following

    @property
    def next_functions(self) -> tuple:
        """The nodes behind it."""
        return self._following

    @staticmethod
    def named(name: str, *following) -> tuple:
        """The step of this name and 0, as `next_functions` gives them; where it leads nowhere, nowhere."""
        if all(node is None for node, _ in following):
            return None, 0
        return _renamed(Step, name)(*following), 0


class AccumulateGrad(Node):
    """Where a leaf's gradient arrives, for code that walks the graph."""

    def __init__(self, variable):
        self.variable = variable

    def __eq__(self, other):
        return isinstance(other, AccumulateGrad) and self.variable is other.variable

    def __hash__(self):
        return id(self.variable)


@cache
def _renamed(kind: type[Node], name: str) -> type[Node]:
    return type(name, (kind,), {})


def shown_as(name: str, result):
    """A fresh result of several ops whose node has the name of the one node that PyTorch has for all of them."""
    node = result._node
    if node is not None:
        node.__class__ = _renamed(type(node), name)
    return result


def _modified_message(t, version, expected, node) -> str:
    from rushlight.dtypes import SCALAR_NAMES

    shape = ", ".join(map(str, t._array.shape))
    return (
        "one of the variables needed for gradient computation has been modified by an inplace operation: "
        f"[torch.{SCALAR_NAMES[t.dtype]}Tensor [{shape}]], which {node.name()} saved, is at version {version}; "
        f"expected version {expected} instead. Hint: use the out-of-place form of the operation, or clone() the "
        "tensor before it; torch.autograd.set_detect_anomaly(True) shows where the gradient is needed."
    )
