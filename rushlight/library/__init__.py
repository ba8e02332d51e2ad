"""`torch.library`: operators of one's own, called as `torch.ops.mylib.name(...)`.

There is one device, the CPU. Functions for other devices are kept and never run; so are fake ones, except by `opcheck`,
since nothing here runs without data.
"""

import contextlib

from rushlight import ops
from rushlight.library.operator import OpOverload, OpOverloadPacket
from rushlight.library.schema import Tag, infer_schema, parse
from rushlight.tensor import Tensor

__all__ = [
    "CustomOpDef", "Library", "custom_op", "define", "fallthrough_kernel", "get_kernel", "impl", "impl_abstract",
    "infer_schema", "opcheck", "register_autocast", "register_autograd", "register_fake", "register_kernel",
    "register_torch_dispatch", "register_vmap", "triton_op", "wrap_triton",
]  # fmt: skip

_PACKETS: dict[str, OpOverloadPacket] = {}
_DEFINING: set[str] = set()


class OpCheckError(Exception):
    """What `opcheck` raises."""


def fallthrough_kernel():
    """For `Library.impl`: do nothing for this key, go on to the next."""
    raise NotImplementedError("fallthrough_kernel() should never be called.")


def _add(namespace: str, text: str, is_custom: bool = False) -> OpOverload:
    schema = parse(text)
    owner, _, name = schema.name.rpartition("::")
    if owner not in ("", namespace):
        raise ValueError(f"{schema.name}: the operators of this library are {namespace}::…")
    schema = parse(f"{namespace}::{text.strip().removeprefix(f'{namespace}::')}")
    packet = _PACKETS.setdefault(f"{namespace}::{name}", OpOverloadPacket(namespace, name))
    if schema.overload in packet._forms and not is_custom:
        raise RuntimeError(
            f"Tried to register an operator ({schema}) with the same name and overload name multiple times. Each "
            "overload's schema should only be registered with a single call to def()."
        )
    packet._forms[schema.overload] = made = OpOverload(namespace, schema, is_custom)
    setattr(ops.namespace(namespace), name, packet)
    return made


def _find(op) -> OpOverload:
    """The operator that a name, an overload, a packet or a definition means."""
    if isinstance(op, CustomOpDef):
        return op._opoverload
    if isinstance(op, OpOverload):
        return op
    if isinstance(op, OpOverloadPacket):
        return op.default
    if not isinstance(op, str):
        raise ValueError(f"expected the name of an operator, or an operator, got {type(op).__name__}")
    namespace, found, rest = op.partition("::")
    if not found:
        raise ValueError(f"expected a name such as 'mylib::sin', got {op!r}")
    name, _, overload = rest.partition(".")
    if f"{namespace}::{name}" not in _PACKETS:
        raise AttributeError(f"'_OpNamespace' '{namespace}' object has no attribute '{name}'")
    return getattr(_PACKETS[f"{namespace}::{name}"], overload or "default")


def _register(op, keys, function) -> None:
    op = _find(op)
    for key in ("default",) if keys is None else (keys,) if isinstance(keys, str) else keys:
        if function is fallthrough_kernel:
            op._kernels.pop(key.lower(), None)
        elif key.lower() == "meta":
            op._fake = function
        else:
            op._kernels[key.lower()] = function


def _decorator(function, register):
    """What takes a function now or, as a decorator, later."""

    def decorate(function):
        register(function)
        return function

    return decorate if function is None else decorate(function)


