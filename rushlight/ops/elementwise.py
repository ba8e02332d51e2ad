"""Arithmetic and comparison, element by element, with broadcasting and PyTorch's type promotion."""

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.node import Node, connect, shown_as
from rushlight.autograd.views import after, assign, before, check_writable, keep_old_value
from rushlight.autograd.views import inplace as inplace_form
from rushlight.kernels.reference.layout import is_low_precision
from rushlight.ops.common import (
    MODE,
    Number,
    Tensor,
    as_type,
    broadcast_error,
    check_operands,
    check_tensor,
    conj,
    floating,
    keep_order,
    not_implemented,
    overloaded,
    promote,
    record,
    result_type,
    sum_to,
    wrap,
    write_out,
)
from rushlight.ops.deprecated import in_todays_order
from rushlight.ops.registry import alias, op
from rushlight.sparse_tensor import SparseError, SparseTensor

#: As in PyTorch, numbers beside 16-bit tensors are not rounded to 16 bits here.
_UNROUNDED = {"mul", "div"}


def _pair(name: str, input, other) -> tuple[Tensor, Tensor]:
    """Both operands as tensors of one type. The common cases come first, for speed."""
    if isinstance(input, Tensor) and isinstance(other, Tensor) and input._array.dtype is other._array.dtype:
        return input, other
    if (
        type(other) in (float, int)
        and -6e4 < other < 6e4
        and isinstance(input, Tensor)
        and input._array.dtype.kind in "fV"
    ):
        kind = input._array.dtype
        return input, wrap(np.array(other, np.float32 if kind.itemsize == 2 and name in _UNROUNDED else kind))
    if name in _UNROUNDED and isinstance(input, Tensor) and isinstance(other, Tensor):
        x, y = input._array, other._array
        if is_low_precision(x.dtype) and y.dtype == np.float32 and x.ndim > y.ndim == 0 and not other._rg:
            return input, other
    return promote(name, input, other)


def binary(name: str, kernel, node_type: type[Node] | None, *, to_float=False, check=None, tensors=None):
    """The function and the in-place method of a two-operand op, from its kernel and its node.

    Args:
        to_float: integers are converted to the default floating-point type.
        check: called with both operands as tensors; raises where it does not like them.
        tensors: which operands must be tensors, see `check_operands`; None where two numbers will do too.
    """

    def function(input, other, *, out=None):
        try:
            x, y = input._array, other._array
            same = x.dtype is y.dtype
        except AttributeError as error:
            if type(error) is SparseError:
                return overloaded(name, input, other)
            same = False
        if not same or check or (to_float and x.dtype.kind in "iub"):
            if isinstance(input, SparseTensor) or isinstance(other, SparseTensor):
                return overloaded(name, input, other)
            if tensors is not None:
                check_operands(name, input, other, tensors)
            input, other = _pair(name, input, other)
            if check:
                check(input, other)
            if to_float:
                input, other = floating(input), floating(other)
            x, y = input._array, other._array
        try:
            result = wrap(kernel(x, y))
        except ValueError:
            raise broadcast_error(name, x.shape, y.shape) from None
        views = input._base is not None or other._base is not None
        if input._format or other._format or (views and result._array.ndim > 2):
            keep_order(result, input, other)
        if MODE.enabled and (input._rg or other._rg):
            node = _join(node_type, input, other)
            if node is not None:
                result._node, result._rg = node, True
        return result if out is None else write_out(result, out)

    def function_(self, other):
        if tensors == "both":
            check_tensor(name + "_", other, "other", 2)
        check_writable(self)
        input, other = _pair(name, before(self), other)
        if input._array.dtype != self._array.dtype or (to_float and input._array.dtype.kind in "iub"):
            return assign(self, function(input, other), name + "_")
        node = _join(node_type, input, other) if MODE.enabled and (input._rg or other._rg) else None
        if node is not None:
            keep_old_value(node, input)
        try:
            kernel(self._array, other._array, out=self._array)
        except ValueError:
            raise _inplace_error(name, self, other) from None
        return after(self, node)

    function.__name__ = function.__qualname__ = name
    function_.__name__ = function_.__qualname__ = name + "_"
    function_.__doc__ = f"In-place form of `{name}`: writes the result into this tensor and returns it."
    return function, function_


