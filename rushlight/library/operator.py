"""Operators that users define: which function a call goes to, and their gradients."""

import threading

from rushlight.amp import autocast
from rushlight.autograd.function import Function
from rushlight.autograd.grad_mode import MODE
from rushlight.library.schema import Schema
from rushlight.tensor import Tensor

#: Keys under which a function serves tensors on the CPU; the first that there is counts.
_ON_CPU = ("cpu", "compositeexplicitautograd", "default", "compositeimplicitautograd")
_LOCAL = threading.local()


class BelowAutograd:
    """For a `with` block: operators go to the function for the device, not to one for "Autograd"."""

    def __enter__(self):
        self._before = getattr(_LOCAL, "below", False)
        _LOCAL.below = True

    def __exit__(self, *error):
        _LOCAL.below = self._before


class OpOverload:
    """One form of an operator; called with tensors it runs the function that is registered for them."""

    def __init__(self, namespace: str, schema: Schema, is_custom: bool = False):
        self.namespace, self._schema = namespace, schema
        self._is_custom = is_custom  # made by custom_op: differentiable by its own formula only
        self._kernels: dict[str, object] = {}
        self._disabled: set[str] = set()
        self._fake = self._vmap = self._backward = self._setup_context = self._autocast = None
        self._function = type(
            f"GeneratedBackwardFor_{namespace}_{self._short}_{schema.overload}", (_Formula,), {"op": self}
        )

    @property
    def _short(self) -> str:
        return self._schema.name.rpartition("::")[2]

    def name(self) -> str:
        """Its full name, such as "mylib::sin"."""
        overload = self._schema.overload
        return f"{self.namespace}::{self._short}" + (f".{overload}" if overload != "default" else "")

    def __repr__(self) -> str:
        return f"<OpOverload(op='{self.namespace}.{self._short}', overload='{self._schema.overload}')>"

    def __str__(self) -> str:
        return f"{self.namespace}.{self._short}.{self._schema.overload}"

    def __call__(self, *args, **kwargs):
        values, by_name = self._schema.bind(args, kwargs)
        if self._autocast is not None and _autocasting():
            kind = self._autocast
            values = [_cast(v, kind) for v in values]
            by_name = {name: _cast(v, kind) for name, v in by_name.items()}
            with autocast("cpu", enabled=False):
                return self._differentiated(values, by_name)
        return self._differentiated(values, by_name)

    def _differentiated(self, values: list, by_name: dict):
        below = getattr(_LOCAL, "below", False)
        for key in ("autogradcpu", "autograd"):
            if key in self._kernels and not below:
                return self._kernels[key](*values, **by_name)
        tensors = [t for value in values for t in (value if isinstance(value, list | tuple) else (value,))]
        wanted = MODE.enabled and any(isinstance(t, Tensor) and t.requires_grad for t in tensors)
        writes = any(a.is_write for a in self._schema.arguments)
        if not wanted or writes or below or not (self._is_custom or self._backward):
            if not self._is_custom:
                return self._run(values, by_name)
            from rushlight.autograd import no_grad

            with no_grad():
                return self._run(values, by_name)
        lengths = [len(v) if isinstance(v, list | tuple) else None for v in values]
        leaves = [t for v, n in zip(values, lengths, strict=True) for t in ((v,) if n is None else v)]
        result = self._function.apply(lengths, by_name, *leaves)
        return list(result) if self._schema.returns == "Tensor[]" else result

    def _run(self, values: list, by_name: dict):
        kernel = next(
            (self._kernels[k] for k in _ON_CPU if k in self._kernels and k not in self._disabled), None
        )
        if kernel is None:
            known = ", ".join(sorted(self._kernels)) or "none"
            raise NotImplementedError(
                f"Could not run '{self.name()}' with arguments from the 'CPU' backend: no function is registered for it "
                f"(there are: {known}); add one by torch.library.register_kernel or torch.library.impl."
            )
        result = kernel(*values, **by_name)
        for argument, value in zip(self._schema.arguments, [*values, *by_name.values()], strict=True):
            if argument.is_write:
                for t in value if isinstance(value, list | tuple) else (value,):
                    if t is not None:
                        t._bump()
        if self._is_custom and "!" not in self._schema.returns:
            self._check_result(result, [*values, *by_name.values()])
        return result

    def _check_result(self, result, values: list) -> None:
        """Custom operators return new tensors."""
        places = {
            t.untyped_storage().data_ptr()
            for value in values
            for t in (value if isinstance(value, list | tuple) else (value,))
            if isinstance(t, Tensor) and t.numel()
        }
        results = result if isinstance(result, list | tuple) else (result,)
        if self._schema.returns == "Tensor" and not isinstance(result, Tensor):
            raise RuntimeError(f"{self.name()}: expected a Tensor as the result, got {type(result).__name__}")
        if any(
            isinstance(t, Tensor) and t.numel() and t.untyped_storage().data_ptr() in places for t in results
        ):
            raise RuntimeError(
                f"{self.name()}: The output of this custom operator (1) must not also be an input to this custom operator "
                "and (2) may not alias any inputs to this custom operator or other returns. If it returns its input, "
                "return a clone of it: y = x.clone()."
            )


