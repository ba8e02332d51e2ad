"""`torch.library`: operators of one's own, with a schema, a place in `torch.ops`, and gradients."""

import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rushlight import ops
from rushlight.autograd.function import Function
from rushlight.autograd.grad_mode import MODE, no_grad
from rushlight.devices import device
from rushlight.dtypes import dtype
from rushlight.tensor import Tensor
from rushlight.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

__all__ = [
    "CustomOpDef", "Library", "custom_op", "define", "impl", "infer_schema", "register_autograd", "register_fake",
    "register_kernel",
]  # fmt: skip

_TYPES = {
    Tensor: "Tensor", int: "SymInt", float: "float", bool: "bool", str: "str", dtype: "ScalarType", device: "Device",
    int | float | bool: "Scalar",
}  # fmt: skip
_MISSING = object()


@dataclass
class _Argument:
    """One argument of a schema; `kind` is written as in schemas: "Tensor", "SymInt[]", "float?"."""

    name: str
    kind: str
    default: Any = _MISSING
    keyword_only: bool = False

    def __str__(self) -> str:
        default = f'"{self.default}"' if isinstance(self.default, str) else self.default
        return f"{self.kind} {self.name}" + ("" if self.default is _MISSING else f"={default}")


@dataclass(eq=False)
class CustomOpDef:
    """An operator: called like a function, also as `torch.ops.NAMESPACE.NAME`; made by `custom_op` or a `Library`."""

    _qualname: str
    _arguments: list[_Argument]
    _returns: str
    _kernels: dict = field(default_factory=dict)
    _backward: Callable | None = None
    _setup_context: Callable | None = None

    @property
    def _schema(self) -> str:
        return f"({_written(self._arguments)}) -> {self._returns}"

    @property
    def default(self) -> "CustomOpDef":
        """The operator itself, which is the only one of its name."""
        return self

    def __repr__(self) -> str:
        return f"<CustomOpDef({self._qualname})>"

    def __call__(self, *args, **kwargs):
        args, keywords = self._bind(args, kwargs)
        for key in ("autograd", "compositeimplicitautograd"):
            if key in self._kernels:
                return self._kernels[key](*args, **keywords)
        leaves, spec = tree_flatten(args)
        leaves.append((spec, keywords))
        if MODE.enabled and any(isinstance(x, Tensor) and x.requires_grad for x in leaves):
            return self._function.apply(*leaves)
        with no_grad():
            return self._function.forward(*leaves)

    def register_kernel(self, device_types, func: Callable | None = None):
        """Set what computes the operator on a device, also as a decorator.

        Args:
            device_types: "cpu", another device's name (kept, and never called), a list of them, or None for all.
            func: a function of the operator's arguments.
        """

        def set_kernel(func):
            names = [device_types] if isinstance(device_types, str) else device_types or ["cpu"]
            self._kernels.update({name.lower(): func for name in names})
            return func

        return set_kernel if func is None else set_kernel(func)

    def register_fake(self, fn: Callable) -> Callable:
        """Say which shapes come out, which PyTorch's compiler needs and nothing here does."""
        return fn

    def register_autograd(self, backward: Callable, /, *, setup_context: Callable | None = None) -> None:
        """Set the operator's gradient.

        Args:
            backward: from (ctx, *gradients of the outputs) to one gradient per argument.
            setup_context: of (ctx, inputs, output), with `keyword_only_inputs` where there are such; keeps on ctx what
                `backward` needs.
        """
        self._backward, self._setup_context = backward, setup_context

    def _kernel(self) -> Callable:
        for key in ("cpu", "compositeexplicitautograd"):
            if key in self._kernels:
                return self._kernels[key]
        raise NotImplementedError(
            f"Could not run '{self._qualname}' with arguments from the 'CPU' backend: it has kernels for "
            f"{sorted(self._kernels) or 'nothing'}. Give it one with register_kernel('cpu')."
        )

    def _bind(self, args, kwargs) -> tuple[tuple, dict]:
        """Arguments by position and by keyword, complete and checked."""
        positional = [a for a in self._arguments if not a.keyword_only]
        if len(args) > len(positional):
            raise RuntimeError(
                f"{self._qualname}() expected at most {len(positional)} argument(s) but received {len(args)} "
                f"argument(s). Declaration: {self._qualname}{self._schema}"
            )
        given = dict(zip((a.name for a in positional), args, strict=False))
        for name in kwargs:
            if name in given or name not in {a.name for a in self._arguments}:
                raise RuntimeError(
                    f"Unknown keyword argument '{name}' for operator '{self._qualname}'. Schema: {self._schema}"
                )
        given.update(kwargs)
        for a in self._arguments:
            value = given.setdefault(a.name, a.default)
            if value is _MISSING:
                raise RuntimeError(
                    f"{self._qualname}() is missing value for argument '{a.name}'. Declaration: "
                    f"{self._qualname}{self._schema}"
                )
            if re.match(r"Tensor(\(.*\))?$", a.kind) and not isinstance(value, Tensor):
                raise RuntimeError(
                    f"{self._qualname}() Expected a value of type 'Tensor' for argument '{a.name}' but instead found "
                    f"type '{type(value).__name__}'.\nDeclaration: {self._qualname}{self._schema}"
                )
        return (
            tuple(given[a.name] for a in positional),
            {a.name: given[a.name] for a in self._arguments if a.keyword_only},
        )

    def __post_init__(self):
        self._function = _differentiable(self)


