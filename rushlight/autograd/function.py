"""Operations with a gradient of the user's own: `Function`, and the one-shot forms around it."""

import contextlib
import functools
import threading
import warnings
import weakref

import numpy as np

from rushlight.autograd.grad_mode import MODE, enable_grad, no_grad
from rushlight.autograd.node import Node, connect
from rushlight.autograd.views import check_writable, place
from rushlight.dtypes import from_numpy_dtype
from rushlight.tensor import Tensor, wrap


class _Forward(threading.local):
    """Whether this thread asks for directional derivatives, which it gets by going backwards twice."""

    on: bool = False


_FORWARD = _Forward()


@contextlib.contextmanager
def forward_mode():
    """A block in which a `Function` that has `jvp` is differentiated by it."""
    before, _FORWARD.on = _FORWARD.on, True
    try:
        yield
    finally:
        _FORWARD.on = before


class FunctionCtx:
    """What `forward` and `backward` of a `Function` share. Other attributes are the user's."""

    _to_save: tuple | None = None
    _saved_for_forward: tuple = ()
    _in_jvp = False
    _non_differentiable: tuple = ()
    _dirty: tuple = ()
    _materialize = True
    needs_input_grad: tuple = ()

    def __init__(self, node):
        self._owner = weakref.ref(node)  # the node holds this, so a plain reference would make a cycle

    def save_for_backward(self, *tensors) -> None:
        """Keep tensors for `backward`, where they are `ctx.saved_tensors`.

        Raises:
            TypeError: one of them is not a tensor (keep other things as attributes of ctx).
        """
        for t in tensors:
            if t is not None and not isinstance(t, Tensor):
                raise TypeError(
                    f"save_for_backward can only save variables, but argument is of type {type(t).__name__}; keep "
                    "other things as attributes of ctx"
                )
        self._to_save = tensors

    def save_for_forward(self, *tensors) -> None:
        """Keep tensors for `jvp`, where they are `ctx.saved_tensors`."""
        self._saved_for_forward = tensors

    @property
    def saved_tensors(self) -> tuple:
        """What `save_for_backward` kept; in `jvp` what `save_for_forward` did."""
        if self._in_jvp:
            return self._saved_for_forward
        return self._owner().saved_tensors

    def mark_non_differentiable(self, *tensors) -> None:
        """Say which outputs have no gradient."""
        self._non_differentiable = tensors

    def mark_dirty(self, *tensors) -> None:
        """Say which inputs `forward` changed in place."""
        self._dirty = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether `backward` gets zeros (True, the default) or None for outputs that nothing depends on."""
        self._materialize = value


class FunctionNode(Node):
    """The node of a `Function` in the graph; attributes of its ctx can be read on it."""

    saved_numbers: tuple = ()  # for each saved tensor: which output it is, or None
    linear: tuple | None = None  # tangents, and what jvp made of them

    def __getattr__(self, name):
        if name == "ctx":
            raise AttributeError(name)
        return getattr(self.ctx, name)

    @property
    def saved_tensors(self) -> tuple:
        """What `save_for_backward` kept."""
        if self.ctx._to_save is not None:
            return tuple(self.ctx._to_save)  # asked for during forward
        saved = self.unpack()
        return tuple(
            t if number is None or not MODE.enabled else self._rejoined(t, number)
            for t, number in zip(saved, self.saved_numbers, strict=True)
        )

    def _rejoined(self, output: Tensor, number: int) -> Tensor:
        output = output._share()
        output._node, output._nr, output._rg = self, number, True
        return output

    def backward(self, *grads):
        if self.ctx._materialize:
            grads = [
                wrap(np.zeros(shape, kind)) if g is None else g
                for g, (shape, kind) in zip(grads, self.output_specs, strict=True)
            ]
        function = self.function
        if _FORWARD.on and function.jvp is not Function.jvp:
            return self._transposed_jvp(grads)
        if function.backward is Function.backward:
            function.backward = staticmethod(function.vjp)
        results = function.backward(self.ctx, *grads)
        if not isinstance(results, tuple):
            results = (results,)
        expected = len(self.input_specs)
        if len(results) < expected or any(r is not None for r in results[expected:]):
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of gradients (expected {expected}, got {len(results)})"
            )
        return tuple(
            None if spec is None else self._checked(results[i], *spec, i)
            for i, spec in enumerate(self.input_specs)
        )

    def _transposed_jvp(self, grads) -> tuple:
        """The gradients of the inputs by `jvp`: it is linear in the tangents, and its derivative by them is its transpose."""
        from rushlight.autograd.backward import grad

        if self.linear is None:
            self.linear = self._linear()
        tangents, outputs = self.linear
        moving = [
            (o, g)
            for o, g in zip(outputs, grads, strict=True)
            if isinstance(o, Tensor) and o._rg and g is not None
        ]
        wanted = [t for t, spec in zip(tangents, self.input_specs, strict=True) if spec is not None]
        if not moving:
            return (None,) * len(tangents)
        outputs, grads = zip(*moving, strict=True)
        found = iter(grad(outputs, wanted, grads, create_graph=True, allow_unused=True))
        return tuple(None if spec is None else next(found) for spec in self.input_specs)

    def _linear(self) -> tuple[list, tuple]:
        """Tangents of the inputs, and what `jvp` makes of them; it may be called once only."""
        ctx = self.ctx
        tangents = [None if spec is None else wrap(np.zeros(*spec)) for spec in self.tensor_specs]
        for tangent, spec in zip(tangents, self.input_specs, strict=True):
            if spec is not None:
                tangent.requires_grad_()
        ctx._in_jvp = True
        try:
            with enable_grad():
                outputs = self.function.jvp(ctx, *tangents)
        finally:
            ctx._in_jvp = False
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        if len(outputs) != self.outputs:
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of forward gradients (expected {self.outputs}, "
                f"got {len(outputs)})"
            )
        for i, (out, (shape, _)) in enumerate(zip(outputs, self.output_specs, strict=True)):
            if isinstance(out, Tensor) and out._array.shape != shape:
                raise RuntimeError(
                    f"{self.function.__name__}.jvp: forward gradient {i} has the shape {list(out.shape)}, expected "
                    f"{list(shape)}, that of the output"
                )
        return tangents, outputs

    def _checked(self, grad, shape, kind, i):
        """A gradient as the input's: of its type, and summed to its shape where it broadcasts from it."""
        if grad is None:
            return None
        if not isinstance(grad, Tensor):
            raise TypeError(
                f"function {self.name()} returned a {type(grad).__name__} as gradient {i}, expected a Tensor"
            )
        if grad._array.shape != shape:
            from rushlight.ops.common import sum_to

            try:
                if np.broadcast_shapes(grad._array.shape, shape) != grad._array.shape:
                    raise ValueError
            except ValueError:
                raise RuntimeError(
                    f"Function {self.name()} returned an invalid gradient at index {i} - got {list(grad.shape)} but "
                    f"expected shape compatible with {list(shape)}"
                ) from None
            grad = sum_to(grad, shape)
        return grad if grad._array.dtype == kind else grad.to(from_numpy_dtype(kind))