def _autocasting() -> bool:
    """Whether operations on the CPU are being cast."""
    import rushlight

    return rushlight.is_autocast_enabled("cpu")


def _cast(value, kind):
    if isinstance(value, list | tuple):
        return type(value)(_cast(item, kind) for item in value)
    return value.to(kind) if isinstance(value, Tensor) and value.is_floating_point() else value


def _joined(lengths: list, leaves) -> tuple:
    """Arguments as they were given, from their parts."""
    parts = iter(leaves)
    return tuple(next(parts) if n is None else [next(parts) for _ in range(n)] for n in lengths)


class _Formula(Function):
    """An operator with the gradient formula of `register_autograd`."""

    op: OpOverload

    @classmethod
    def forward(cls, lengths, by_name, *leaves):
        result = cls.op._run(list(_joined(lengths, leaves)), by_name)
        return tuple(result) if isinstance(result, list) else result

    @classmethod
    def setup_context(cls, ctx, inputs, output):
        op, (lengths, by_name, *leaves) = cls.op, inputs
        ctx._lengths = lengths
        ctx.needs_input_grad = _joined(lengths, ctx.needs_input_grad[2:])
        if op._setup_context is not None:
            output = list(output) if op._schema.returns == "Tensor[]" else output
            named = {"keyword_only_inputs": by_name} if by_name else {}
            op._setup_context(ctx=ctx, inputs=_joined(lengths, leaves), output=output, **named)

    @classmethod
    def backward(cls, ctx, *grads):
        op = cls.op
        if op._backward is None:
            raise RuntimeError(
                f"Trying to backward through {op} but no autograd formula was registered. Please use register_autograd "
                "to add one."
            )
        grads = (
            op._backward(ctx, list(grads)) if op._schema.returns == "Tensor[]" else op._backward(ctx, *grads)
        )
        grads = grads if isinstance(grads, tuple) else (grads,)
        flat = []
        for i, length in enumerate(ctx._lengths):
            grad = grads[i] if i < len(grads) else None
            if length is None:
                flat.append(grad)
            elif grad is None or (isinstance(grad, list | tuple) and len(grad) == length):
                flat += [None] * length if grad is None else grad
            else:
                raise RuntimeError(
                    f"{op}: Expected the return from backward to be of the same structure as the inputs: a list of {length} "
                    f"for argument {i}, got {type(grad).__name__}"
                )
        if len(grads) < len(ctx._lengths) or any(g is not None for g in grads[len(ctx._lengths) :]):
            raise RuntimeError(
                f"function {cls.__name__}Backward returned an incorrect number of gradients (expected "
                f"{len(ctx._lengths)}, got {len(grads)})"
            )
        return None, None, *flat


class OpOverloadPacket:
    """An operator with all its forms, as `torch.ops.mylib.sin`."""

    def __init__(self, namespace: str, name: str):
        self._qualified_op_name, self.__name__ = f"{namespace}::{name}", name
        self._forms: dict[str, OpOverload] = {}

    def overloads(self) -> list[str]:
        """The names of its forms."""
        return list(self._forms)

    def __getattr__(self, name: str):
        forms = self.__dict__.get("_forms", {})
        if name not in forms:
            raise AttributeError(
                f"The underlying op of '{self._qualified_op_name.replace('::', '.')}' has no overload name '{name}'"
            )
        return forms[name]

    def __call__(self, *args, **kwargs):
        forms = list(self._forms.values())
        for form in forms[:-1]:
            try:
                form._schema.bind(args, kwargs)
            except RuntimeError:
                continue
            return form(*args, **kwargs)
        return forms[-1](*args, **kwargs)

    def __str__(self) -> str:
        return self._qualified_op_name.replace("::", ".")

    def __repr__(self) -> str:
        return f"<OpOverloadPacket(op='{self}')>"