def _differentiable(op: CustomOpDef) -> type[Function]:
    """The operator over tensors and a last argument: how they make up its arguments, and those with keywords."""

    class Operator(Function):
        @staticmethod
        def forward(*leaves_and_rest):
            *leaves, (spec, keywords) = leaves_and_rest
            result = op._kernel()(*tree_unflatten(leaves, spec), **keywords)
            _check_aliases(op, leaves, result)
            return tuple(result) if isinstance(result, list) else result

        @staticmethod
        def setup_context(ctx, inputs, output):
            *leaves, (spec, keywords) = inputs
            ctx.needs_input_grad = tree_unflatten(ctx.needs_input_grad[:-1], spec)
            if op._setup_context is not None:
                extra = {"keyword_only_inputs": keywords} if keywords else {}
                op._setup_context(ctx=ctx, inputs=tree_unflatten(leaves, spec), output=output, **extra)

        @staticmethod
        def backward(ctx, *grads):
            if op._backward is None:
                raise RuntimeError(
                    f"Trying to backward through {op._qualname.replace('::', '.')}.default but no autograd formula was "
                    "registered. Please use register_autograd to add one."
                )
            found = op._backward(ctx, *grads)
            found = found if isinstance(found, tuple) else (found,)
            return *tree_flatten(found)[0], None

    Operator.__name__ = f"GeneratedBackwardFor_{op._qualname.replace('::', '_')}_default"
    return Operator


def _check_aliases(op: CustomOpDef, inputs: list, result) -> None:
    arrays = [t._array for t in inputs if isinstance(t, Tensor)]
    for out in tree_leaves(result):
        if isinstance(out, Tensor) and any(np.may_share_memory(out._array, a) for a in arrays):
            raise RuntimeError(
                f"{op._qualname}: The output of this custom operator (1) must not also be an input to this custom "
                "operator and (2) may not alias any inputs to this custom operator or other returns. Return a clone of "
                "it, x.clone()."
            )


def _written(arguments: list[_Argument]) -> str:
    parts = []
    for i, a in enumerate(arguments):
        if a.keyword_only and (i == 0 or not arguments[i - 1].keyword_only):
            parts.append("*")
        parts.append(str(a))
    return ", ".join(parts)


def _kind(annotation, what: str) -> str:
    """How a schema writes a Python type."""
    if annotation in _TYPES:
        return _TYPES[annotation]
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType) and len(inner) == 2 and type(None) in inner:
        return _kind(inner[0] if inner[1] is type(None) else inner[1], what) + "?"
    if origin in (list, Sequence) and len(inner) == 1:
        return _kind(inner[0], what) + "[]"
    raise ValueError(
        f"infer_schema(func): {what} has unsupported type {annotation}. The valid types are "
        f"{sorted(set(_TYPES.values()))}, lists of them and None."
    )