class Function:
    """An operation with its own gradient: subclass it, write `forward` and `backward`, and call `apply`.

    `forward(ctx, *args)` computes the result (or `forward(*args)` with `setup_context(ctx, inputs, output)`);
    `backward(ctx, *grads)` returns one gradient per argument of `forward`, None where there is none.

    >>> import rushlight as torch
    >>> class Double(torch.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return x * 2
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         return grad * 2
    >>> x = torch.ones(2, requires_grad=True)
    >>> Double.apply(x).sum().backward()
    >>> x.grad
    tensor([2., 2.])
    """

    def __init__(self, *args, **kwargs):
        warnings.warn(
            f"{type(self)} should not be instantiated. Methods on autograd functions are all static, so you should "
            "invoke them on the class itself. Instantiating an autograd function will raise an error in a future "
            "version of PyTorch.",
            DeprecationWarning,
            stacklevel=2,
        )

    def __call__(self, *args, **kwargs):
        raise RuntimeError(
            "Legacy autograd function with non-static forward method is deprecated. Please use new-style autograd "
            f"function with static forward method: {type(self).__name__}.apply(...)"
        )

    @staticmethod
    def forward(*args, **kwargs):
        """Compute the result; to be written by the subclass."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Keep what `backward` needs, where `forward` takes no ctx; to be written by the subclass."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx, *grads):
        """Compute the gradients of the inputs; to be written by the subclass."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with "
            "backward mode AD."
        )

    @staticmethod
    def vjp(ctx, *grads):
        """Another name of `backward`; a subclass writes one of the two."""
        return Function.backward(ctx, *grads)

    @staticmethod
    def jvp(ctx, *tangents):
        """The tangents of the outputs for those of the inputs, for `autograd.forward_ad` and `func.jvp`. Without it these
        differentiate `backward`."""
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with forward mode AD."
        )

    @classmethod
    def _node_type(cls) -> type[FunctionNode]:
        found = cls.__dict__.get("_node_class")
        if found is None:
            found = cls._node_class = type(cls.__name__ + "Backward", (FunctionNode,), {"function": cls})
        return found

    @classmethod
    def apply(cls, *args, **kwargs):
        """Run `forward` and record it with `backward` as its gradient."""
        node = cls._node_type()()
        ctx = node.ctx = FunctionCtx(node)
        tensors = [a if isinstance(a, Tensor) else None for a in args]
        ctx.needs_input_grad = tuple(t is not None and t._rg for t in tensors)
        recorded = MODE.enabled and any(ctx.needs_input_grad)
        if recorded:
            connect(node, tensors)
        with no_grad():
            if cls.setup_context is Function.setup_context:
                result = cls.forward(ctx, *args, **kwargs)
            else:
                result = cls.forward(*args, **kwargs)
                cls.setup_context(ctx, args, result)
        if not recorded:
            for t in ctx._dirty:
                t._bump()
            return result
        outputs = _record_outputs(node, tensors, result if isinstance(result, tuple) else (result,))
        return outputs if isinstance(result, tuple) else outputs[0]


