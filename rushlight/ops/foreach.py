"""`torch._foreach_*`: an op done on every tensor of a list, as optimizers outside of PyTorch call them."""

from collections.abc import Sequence

from rushlight.ops.convert import clone
from rushlight.tensor import Tensor

_UNARY = (
    "abs", "acos", "asin", "atan", "ceil", "cos", "cosh", "erf", "erfc", "exp", "expm1", "floor", "frac", "lgamma", "log",
    "log10", "log1p", "log2", "neg", "reciprocal", "round", "rsqrt", "sigmoid", "sign", "sin", "sinh", "sqrt", "tan", "tanh",
    "trunc",
)  # fmt: skip
_BINARY = ("add", "sub", "mul", "div", "pow", "maximum", "minimum", "clamp_max", "clamp_min")


def _checked(name: str, tensors, *others) -> None:
    """Raise what PyTorch raises of lists that are none, empty, or not as long as the first.

    Raises:
        TypeError, RuntimeError: they are.
    """
    if not isinstance(tensors, Sequence) or not all(isinstance(t, Tensor) for t in tensors):
        raise TypeError(f"{name}: expected a list of tensors, got {type(tensors).__name__}")
    if not tensors:
        raise RuntimeError(f"{name}: Tensor list must have at least one tensor.")
    for other in others:
        if isinstance(other, Sequence) and len(other) != len(tensors):
            raise RuntimeError(
                f"{name}: Tensor lists must have the same number of tensors, got {len(tensors)} and {len(other)}"
            )


def _each(value, count: int) -> Sequence:
    """A value for each tensor: those of a list, or one for all."""
    return value if isinstance(value, Sequence) else [value] * count


def _finish(tensors, results: list, in_place: bool):
    """The results as a tuple; the tensors if they are the results."""
    return tensors if in_place else tuple(results)


def _unary(name: str, in_place: bool):
    method = getattr(Tensor, f"{name}_" if in_place else name)

    def op(self):
        _checked(op.__name__, self)
        return _finish(self, [method(t) for t in self], in_place)

    return op


def _binary(name: str, in_place: bool):
    base = {"maximum": "clamp_min", "minimum": "clamp_max"}.get(name, name)
    method = getattr(Tensor, f"{base}_" if in_place else base)

    def op(self, other, *, alpha=None):
        if isinstance(self, int | float | complex):  # pow of a number
            return tuple(self**exponent for exponent in other)
        _checked(op.__name__, self, other)
        kwargs = {} if alpha is None else {"alpha": alpha}
        pairs = zip(self, _each(other, len(self)), strict=True)
        return _finish(self, [method(t, value, **kwargs) for t, value in pairs], in_place)

    return op


def _with_two(name: str, in_place: bool):
    method = getattr(Tensor, f"{name}_" if in_place else name)

    def op(self, tensor1, tensor2, value=1, *, scalars=None):
        values = value if scalars is None else scalars
        values = values.tolist() if isinstance(values, Tensor) else values
        for tensors in (self, tensor1, tensor2):
            _checked(op.__name__, tensors, self, values)
        rows = zip(self, tensor1, tensor2, _each(values, len(self)), strict=True)
        return _finish(self, [method(t, a, b, value=v) for t, a, b, v in rows], in_place)

    return op


def _lerp(name: str, in_place: bool):
    method = Tensor.lerp_ if in_place else Tensor.lerp

    def op(self, tensors1, weight):
        _checked(op.__name__, self, tensors1, weight)
        rows = zip(self, tensors1, _each(weight, len(self)), strict=True)
        return _finish(self, [method(t, end, w) for t, end, w in rows], in_place)

    return op


def _foreach_norm(self, ord=2, dtype=None):
    """The norm of every tensor."""
    _checked("_foreach_norm", self)
    if isinstance(ord, Sequence):
        raise TypeError(f"_foreach_norm: ord must be a number, got {type(ord).__name__}")
    return tuple(Tensor.norm(t.flatten(), ord, dtype=dtype) for t in self)


def _foreach_max(self):
    """The largest element of every tensor."""
    _checked("_foreach_max", self)
    return tuple(t.max() for t in self)


def _foreach_mm(self, mat2):
    """The product of every pair of matrices."""
    _checked("_foreach_mm", self, mat2)
    return tuple(a.mm(b) for a, b in zip(self, mat2, strict=True))


def _foreach_clone(self, *, memory_format=None):
    """A copy of every tensor."""
    _checked("_foreach_clone", self)
    return tuple(clone(t) for t in self)


def _foreach_copy_(self, src, non_blocking: bool = False):
    """Copy every tensor of a list to the one at its place in another."""
    _checked("_foreach_copy_", self, src)
    for to, source in zip(self, src, strict=True):
        to.copy_(source)
    return self


def _foreach_zero_(self):
    """Set every tensor to zero."""
    _checked("_foreach_zero_", self)
    for tensor in self:
        tensor.zero_()
    return self


def _add_families() -> None:
    families = [*((n, _unary) for n in _UNARY), *((n, _binary) for n in _BINARY)]
    families += [("addcdiv", _with_two), ("addcmul", _with_two), ("lerp", _lerp)]
    for name, family in families:
        for suffix in ("", "_"):
            op = family(name, bool(suffix))
            op.__name__ = op.__qualname__ = f"_foreach_{name}{suffix}"
            op.__doc__ = f"`{name}{suffix}` of every tensor of a list."
            globals()[op.__name__] = op


_add_families()
FOREACH = {name: value for name, value in globals().items() if name.startswith("_foreach_")}