def _inplace_error(name: str, target: Tensor, other: Tensor) -> RuntimeError:
    try:
        shape = np.broadcast_shapes(target._array.shape, other._array.shape)
    except ValueError:
        return broadcast_error(name + "_", target._array.shape, other._array.shape)
    return RuntimeError(
        f"output with shape {list(target.shape)} doesn't match the broadcast shape {list(shape)} ({name}_)"
    )


def define(name: str, kernel, node_type, *, doc: str, example: str, aliases=(), **options):
    """Define and list a two-operand op under its names."""
    function, function_ = binary(name, kernel, node_type, **options)
    function.__doc__ = _binary_doc(doc, example)
    op(name=name, inplace=function_)(function)
    for other_name in aliases:
        alias(other_name, function)
    return function


def _binary_doc(doc: str, example: str) -> str:
    code, value = example.split(" -> ")
    return f"""{doc}

    Args:
        input: a tensor.
        other: a tensor whose shape broadcasts with the first's, or a number.
        out: where to put the result.
    Returns:
        A tensor of the broadcast shape and the promoted type.
    Raises:
        RuntimeError: the shapes do not broadcast together.

    >>> import rushlight as torch
    >>> {code}
    {value}
    """


def _join(node_type: type[Node] | None, x: Tensor, y: Tensor) -> Node | None:
    """The node of a result computed from x and y; each is saved only where the other needs it."""
    if node_type is None:
        return None
    node = connect(node_type(), (x, y))
    node.keep(x, y)
    return node


class _ShapesNode(Node):
    """A node that needs of its inputs only their shapes."""

    def keep(self, x, y):
        self.shapes = x._array.shape, y._array.shape


class AddBackward0(_ShapesNode):
    def backward(self, grad):
        to_x, to_y = self.edges
        x, y = self.shapes
        return None if to_x is None else sum_to(grad, x), None if to_y is None else sum_to(grad, y)


class SubBackward0(_ShapesNode):
    def backward(self, grad):
        to_x, to_y = self.edges
        x, y = self.shapes
        return None if to_x is None else sum_to(grad, x), None if to_y is None else sum_to(-grad, y)


class MulBackward0(Node):
    shapes = None  # of the operands, where they differ

    def keep(self, x, y):
        if x._array.shape != y._array.shape:
            self.shapes = x._array.shape, y._array.shape
        to_x, to_y = self.edges
        saved = (
            None if to_y is None else x,
            None if to_x is None else y,
        )  # each is needed for the other's gradient
        if x._vc is y._vc is None:
            self.saved = saved
        else:
            self.save(*saved)

    def backward(self, grad):
        x, y = self.unpack()
        if MODE.enabled or grad._array.dtype.kind != "f":
            gx, gy = None if y is None else mul(grad, conj(y)), None if x is None else mul(grad, conj(x))
        else:  # the common case, without mul's own checks
            g = grad._array
            gx = None if y is None else wrap(K.mul(g, y._array))
            gy = None if x is None else wrap(K.mul(g, x._array))
        if self.shapes is None:
            return gx, gy
        x_shape, y_shape = self.shapes
        return None if gx is None else sum_to(gx, x_shape), None if gy is None else sum_to(gy, y_shape)


class BothNode(Node):
    """A node that keeps both operands."""

    def keep(self, x, y):
        self.save(x, y)


class DivBackward0(Node):
    def keep(self, x, y):
        self.shapes = x._array.shape, y._array.shape
        self.save(None if self.edges[1] is None else x, y)

    def backward(self, grad):
        x, y = self.unpack()
        to_x, to_y = self.edges
        gx = div(grad, conj(y))
        return (
            None if to_x is None else sum_to(gx, self.shapes[0]),
            None if to_y is None else sum_to(-mul(gx, conj(div(x, y))), self.shapes[1]),
        )