class CustomOpDef:
    """What `custom_op` makes of a function: an operator, to be called and to be told more about.

    >>> import rushlight as torch
    >>> @torch.library.custom_op("mylib::twice", mutates_args=())
    ... def twice(x: torch.Tensor) -> torch.Tensor:
    ...     return x * 2
    >>> twice.register_autograd(lambda ctx, grad: grad * 2)
    >>> x = torch.ones(2, requires_grad=True)
    >>> twice(x).sum().backward()
    >>> x.grad
    tensor([2., 2.])
    """

    def __init__(self, namespace: str, name: str, schema: str, fn, tags=()):
        self._namespace, self._name, self._schema, self._init_fn, self._tags = (
            namespace,
            name,
            schema,
            fn,
            tags,
        )
        named = [a for a in parse(name + schema).arguments if a.kwarg_only and a.type.startswith("Tensor")]
        if named and Tag.out not in tags:
            raise NotImplementedError(
                f"custom_op with kwarg-only Tensor args. Please make your tensors not kwarg-only. Got: {name}{schema}"
            )
        self._opoverload = _add(namespace, name + schema, is_custom=True)
        self.__doc__, self.__wrapped__ = fn.__doc__, fn

    @property
    def _qualname(self) -> str:
        return f"{self._namespace}::{self._name}"

    def __call__(self, *args, **kwargs):
        return self._opoverload(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<CustomOpDef({self._qualname})>"

    def register_kernel(self, device_types, fn=None, /):
        """Give the function for one or several kinds of devices, all of them where `device_types` is None."""
        return register_kernel(self, device_types, fn)

    def register_fake(self, fn, /):
        """Give a function that makes results of the right shapes and types."""
        return register_fake(self, fn)

    def register_autograd(self, backward, /, *, setup_context=None) -> None:
        """Give the gradient formula; see `torch.library.register_autograd`."""
        register_autograd(self, backward, setup_context=setup_context)

    def register_vmap(self, func=None):
        """Give a function for batches; see `torch.library.register_vmap`."""
        return register_vmap(self, func)

    def register_autocast(self, device_type: str, cast_inputs) -> None:
        """Have floating tensors cast to a type within `torch.autocast`."""
        register_autocast(self, device_type, cast_inputs)

    @contextlib.contextmanager
    def set_kernel_enabled(self, device_type: str, enabled: bool = True):
        """For a `with` block: use the function for a device, or the one for all devices in its place."""
        disabled = self._opoverload._disabled
        before = set(disabled)
        (disabled.discard if enabled else disabled.add)(device_type)
        try:
            yield
        finally:
            self._opoverload._disabled = before


def custom_op(
    name: str, fn=None, /, *, mutates_args, device_types=None, schema: str | None = None, tags=None
):
    """Make an operator of a function; what it does inside is hidden from autograd.

    Args:
        name: "namespace::name".
        fn: the function, with type hints; None to use this as a decorator.
        mutates_args: names of the arguments that it changes, or "unknown".
        device_types: "cpu" or other devices that it is for; all by default.
        schema: in place of the type hints, such as "(Tensor x, int k) -> Tensor".
        tags: one or several of `torch.Tag`.
    Raises:
        ValueError: the name or the type hints are not of such form.

    >>> import rushlight as torch
    >>> @torch.library.custom_op("mylib::numpy_sin", mutates_args=())
    ... def numpy_sin(x: torch.Tensor) -> torch.Tensor:
    ...     return torch.from_numpy(np.sin(x.numpy()))
    >>> import numpy as np
    >>> numpy_sin(torch.zeros(2)), torch.ops.mylib.numpy_sin(torch.zeros(1))
    (tensor([0., 0.]), tensor([0.]))
    """
    marks = (tags,) if isinstance(tags, Tag) else tuple(tags or ())

    def make(fn) -> CustomOpDef:
        text = schema or infer_schema(fn, mutates_args=mutates_args, tags=marks)
        namespace, found, short = name.partition("::")
        if not found or "." in short:
            raise ValueError(
                f"Expected operator name to be 'namespace::name' without an overload, got {name!r}"
            )
        made = CustomOpDef(namespace, short, text, fn, marks)
        _register(made, device_types, fn)
        return made

    return make if fn is None else make(fn)


def triton_op(name: str, fn=None, /, *, mutates_args, schema: str | None = None):
    """Make an operator of a function that may start Triton kernels: `custom_op`, as there are no such kernels here.

    Args:
        name: "namespace::name".
        fn: the function, with type hints; None to use this as a decorator.
        mutates_args: names of the arguments that it changes, or "unknown".
        schema: in place of the type hints.

    >>> import rushlight as torch
    >>> @torch.library.triton_op("mylib::twice", mutates_args=())
    ... def twice(x: torch.Tensor) -> torch.Tensor:
    ...     return x * 2
    >>> twice(torch.ones(2))
    tensor([2., 2.])
    """
    return custom_op(name, fn, mutates_args=mutates_args, schema=schema, tags=Tag.pt2_compliant_tag)


def wrap_triton(triton_kernel, /):
    """Raises NotImplementedError: Triton's kernels run on GPUs, of which there are none; write it with tensors."""
    raise NotImplementedError(
        "wrap_triton: Triton's kernels run on GPUs only; write the operator with functions of tensors"
    )


class Library:
    """Operators under one namespace, by their schemas.

    Args:
        ns: the namespace.
        kind: "DEF" for a new one, "FRAGMENT" for more operators of one, "IMPL" for functions only.
        dispatch_key: what the functions given by `impl` are for, such as "CPU" or "Autograd".
    Raises:
        ValueError: another kind.
        RuntimeError: the namespace has been defined.

    >>> import rushlight as torch
    >>> lib = torch.library.Library("mine", "DEF")
    >>> lib.define("plus(Tensor x, int k=1) -> Tensor")
    'plus'
    >>> lib.impl("plus", lambda x, k=1: x + k, "CPU")
    >>> torch.ops.mine.plus(torch.zeros(2), k=3)
    tensor([3., 3.])
    """

    def __init__(self, ns: str, kind: str, dispatch_key: str = ""):
        if kind not in ("IMPL", "DEF", "FRAGMENT"):
            raise ValueError(f"Unsupported kind: {kind}")
        if ns in ("aten", "prim", "prims"):
            raise NotImplementedError(
                f"Library({ns!r}): operators that are there already can't be given other functions; define your own"
            )
        if kind == "DEF" and ns in _DEFINING:
            raise RuntimeError(
                f"Only a single TORCH_LIBRARY can be used to register the namespace {ns}; use kind 'FRAGMENT' to add to it"
            )
        if kind == "DEF":
            _DEFINING.add(ns)
        self.ns, self.kind, self.dispatch_key = ns, kind, dispatch_key

    def __repr__(self) -> str:
        return f"Library(kind={self.kind}, ns={self.ns}, dispatch_key={self.dispatch_key})>"

    def define(self, schema: str, alias_analysis: str = "", *, tags=()) -> str:
        """Add an operator by its schema, "name(Tensor x) -> Tensor"; returns its name."""
        if self.kind == "IMPL":
            raise RuntimeError(
                "define: operators are defined in a library of kind DEF or FRAGMENT, this one is IMPL"
            )
        made = _add(self.ns, schema)
        return made.name().partition("::")[2]

    def impl(
        self, op_name, fn, dispatch_key: str = "", *, with_keyset: bool = False, allow_override: bool = True
    ):
        """Give the function of an operator for a key: "CPU", "CompositeImplicitAutograd", "Autograd", "Meta"."""
        if with_keyset:
            raise NotImplementedError("Library.impl(with_keyset=True): there are no sets of keys here")
        if not callable(fn):
            raise TypeError(f"Input function is required to be a callable but found type {type(fn)}")
        op = op_name if not isinstance(op_name, str) or "::" in op_name else f"{self.ns}::{op_name}"
        key = dispatch_key or self.dispatch_key or "CompositeImplicitAutograd"
        if not allow_override and key.lower() in _find(op)._kernels:
            raise RuntimeError(
                f"{_find(op).name()}: there is a function for {key} already (allow_override=False)"
            )
        _register(op, key, fn)


def define(qualname, schema=None, *, lib: Library | None = None, tags=()):
    """Add an operator by its schema: `define("mylib::sin", "(Tensor x) -> Tensor")`, or as a decorator
    `define(lib, "sin(Tensor x) -> Tensor")` of its function."""
    if isinstance(qualname, Library):
        return _decorator(None, lambda fn: qualname.impl(qualname.define(schema), fn))
    namespace, _, name = qualname.partition("::")
    _add(namespace, name + schema)
    return None


def impl(qualname, types, func=None, *, lib=None):
    """Give the function of an operator: `impl("mylib::sin", "cpu", function)`, or as a decorator without the function, or as
    `impl(lib, "sin", "CPU")`; "default" is for all devices."""
    if isinstance(qualname, Library):  # (library, name, key)
        return _decorator(None, lambda fn: qualname.impl(types, fn, func or ""))
    return _decorator(func, lambda fn: _register(qualname, types, fn))


def register_kernel(op, device_types, func=None, /, *, lib=None):
    """Give the function of an operator for "cpu" or another device, for all of them if None; also as a decorator."""
    return _decorator(func, lambda fn: _register(op, device_types, fn))


def register_fake(op, func=None, /, *, lib=None, _stacklevel: int = 1, allow_override: bool = True):
    """Give a function that makes results of the right shapes and types; here `opcheck` alone compares them."""
    return _decorator(func, lambda fn: _register(op, "meta", fn))


impl_abstract = register_fake


def register_autograd(op, backward, /, *, setup_context=None, lib=None) -> None:
    """Give the gradient formula of an operator.

    Args:
        op: the operator, or its name.
        backward: (ctx, *grads of the results) -> one gradient for each argument, None where there is none.
        setup_context: (ctx, inputs, output), or (ctx, inputs, keyword_only_inputs, output), keeps on `ctx` what that needs.
    Raises:
        RuntimeError: the operator changes its arguments.
        NotImplementedError: tensors are given by name only.
    """
    op = _find(op)
    if any(a.is_write for a in op._schema.arguments):
        raise RuntimeError(
            f"Cannot register autograd formula for non-functional operator {op} with schema {op._schema}. Please create a "
            "functional operator and register an autograd formula for that."
        )
    if any(a.kwarg_only and a.type.startswith("Tensor") for a in op._schema.arguments):
        raise NotImplementedError(
            f"register_autograd with kwarg-only Tensor args. In the original definition of the op {op}, please make your "
            "tensors not kwarg-only."
        )
    op._backward, op._setup_context = backward, setup_context


def register_vmap(op, func=None, /, *, lib=None):
    """Give a function for batches: `func(info, in_dims, *args)` returns (outputs, out_dims), as `vmap` wants them."""
    return _decorator(func, lambda fn: setattr(_find(op), "_vmap", fn))


def register_autocast(op, device_type: str, cast_inputs, /, *, lib=None) -> None:
    """Have the floating tensors of an operator cast to `cast_inputs` within `torch.autocast(device_type)`."""
    if device_type == "cpu":
        _find(op)._autocast = cast_inputs


def register_torch_dispatch(op, torch_dispatch_class, func=None, /, *, lib=None):
    """Raises NotImplementedError: there is no `__torch_dispatch__`; `__torch_function__` is there."""
    raise NotImplementedError(
        "register_torch_dispatch: there is no __torch_dispatch__; use __torch_function__"
    )


def get_kernel(op, dispatch_key: str):
    """The function that is registered for a key, such as "CPU".

    Raises:
        RuntimeError: there is none.
    """
    op = _find(op)
    if dispatch_key.lower() not in op._kernels:
        raise RuntimeError(f"{op.name()}: there is no function for {dispatch_key}")
    return op._kernels[dispatch_key.lower()]


def opcheck(
    op, args: tuple, kwargs: dict | None = None, *, raise_exception: bool = True, **options
) -> dict[str, str]:
    """Check an operator on a sample: that it changes what its schema says and nothing else, and that its fake function gives
    the shapes and types of its results.

    Returns:
        For each of "test_schema" and "test_faketensor" "SUCCESS" or the error.
    Raises:
        OpCheckError: a check fails, unless `raise_exception` is False.
    """
    op, kwargs = _find(op), kwargs or {}
    values, by_name = op._schema.bind(args, kwargs)
    before = [v.detach().clone() if isinstance(v, Tensor) else v for v in values]
    result = op(*args, **kwargs)
    said = dict.fromkeys(("test_schema", "test_faketensor"), "SUCCESS")
    for argument, old, new in zip(op._schema.arguments, before, values, strict=False):
        if (
            isinstance(new, Tensor)
            and not argument.is_write
            and not bool((old.isclose(new, equal_nan=True)).all())
        ):
            said["test_schema"] = (
                f"{op.name()}: Argument {argument.name} is not defined as mutable but was mutated"
            )
    if op._fake is not None:
        fake = op._fake(*values, **by_name)
        for one, other in zip(
            *(r if isinstance(r, list | tuple) else (r,) for r in (result, fake)), strict=True
        ):
            if isinstance(one, Tensor) and (one.shape, one.dtype) != (other.shape, other.dtype):
                said["test_faketensor"] = (
                    f"{op.name()}: the result is of shape {tuple(one.shape)} and {one.dtype}, that of the fake function of "
                    f"{tuple(other.shape)} and {other.dtype}"
                )
    failed = [text for text in said.values() if text != "SUCCESS"]
    if failed and raise_exception:
        raise OpCheckError(f"opcheck: {failed[0]}")
    return said