class InplaceFunction(Function):
    """The base of old operations that may write their input; `Function` with `ctx.mark_dirty` does it now.

    Args:
        inplace: whether the input is written.
    """

    def __init__(self, inplace: bool = False):
        super().__init__()
        self.inplace = inplace


def _record_outputs(node: FunctionNode, inputs, outputs) -> tuple:
    """Give the outputs of `forward` their place in the graph, and save what `save_for_backward` named."""
    ctx = node.ctx
    node.outputs = len(outputs)
    node.input_specs = [None if t is None or not t._rg else (t._array.shape, t._array.dtype) for t in inputs]
    if node.function.jvp is not Function.jvp:
        node.tensor_specs = [None if t is None else (t._array.shape, t._array.dtype) for t in inputs]
    node.output_specs = [
        (o._array.shape, o._array.dtype) if isinstance(o, Tensor) else ((), np.float32) for o in outputs
    ]
    joined = [
        _record_output(node, i, out, inputs) if isinstance(out, Tensor) else out
        for i, out in enumerate(outputs)
    ]
    saved, ctx._to_save = ctx._to_save or (), None
    node.saved_numbers = tuple(next((i for i, o in enumerate(joined) if o is t), None) for t in saved)
    node.save(*[t if n is None else t._share() for t, n in zip(saved, node.saved_numbers, strict=True)])
    return tuple(joined)


def _record_output(node: FunctionNode, i: int, out: Tensor, inputs) -> Tensor:
    ctx = node.ctx
    dirty = any(out is t for t in ctx._dirty)
    if dirty:
        check_writable(out)
        out._bump()
    elif any(out is t for t in inputs):
        out = out._share()  # an input returned as it is
    if out._array.dtype.kind not in "fcV" or any(out is t for t in ctx._non_differentiable):
        return out
    if dirty:
        return place(out, node, i)
    out._node, out._nr, out._rg = node, i, True
    return out


def once_differentiable(backward):
    """Decorator of a `backward` that cannot itself be differentiated: trying raises RuntimeError."""

    @functools.wraps(backward)
    def decorated(ctx, *grads):
        recording = MODE.enabled and any(isinstance(g, Tensor) and g._rg for g in grads)
        with no_grad():
            results = backward(ctx, *grads)
        if not recording:
            return results
        results = results if isinstance(results, tuple) else (results,)
        return tuple(_refuse(r) if isinstance(r, Tensor) else r for r in results)

    return decorated


class _OnceDifferentiable(Node):
    def backward(self, grad):
        raise RuntimeError(
            "trying to differentiate twice a function that was marked with @once_differentiable"
        )


def _refuse(t: Tensor) -> Tensor:
    t = t._share()
    t._node, t._rg = connect(_OnceDifferentiable(), ()), True
    return t