class PowBackward1(BothNode):
    def backward(self, grad):
        x, y = self.unpack()
        to_x, to_y = self.edges
        gx = gy = None
        if to_x is not None:
            slope = mul(y, pow(x, sub(y, 1))).masked_fill(y == 0, 0)
            gx = sum_to(mul(grad, conj(slope)), x._array.shape)
        if to_y is not None:
            # 0 ** y is flat for y >= 0, although log(0) is not finite.
            zero = (x == 0) & ((y.real if y.is_complex() else y) >= 0)
            slope = mul(pow(x, y), x.masked_fill(zero, 1).log()).masked_fill(zero, 0)
            gy = sum_to(mul(grad, conj(slope)), y._array.shape)
        return gx, gy


class PowBackward0(Node):
    """A power with a number for its exponent."""

    def backward(self, grad):
        (x,) = self.unpack()
        if self.exponent == 0:
            return x.new_zeros(x.shape)
        power = x if self.exponent == 2 else pow(x, self.exponent - 1)
        return mul(grad, conj(mul(power, self.exponent)))


class _SharedNode(BothNode):
    """The larger or smaller of two: equal elements share the gradient."""

    def backward(self, grad):
        x, y = self.unpack()
        to_x, to_y = self.edges
        halved = (grad / 2).where(x == y, grad)
        return (
            None if to_x is None else sum_to(mul(halved, self.wins(x, y)), x._array.shape),
            None if to_y is None else sum_to(mul(halved, self.wins(y, x)), y._array.shape),
        )


class MaximumBackward0(_SharedNode):
    @staticmethod
    def wins(a, b):
        return a >= b


class MinimumBackward0(_SharedNode):
    @staticmethod
    def wins(a, b):
        return a <= b


class FmaxBackward0(BothNode):
    def backward(self, grad):
        x, y = self.unpack()
        chosen = self.wins(x, y) | (y != y)
        return sum_to(mul(grad, chosen), x._array.shape), sum_to(mul(grad, ~chosen), y._array.shape)

    @staticmethod
    def wins(x, y):
        return x >= y


class FminBackward0(FmaxBackward0):
    @staticmethod
    def wins(x, y):
        return x <= y


class RemainderBackward0(BothNode):
    rounded = "floor"

    def backward(self, grad):
        x, y = self.unpack()
        to_x, to_y = self.edges
        return (
            None if to_x is None else sum_to(grad, x._array.shape),
            None
            if to_y is None
            else sum_to(-mul(grad, div(x, y, rounding_mode=self.rounded)), y._array.shape),
        )


class FmodBackward0(RemainderBackward0):
    rounded = "trunc"


class Atan2Backward0(BothNode):
    def backward(self, grad):
        x, y = self.unpack()
        scaled = div(grad, add(mul(x, x), mul(y, y)))
        return sum_to(mul(scaled, y), x._array.shape), sum_to(-mul(scaled, x), y._array.shape)


class HypotBackward0(BothNode):
    def backward(self, grad):
        x, y = self.unpack()
        scaled = div(grad, hypot(x, y))
        return sum_to(mul(scaled, x), x._array.shape), sum_to(mul(scaled, y), y._array.shape)