def _arguments_of(fn: Callable, mutates_args) -> tuple[list[_Argument], str]:
    signature = inspect.signature(fn, eval_str=True)
    arguments = []
    for i, p in enumerate(signature.parameters.values()):
        if p.annotation is p.empty:
            raise ValueError(
                f"infer_schema(func): Parameter {p.name} must have a type annotation. Got func with signature {signature})"
            )
        kind = _kind(p.annotation, f"Parameter {p.name}")
        if mutates_args == "unknown" or p.name in mutates_args:
            kind = kind.replace("Tensor", f"Tensor(a{i}!)", 1)
        default = _MISSING if p.default is p.empty else p.default
        arguments.append(_Argument(p.name, kind, default, p.kind is p.KEYWORD_ONLY))
    unknown = set() if isinstance(mutates_args, str) else set(mutates_args) - set(signature.parameters)
    if unknown:
        raise ValueError(
            f"infer_schema(func): {sorted(unknown)} in mutates_args are no parameters of {signature}"
        )
    returned = signature.return_annotation
    if returned is signature.empty:
        raise ValueError(f"infer_schema(func): the return type must be annotated. Got signature {signature}")
    if returned is None:
        return arguments, "()"
    if typing.get_origin(returned) is tuple:
        return arguments, "(" + ", ".join(_kind(t, "Return") for t in typing.get_args(returned)) + ")"
    return arguments, _kind(returned, "Return")


def infer_schema(prototype_function: Callable, /, *, mutates_args, op_name: str | None = None) -> str:
    """The schema that a function's annotations say.

    Args:
        prototype_function: the function, its parameters and result annotated.
        mutates_args: names of the parameters that it changes.
        op_name: put before the schema.
    Raises:
        ValueError: an annotation is missing, or has no counterpart in schemas.

    >>> import rushlight as torch
    >>> def scaled(x: torch.Tensor, by: float = 2.0) -> torch.Tensor: ...
    >>> torch.library.infer_schema(scaled, mutates_args=())
    '(Tensor x, float by=2.0) -> Tensor'
    """
    arguments, returns = _arguments_of(prototype_function, mutates_args)
    return f"{op_name or ''}({_written(arguments)}) -> {returns}"


def custom_op(
    name: str,
    fn: Callable | None = None,
    /,
    *,
    mutates_args: str | Iterable[str],
    device_types: str | Sequence[str] | None = None,
    schema: str | None = None,
    tags=None,
):
    """Make an operator of a function, also as a decorator.

    Args:
        name: "namespace::name".
        fn: the function, annotated; NumPy and other libraries may be used inside.
        mutates_args: names of the parameters that it changes, () for none.
        device_types: devices that the function is for; all by default.
        schema: written out, in place of the annotations.
        tags: accepted.

    >>> import rushlight as torch
    >>> @torch.library.custom_op("docs::cube", mutates_args=())
    ... def cube(x: torch.Tensor) -> torch.Tensor:
    ...     return torch.from_numpy(x.numpy() ** 3)
    >>> def setup(ctx, inputs, output):
    ...     ctx.save_for_backward(inputs[0])
    >>> cube.register_autograd(lambda ctx, g: 3 * g * ctx.saved_tensors[0] ** 2, setup_context=setup)
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> torch.ops.docs.cube(x).sum().backward()
    >>> x.grad
    tensor([ 3., 12.])
    """

    def make(fn):
        arguments, returns = _parsed(schema) if schema else _arguments_of(fn, mutates_args)
        op = CustomOpDef(name, arguments, returns)
        op.register_kernel(device_types, fn)
        _put(op)
        return op

    return make if fn is None else make(fn)


def _put(op: CustomOpDef) -> None:
    namespace, _, name = op._qualname.partition("::")
    if not name:
        raise ValueError(f"expected a name of the form 'namespace::name', got {op._qualname!r}")
    setattr(ops.namespace(namespace), name, op)


def _find(op) -> CustomOpDef:
    if isinstance(op, CustomOpDef):
        return op
    namespace, _, name = op.partition("::")
    return getattr(getattr(ops, namespace), name.partition(".")[0])


_ARGUMENT = re.compile(r"(?P<kind>\S+)\s+(?P<name>\w+)(?:\s*=\s*(?P<default>.+))?$")
_LITERALS = {"None": None, "True": True, "False": False}


def _literal(text: str | None):
    if text is None:
        return _MISSING
    if text in _LITERALS:
        return _LITERALS[text]
    if text[0] in "\"'":
        return text[1:-1]
    if text[0] == "[":
        return [_literal(t.strip()) for t in text[1:-1].split(",") if t.strip()]
    return float(text) if re.search(r"[.e]", text) else int(text)