def _no_bool_sub(x, y):
    if (
        isinstance(x, Tensor)
        and x._array.dtype.kind == "b"
        and (isinstance(y, bool) or (isinstance(y, Tensor) and y._array.dtype.kind == "b"))
    ):
        raise RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` "
            "operator instead."
        )


def kinds(name: str, allowed: str):
    """A check that the operands' type is one of these kinds of NumPy's types."""

    def check(x: Tensor, y: Tensor):
        kind = x._array.dtype.kind
        if ("f" if kind == "V" else kind) not in allowed:
            raise not_implemented(name, x)

    return check


_add, _add_ = binary("add", K.add, AddBackward0)
_sub, _sub_ = binary("sub", K.sub, SubBackward0)


def _alpha_first(name: str, *arguments) -> tuple[list, list]:
    """The tensors and alpha of `add(input, alpha, other)`, the old order."""
    tensors, numbers = in_todays_order(name, arguments, 2, ("alpha",))
    return tensors, list(numbers.values())


def _add_in_place(self, other, *last, alpha=1):
    """In-place form of `add`."""
    if last:
        (self, other), (alpha,) = _alpha_first("add_", self, other, *last)
    try:
        return _add_(self, other if alpha == 1 else mul(other, alpha))
    except SparseError:
        return overloaded("add_", self, other, alpha=alpha)


def _sub_in_place(self, other, *last, alpha=1):
    """In-place form of `sub`."""
    if last:
        (self, other), (alpha,) = _alpha_first("sub_", self, other, *last)
    _no_bool_sub(self, other)
    try:
        return _sub_(self, other if alpha == 1 else mul(other, alpha))
    except SparseError:
        return overloaded("sub_", self, other, alpha=alpha)


@op(inplace=_add_in_place)
def add(input, other, *last, alpha=1, out=None):
    """input + alpha * other.

    Args:
        input: a tensor.
        other: a tensor whose shape broadcasts with the first's, or a number.
        alpha: what `other` is multiplied by.
        out: where to put the result.
    Returns:
        A tensor of the broadcast shape and the promoted type.
    Raises:
        RuntimeError: the shapes do not broadcast together.

    >>> import rushlight as torch
    >>> torch.add(torch.tensor([1, 2]), torch.tensor([1, 1]), alpha=10)
    tensor([11, 12])
    """
    if last:
        (input, other), (alpha,) = _alpha_first("add", input, other, *last)
    return _add(input, other if alpha == 1 else mul(other, alpha), out=out)


@op(inplace=_sub_in_place)
def sub(input, other, *last, alpha=1, out=None):
    """input - alpha * other.

    Args:
        input: a tensor.
        other: a tensor whose shape broadcasts with the first's, or a number.
        alpha: what `other` is multiplied by.
        out: where to put the result.
    Returns:
        A tensor of the broadcast shape and the promoted type.
    Raises:
        RuntimeError: the shapes do not broadcast together, or both are truth values.

    >>> import rushlight as torch
    >>> torch.sub(torch.tensor([5, 6]), 1)
    tensor([4, 5])
    """
    if last:
        (input, other), (alpha,) = _alpha_first("sub", input, other, *last)
    try:
        _no_bool_sub(input, other)
    except SparseError:
        return overloaded("sub", input, other, alpha=alpha)
    return _sub(input, other if alpha == 1 else mul(other, alpha), out=out)


alias("subtract", sub)


@op()
def rsub(input, other, *, alpha=1):
    """other - alpha * input.

    >>> import rushlight as torch
    >>> torch.rsub(torch.tensor([1, 2]), 10)
    tensor([9, 8])
    """
    check_operands("rsub", input, other, "input")
    is_tensor = isinstance(other, Tensor)
    other = as_type(other, result_type(input, other))
    result = sub(other, input, alpha=alpha)
    return shown_as("RsubBackward0" if is_tensor else "RsubBackward1", result)


mul = define(
    "mul", K.mul, MulBackward0, doc="Product.", aliases=("multiply",),
    example="torch.mul(torch.tensor([1, 2]), 3) -> tensor([3, 6])",
)  # fmt: skip
_div, _div_ = binary("div", K.div, DivBackward0, to_float=True)
_floor_divide, _floor_divide_ = binary(
    "floor_divide", K.floor_divide, None, check=kinds("div_floor_cpu", "iuf")
)
_trunc_divide, _trunc_divide_ = binary(
    "trunc_divide", K.trunc_divide, None, check=kinds("div_trunc_cpu", "iuf")
)
_DIVIDE = {
    None: (_div, _div_),
    "floor": (_floor_divide, _floor_divide_),
    "trunc": (_trunc_divide, _trunc_divide_),
}


def _divider(rounding_mode):
    try:
        return _DIVIDE[rounding_mode]
    except KeyError:
        raise RuntimeError(
            f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'"
        ) from None


def _div_in_place(self, other, *, rounding_mode=None):
    """In-place form of `div`."""
    if rounding_mode is None:
        return _div_(self, other)
    return _round_divided(self, other, rounding_mode=rounding_mode)


@op(inplace=_div_in_place)
def div(input, other, *, rounding_mode=None, out=None):
    """Quotient, true or rounded.

    Args:
        input: a tensor.
        other: a tensor whose shape broadcasts with the first's, or a number.
        rounding_mode: None for the true quotient, "trunc" towards zero, "floor" downwards.
        out: where to put the result.
    Returns:
        A tensor of the broadcast shape; of a floating-point type where nothing is rounded.
    Raises:
        RuntimeError: the shapes do not broadcast together, or the rounding mode is unknown.

    >>> import rushlight as torch
    >>> torch.div(torch.tensor([-7, 7]), 2, rounding_mode="floor")
    tensor([-4,  3])
    """
    if rounding_mode is None:
        return _div(input, other, out=out)
    result = _divider(rounding_mode)[0](input, other)
    if MODE.enabled and result._array.dtype.kind not in "iub":  # rounding has no slope
        parents = [t for t in (input, other) if isinstance(t, Tensor) and t._rg]
        if parents:
            result = record(
                result._array, RoundedDivBackward0, parents, shapes=[t._array.shape for t in parents]
            )
    return write_out(result, out)


_round_divided = inplace_form(div, "div_")


class RoundedDivBackward0(Node):
    """A rounded quotient: flat nearly everywhere."""

    def backward(self, grad):
        return tuple(grad.new_zeros(shape) for shape in self.shapes)


alias("divide", div)


@op()
def true_divide(input, other, *, out=None):
    """The true quotient: `div` without rounding.

    >>> import rushlight as torch
    >>> torch.true_divide(torch.tensor([1]), 2)
    tensor([0.5000])
    """
    return _div(input, other, out=out)


@op(inplace=_floor_divide_)
def floor_divide(input, other, *, out=None):
    """The quotient rounded downwards.

    >>> import rushlight as torch
    >>> torch.floor_divide(torch.tensor([-7.0, 7.0]), 2)
    tensor([-4.,  3.])
    """
    return div(input, other, rounding_mode="floor", out=out)


_pow, _pow_ = binary("pow", K.pow, PowBackward1, tensors="any")


@op(inplace=True)
def pow(input, exponent, *, out=None):
    """input to the power of exponent.

    Args:
        input: a tensor, or a number where the exponent is a tensor.
        exponent: a tensor whose shape broadcasts with the first's, or a number.
        out: where to put the result.
    Returns:
        A tensor of the broadcast shape and the promoted type.
    Raises:
        RuntimeError: an integer tensor is to be raised to a negative whole power.

    >>> import rushlight as torch
    >>> torch.pow(torch.tensor([1.0, 2.0, 3.0]), 2)
    tensor([1., 4., 9.])
    """
    if isinstance(exponent, Number) and isinstance(input, Tensor):
        try:
            return write_out(_pow_number(input, exponent), out)
        except SparseError:
            return overloaded("pow", input, exponent)
    result = _pow(input, exponent, out=out)
    return (
        shown_as("PowBackward2", result)
        if isinstance(input, Number) and isinstance(exponent, Tensor)
        else result
    )


def _pow_number(x: Tensor, exponent) -> Tensor:
    if x._array.dtype.kind in "iu" and isinstance(exponent, int) and exponent < 0:
        raise RuntimeError(
            "Integers to negative integer powers are not allowed. Convert the tensor with .float()."
        )
    if exponent == 2 and x._array.dtype.kind != "b":
        array = K.mul(x._array, x._array)
    else:
        base, power = _pair("pow", x, exponent)
        x, array = base, K.pow(base._array, power._array)
    if MODE.enabled and x._rg:
        result = record(array, PowBackward0, (x,), x, exponent=exponent)
    else:
        result = wrap(array)
    return keep_order(result, x) if array.ndim > 2 else result


maximum = define(
    "maximum", K.maximum, MaximumBackward0, check=kinds("maximum_cpu", "biuf"), tensors="both",
    doc="The larger of two; nan where one is.",
    example="torch.maximum(torch.tensor([1, 5]), torch.tensor([3, 2])) -> tensor([3, 5])",
)  # fmt: skip
minimum = define(
    "minimum", K.minimum, MinimumBackward0, check=kinds("minimum_cpu", "biuf"), tensors="both",
    doc="The smaller of two; nan where one is.",
    example="torch.minimum(torch.tensor([1, 5]), torch.tensor([3, 2])) -> tensor([1, 2])",
)  # fmt: skip
fmax = define(
    "fmax", K.fmax, FmaxBackward0, check=kinds("fmax_cpu", "biuf"), tensors="both",
    doc="The larger of two; a number rather than nan.",
    example="torch.fmax(torch.tensor([1.0]), torch.tensor([float('nan')])) -> tensor([1.])",
)  # fmt: skip
fmin = define(
    "fmin", K.fmin, FminBackward0, check=kinds("fmin_cpu", "biuf"), tensors="both",
    doc="The smaller of two; a number rather than nan.",
    example="torch.fmin(torch.tensor([1.0]), torch.tensor([float('nan')])) -> tensor([1.])",
)  # fmt: skip
remainder = define(
    "remainder", K.remainder, RemainderBackward0, tensors="any", check=kinds("remainder_cpu", "iuf"),
    doc="What is left after floor division, with the divisor's sign.",
    example="torch.remainder(torch.tensor([-3, 3]), 2) -> tensor([1, 1])",
)  # fmt: skip
fmod = define(
    "fmod", K.fmod, FmodBackward0, tensors="input", check=kinds("fmod_cpu", "iuf"),
    doc="What is left after division towards zero, with the dividend's sign.",
    example="torch.fmod(torch.tensor([-3, 3]), 2) -> tensor([-1,  1])",
)  # fmt: skip
atan2 = define(
    "atan2", K.atan2, Atan2Backward0, to_float=True, check=kinds("atan2_cpu", "biuf"), tensors="both",
    doc="The angle of the point (other, input), in radians.",
    aliases=("arctan2",), example="torch.atan2(torch.tensor([1.0]), torch.tensor([1.0])) -> tensor([0.7854])",
)  # fmt: skip
hypot = define(
    "hypot", K.hypot, HypotBackward0, check=kinds("hypot_cpu", "f"), tensors="both",
    doc="The length of the hypotenuse of a right triangle.",
    example="torch.hypot(torch.tensor([3.0]), torch.tensor([4.0])) -> tensor([5.])",
)  # fmt: skip


for _dunder, _function in {
    "__add__": _add, "__radd__": _add, "__sub__": sub, "__rsub__": rsub, "__mul__": mul, "__rmul__": mul,
    "__truediv__": _div, "__rtruediv__": lambda self, other: self.reciprocal() * other,
    "__floordiv__": floor_divide,
    "__rfloordiv__": lambda self, other: floor_divide(as_type(other, result_type(self, other)), self),
    "__mod__": remainder, "__rmod__": lambda self, other: remainder(as_type(other, result_type(self, other)), self),
    "__pow__": pow, "__rpow__": lambda self, other: pow(other, self),
    "__iadd__": _add_, "__isub__": _sub_in_place, "__imul__": Tensor.mul_, "__itruediv__": _div_,
    "__ifloordiv__": _floor_divide_, "__imod__": Tensor.remainder_, "__ipow__": Tensor.pow_,
}.items():  # fmt: skip
    setattr(Tensor, _dunder, _function)
Tensor.__rdiv__, Tensor.true_divide_ = Tensor.__rtruediv__, _div_