def _parsed(schema: str) -> tuple[list[_Argument], str]:
    found = re.match(r"\s*(?:[\w.:]+)?\s*\((.*)\)\s*->\s*(.+)$", schema, re.DOTALL)
    if found is None:
        raise RuntimeError(f"expected a schema as 'name(Tensor x, int n=1) -> Tensor', got {schema!r}")
    arguments, keyword_only = [], False
    for part in re.findall(r"(?:\[[^\]]*\]|\([^)]*\)|[^,])+", found[1]):
        if part.strip() == "*":
            keyword_only = True
            continue
        one = _ARGUMENT.match(part.strip())
        if one is None:
            raise RuntimeError(
                f"expected 'type name' or 'type name=default' in the schema {schema!r}, got {part!r}"
            )
        arguments.append(_Argument(one["name"], one["kind"], _literal(one["default"]), keyword_only))
    return arguments, found[2].strip()


class Library:
    """Operators of one namespace.

    Args:
        ns: the namespace.
        kind: "DEF" for a new one, "IMPL" or "FRAGMENT" for one that there may be already.
        dispatch_key: for which device `impl` is, where it isn't told.

    >>> import rushlight as torch
    >>> docs = torch.library.Library("docs", "FRAGMENT")
    >>> _ = docs.define("times(Tensor x, int n=2) -> Tensor")
    >>> docs.impl("times", lambda x, n: x * n, "CPU")
    >>> torch.ops.docs.times(torch.ones(2), 3)
    tensor([3., 3.])
    """

    def __init__(self, ns: str, kind: str, dispatch_key: str = ""):
        if kind not in ("IMPL", "DEF", "FRAGMENT"):
            raise ValueError(f"Unsupported kind: {kind}. Use 'DEF', 'FRAGMENT' or 'IMPL'.")
        self.ns, self.kind, self.dispatch_key = ns, kind, dispatch_key

    def define(self, schema: str, alias_analysis: str = "", *, tags=()) -> str:
        """Add an operator, without what computes it.

        Args:
            schema: as "name(Tensor x, int n=1) -> Tensor".
            alias_analysis: accepted.
            tags: accepted.
        Returns:
            Its name.
        """
        name = schema.partition("(")[0].strip()
        _put(CustomOpDef(f"{self.ns}::{name}", *_parsed(schema)))
        return name

    def impl(
        self, op_name, fn: Callable, dispatch_key: str = "", *, with_keyset=False, allow_override=True
    ) -> None:
        """Set what computes an operator.

        Args:
            op_name: its name, or the operator.
            fn: a function of its arguments.
            dispatch_key: "CPU", "CompositeExplicitAutograd" (both without gradients), "CompositeImplicitAutograd" (made
                of operators that have some; the default), "Autograd" or a device's name.
            with_keyset: not supported.
            allow_override: accepted.
        """
        if with_keyset:
            raise NotImplementedError(
                "Library.impl: with_keyset is not supported; there are no dispatch keys here"
            )
        op = (
            op_name
            if isinstance(op_name, CustomOpDef)
            else _find(f"{self.ns}::{op_name.partition('::')[2] or op_name}")
        )
        key = dispatch_key or self.dispatch_key or "CompositeImplicitAutograd"
        op._kernels["autograd" if key == "AutogradCPU" else key.lower()] = fn


def define(qualname: str, schema: str, *, lib=None, tags=()) -> None:
    """Add an operator, without what computes it.

    Args:
        qualname: "namespace::name".
        schema: as "(Tensor x, int n=1) -> Tensor".
        lib: accepted.
        tags: accepted.
    """
    _put(CustomOpDef(qualname, *_parsed(schema)))


def impl(qualname: str, types: str | Sequence[str], func: Callable | None = None, *, lib=None):
    """Set what computes an operator, also as a decorator.

    Args:
        qualname: "namespace::name".
        types: "cpu", "default" (all devices) or a list of devices.
        func: a function of the operator's arguments.
        lib: accepted.
    """
    names = [types] if isinstance(types, str) else list(types)
    return register_kernel(qualname, ["cpu" if n == "default" else n for n in names], func, lib=lib)


def register_kernel(op, device_types, func: Callable | None = None, /, *, lib=None):
    """`CustomOpDef.register_kernel` of an operator, or of the one of that name."""
    return _find(op).register_kernel(device_types, func)


def register_fake(op, func: Callable | None = None, /, *, lib=None, allow_override: bool = True):
    """`CustomOpDef.register_fake` of an operator, or of the one of that name; also as a decorator."""
    return _find(op).register_fake if func is None else _find(op).register_fake(func)


def register_autograd(op, backward: Callable, /, *, setup_context: Callable | None = None, lib=None) -> None:
    """`CustomOpDef.register_autograd` of an operator, or of the one of that name."""
    _find(op).register_autograd(backward, setup_context=setup_context)
