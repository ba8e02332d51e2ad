"""Comparisons, logic, choice between two (`where`, `clamp`, `masked_fill` is in indexing) and blends of them."""

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.node import Node, shown_as
from rushlight.autograd.views import after, assign, check_writable, inplace
from rushlight.kernels.reference.layout import is_low_precision
from rushlight.ops.common import (
    MODE,
    Number,
    Tensor,
    as_type,
    broadcast_error,
    check_operands,
    check_tensor,
    keep_order,
    not_implemented,
    promote,
    record,
    result_type,
    sum_to,
    wrap,
    write_out,
)
from rushlight.ops.deprecated import also_in_old_order
from rushlight.ops.registry import alias, op
from rushlight.tensor import recording


def _operands(name: str, input, other):
    """Two arrays of one type: a number beside a tensor keeps its exact value where the type is inexact."""
    try:
        x, y = input._array, other._array
        if x.dtype is y.dtype:
            return x, y
    except AttributeError:
        pass
    check_operands(name, input, other, "input")
    if isinstance(other, Number):
        kind = input._array.dtype.kind
        if kind == "f" or (kind in "iu" and type(other) is int):
            return input._array, np.asanyarray(other) if kind in "iu" else np.asanyarray(
                other, input._array.dtype
            )
    input, other = promote(name, input, other)
    return input._array, other._array


def _comparison(name: str, kernel, sign: str, dunder: str, value: str, aliases=()):
    """Define a comparison: a tensor of truth values, through which no gradient flows."""

    def function(input, other, *, out=None):
        x, y = _operands(name, input, other)
        if ordered and x.dtype.kind == "c":
            raise not_implemented(name + "_cpu", x)
        try:
            result = keep_order(wrap(kernel(x, y)), input, other)
        except ValueError:
            raise broadcast_error(name, x.shape, y.shape) from None
        return result if out is None else write_out(result, out)

    ordered = name not in ("eq", "ne")

    def operator(self, other):
        if not isinstance(other, (Tensor, *Number)) and dunder in ("__eq__", "__ne__"):
            return NotImplemented
        return function(self, other)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""Where input {sign} other, element by element.

    Args:
        input: a tensor.
        other: a tensor whose shape broadcasts with the first's, or a number.
        out: where to put the result.
    Returns:
        A tensor of truth values of the broadcast shape.

    >>> import rushlight as torch
    >>> torch.{name}(torch.tensor([1, 2]), 2)
    tensor([{value}])
    """
    op(name=name, inplace=_to_own_type(function, name))(function)
    for other_name in aliases:
        alias(other_name, function)
    setattr(Tensor, dunder, operator)
    return function


def _to_own_type(function, name: str):
    """The in-place form of an op whose result, truth values, is stored in the tensor's own type."""

    def method(self, *args):
        check_writable(self)
        return assign(self, function(self, *args).to(self.dtype), name + "_")

    method.__name__ = method.__qualname__ = name + "_"
    method.__doc__ = f"In-place form of `{name}`: writes the result into this tensor and returns it."
    return method


eq = _comparison("eq", K.eq, "==", "__eq__", "False,  True")
ne = _comparison("ne", K.ne, "!=", "__ne__", " True, False", aliases=("not_equal",))
lt = _comparison("lt", K.lt, "<", "__lt__", " True, False", aliases=("less",))
le = _comparison("le", K.le, "<=", "__le__", "True, True", aliases=("less_equal",))
gt = _comparison("gt", K.gt, ">", "__gt__", "False, False", aliases=("greater",))
ge = _comparison("ge", K.ge, ">=", "__ge__", "False,  True", aliases=("greater_equal",))


def _logical(name: str, ufunc, doc: str, value: str):
    def function(input, other, *, out=None):
        x, y = check_tensor(name, input)._array, check_tensor(name, other, "other", 2)._array
        try:
            result = keep_order(wrap(ufunc(x.astype(bool), y.astype(bool))), input, other)
        except ValueError:
            raise broadcast_error(name, x.shape, y.shape) from None
        return write_out(result, out)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""{doc}

    >>> import rushlight as torch
    >>> torch.{name}(torch.tensor([True, False]), torch.tensor([True, True]))
    tensor([{value}])
    """
    return op(name=name, inplace=_to_own_type(function, name))(function)


logical_and = _logical("logical_and", np.logical_and, "Where both are true (not zero).", " True, False")
logical_or = _logical("logical_or", np.logical_or, "Where at least one is true (not zero).", "True, True")
logical_xor = _logical("logical_xor", np.logical_xor, "Where exactly one is true (not zero).", "False,  True")


@op()
def logical_not(input, *, out=None):
    """Where an element is zero or false.

    >>> import rushlight as torch
    >>> torch.logical_not(torch.tensor([0, 2]))
    tensor([ True, False])
    """
    return write_out(wrap(np.logical_not(check_tensor("logical_not", input)._array.astype(bool))), out)


Tensor.logical_not_ = _to_own_type(logical_not, "logical_not")


def _bitwise(name: str, ufunc, doc: str, example: str, operators=()):
    def function(input, other, *, out=None):
        check_operands(name, input, other, "any")
        input, other = promote(name, input, other)
        x, y = input._array, other._array
        if x.dtype.kind not in "iub":
            raise NotImplementedError(
                f'"{name}" not implemented for {input.dtype}: expected integer or bool tensors'
            )
        try:
            result = keep_order(wrap(ufunc(x, y)), input, other)
        except ValueError:
            raise broadcast_error(name, x.shape, y.shape) from None
        return write_out(result, out)

    code, value = example.split(" -> ")
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""{doc}

    >>> import rushlight as torch
    >>> {code}
    {value}
    """
    op(name=name, inplace=True)(function)
    for dunder in operators:
        setattr(Tensor, dunder, getattr(Tensor, name + "_") if dunder.startswith("__i") else function)
    return function


bitwise_and = _bitwise(
    "bitwise_and", np.bitwise_and, "The bits set in both.",
    "torch.bitwise_and(torch.tensor([6]), 3) -> tensor([2])", ("__and__", "__rand__", "__iand__"),
)  # fmt: skip
bitwise_or = _bitwise(
    "bitwise_or", np.bitwise_or, "The bits set in either.",
    "torch.bitwise_or(torch.tensor([6]), 3) -> tensor([7])", ("__or__", "__ror__", "__ior__"),
)  # fmt: skip
bitwise_xor = _bitwise(
    "bitwise_xor", np.bitwise_xor, "The bits set in exactly one.",
    "torch.bitwise_xor(torch.tensor([6]), 3) -> tensor([5])", ("__xor__", "__rxor__", "__ixor__"),
)  # fmt: skip
bitwise_left_shift = _bitwise(
    "bitwise_left_shift", np.left_shift, "The bits moved up.",
    "torch.bitwise_left_shift(torch.tensor([1]), 3) -> tensor([8])", ("__lshift__", "__ilshift__"),
)  # fmt: skip
bitwise_right_shift = _bitwise(
    "bitwise_right_shift", np.right_shift, "The bits moved down.",
    "torch.bitwise_right_shift(torch.tensor([8]), 3) -> tensor([1])", ("__rshift__", "__irshift__"),
)  # fmt: skip


@op(inplace=True)
def bitwise_not(input, *, out=None):
    """The bits that are not set.

    >>> import rushlight as torch
    >>> ~torch.tensor([True, False])
    tensor([False,  True])
    """
    array = check_tensor("bitwise_not", input)._array
    if array.dtype.kind not in "iub":
        raise not_implemented("bitwise_not_cpu", input)
    return write_out(wrap(np.invert(array)), out, exact=True)


def _invert(self):
    if self._array.dtype.kind not in "iub":
        raise TypeError("~ (operator.invert) is only implemented on integer and Boolean-type tensors")
    return bitwise_not(self)


Tensor.__invert__ = _invert


def _predicate(name: str, kernel, doc: str, value: str):
    def function(input, *, out=None):
        return write_out(wrap(np.asanyarray(kernel(check_tensor(name, input)._array))), out, exact=True)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""{doc}

    >>> import rushlight as torch
    >>> torch.{name}(torch.tensor([1.0, float("inf"), float("nan")]))
    tensor([{value}])
    """
    return op(name=name)(function)


isnan = _predicate("isnan", K.isnan, "Where an element is not a number.", "False, False,  True")
isinf = _predicate("isinf", K.isinf, "Where an element is infinite.", "False,  True, False")
isfinite = _predicate("isfinite", K.isfinite, "Where an element is finite.", " True, False, False")
isreal = _predicate("isreal", np.isreal, "Where an element has no imaginary part.", "True, True, True")


def _refuses_complex(name: str, function):
    def kernel(array):
        if array.dtype.kind == "c":
            kind = NotImplementedError if name == "signbit" else RuntimeError
            raise kind(f"{name} does not support complex inputs: use the real part, x.real")
        return function(array)

    return kernel


isposinf = _predicate(
    "isposinf",
    _refuses_complex("isposinf", lambda a: a == np.inf),
    "Where an element is +infinity.",
    "False,  True, False",
)
isneginf = _predicate(
    "isneginf",
    _refuses_complex("isneginf", lambda a: a == -np.inf),
    "Where an element is -infinity.",
    "False, False, False",
)
signbit = _predicate(
    "signbit",
    _refuses_complex("signbit", lambda a: a < 0 if a.dtype.kind in "iub" else np.signbit(a)),
    "Where an element has a minus sign, -0.0 included.",
    "False, False, False",
)


@op()
def isclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Where two are equal within atol + rtol * |other|.

    >>> import rushlight as torch
    >>> torch.isclose(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.1]))
    tensor([ True, False])
    """
    check_operands("isclose", input, other, "both")
    if input._array.dtype != other._array.dtype:
        raise RuntimeError(f"{input.dtype} did not match {other.dtype}")
    for name, given in (("rtol", rtol), ("atol", atol)):
        if given < 0:
            raise RuntimeError(f"{name} must be greater than or equal to zero, but got {given}")
    x, y = input._array, other._array
    if x.dtype.kind == "V":
        x, y = x.astype(np.float32), y.astype(np.float32)
    return wrap(np.isclose(x, y, rtol, atol, equal_nan))


@op()
def allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False) -> bool:
    """Whether all elements are equal within atol + rtol * |other|.

    >>> import rushlight as torch
    >>> torch.allclose(torch.tensor([1.0]), torch.tensor([1.0 + 1e-9]))
    True
    """
    return bool(isclose(input, other, rtol, atol, equal_nan)._array.all())


@op()
def equal(input, other) -> bool:
    """Whether two tensors have the same shape and elements.

    >>> import rushlight as torch
    >>> torch.equal(torch.tensor([1, 2]), torch.tensor([1, 2]))
    True
    """
    return np.array_equal(
        check_tensor("equal", input)._array, check_tensor("equal", other, "other", 2)._array
    )


class WhereBackward0(Node):
    def backward(self, grad):
        (condition,) = self.unpack()
        to_x, to_y = self.edges
        return (
            None if to_x is None else sum_to(grad.masked_fill(~condition, 0), self.shapes[0]),
            None if to_y is None else sum_to(grad.masked_fill(condition, 0), self.shapes[1]),
        )


@op(method=False)
def where(condition, input=None, other=None, *, out=None):
    """`input` where the condition holds, `other` elsewhere; the condition alone: where it is not zero.

    Args:
        condition: a tensor of truth values.
        input, other: tensors or numbers; the three broadcast together.
        out: where to put the result.
    Returns:
        A tensor of the broadcast shape and the promoted type, or a tuple of index tensors.
    Raises:
        RuntimeError: the condition is not of truth values, or the shapes do not broadcast.

    >>> import rushlight as torch
    >>> torch.where(torch.tensor([True, False]), 1.0, 0.0)
    tensor([1., 0.])
    """
    check_tensor("where", condition, "condition")
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    test = condition._array
    if test.dtype.kind != "b":
        if test.dtype != np.uint8:
            raise RuntimeError(
                f"where expected condition to be a boolean tensor, but got a tensor with dtype {condition.dtype}"
            )
        test = test.astype(bool)
    common = result_type(input, other)
    input, other = as_type(input, common), as_type(other, common)
    try:
        array = K.where(test, input._array, other._array)
    except ValueError:
        raise broadcast_error("where", test.shape, input._array.shape, other._array.shape) from None
    if recording(input, other):
        shapes = input._array.shape, other._array.shape
        kept = condition if test is condition._array else wrap(test)
        result = record(array, WhereBackward0, (input, other), kept, shapes=shapes)
    else:
        result = wrap(array)
    return write_out(keep_order(result, condition, input, other), out, exact=True)


def _where_method(self, condition, other):
    """This tensor where the condition holds, `other` elsewhere."""
    return where(condition, self, other)


Tensor.where = _where_method


class ClampBackward1(Node):
    def backward(self, grad):
        (x,) = self.unpack()
        if not MODE.enabled and x._array.dtype == np.float32:
            low = -np.inf if self.low is None else self.low
            high = np.inf if self.high is None else self.high
            return wrap(K.clamp_backward(grad._array, x._array, low, high))
        inside = x == x
        if self.low is not None:
            inside = inside & (x >= self.low)
        if self.high is not None:
            inside = inside & (x <= self.high)
        return grad.masked_fill(~inside, 0)  # also where it is nan


def _clamp_in_place(self, min=None, max=None):
    """In-place form of `clamp`: writes the result into this tensor and returns it."""
    numbers = _BOUNDS.issuperset((type(min), type(max))) and not min is max is None
    if not numbers or self._array.dtype != np.float32 or (self._rg and MODE.enabled):
        return _clamp_by_copy(self, min, max)
    check_writable(self)
    K.clamp(self._array, -np.inf if min is None else min, np.inf if max is None else max, out=self._array)
    return after(self, None)


_BOUNDS = frozenset((int, float, type(None)))


@op(inplace=_clamp_in_place)
def clamp(input, min=None, max=None, *, out=None):
    """Elements below `min` become `min`, those above `max` become `max`.

    Args:
        input: a tensor.
        min, max: numbers or tensors that broadcast with the input; None for no bound.
        out: where to put the result.
    Raises:
        RuntimeError: neither bound is given.

    >>> import rushlight as torch
    >>> torch.clamp(torch.tensor([-2.0, 0.5, 3.0]), 0, 1)
    tensor([0.0000, 0.5000, 1.0000])
    """
    if check_tensor("clamp", input)._array.dtype.kind == "c":
        raise not_implemented("clamp_scalar_cpu", input)
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        if min is not None:
            input = input.maximum(as_type(min, result_type(input, min)))
        if max is not None:
            input = input.minimum(as_type(max, result_type(input, max)))
        return write_out(input, out)
    bounds = [b for b in (min, max) if b is not None]
    x = as_type(input, result_type(input, *bounds))
    array = x._array
    if array.dtype.kind == "b":
        raise not_implemented("clamp_scalar_cpu", x)
    if array.dtype == np.float32 or is_low_precision(array.dtype):
        array = K.clamp(array, -np.inf if min is None else min, np.inf if max is None else max)
    else:
        low, high = (None if b is None else np.asanyarray(b).astype(array.dtype) for b in (min, max))
        array = np.asanyarray(_clip(array, low, high))
    if x._rg and MODE.enabled:
        result = record(array, ClampBackward1, (x,), x, low=min, high=max)
    else:
        result = wrap(array)
    return write_out(keep_order(result, input), out)


_clamp_by_copy = inplace(clamp, "clamp_")


def _clip(array, low, high):
    if low is not None:
        array = np.maximum(array, low)
    return array if high is None else np.minimum(array, high)


alias("clip", clamp)


@op(inplace=True)
def clamp_min(input, min, *, out=None):
    """Elements below `min` become `min`.

    >>> import rushlight as torch
    >>> torch.clamp_min(torch.tensor([-1.0, 2.0]), 0)
    tensor([0., 2.])
    """
    name = "ClampMinBackward1" if isinstance(min, Tensor) else "ClampMinBackward0"
    return shown_as(name, clamp(input, min=min, out=out))


@op(inplace=True)
def clamp_max(input, max, *, out=None):
    """Elements above `max` become `max`.

    >>> import rushlight as torch
    >>> torch.clamp_max(torch.tensor([-1.0, 2.0]), 0)
    tensor([-1.,  0.])
    """
    name = "ClampMaxBackward1" if isinstance(max, Tensor) else "ClampMaxBackward0"
    return shown_as(name, clamp(input, max=max, out=out))


def _plain(number, *tensors) -> bool:
    """Whether a formula may run on the arrays: a number, floats of one type and shape, nothing to record."""
    if type(number) not in (float, int) or recording(*tensors):
        return False
    x = tensors[0]._array
    return x.dtype.kind == "f" and all(
        isinstance(t, Tensor) and t._array.dtype is x.dtype and t._array.shape == x.shape for t in tensors
    )


@op(inplace=True)
def lerp(input, end, weight, *, out=None):
    """input + weight * (end - input), a straight line between the two.

    >>> import rushlight as torch
    >>> torch.lerp(torch.tensor([0.0]), torch.tensor([10.0]), 0.5)
    tensor([5.])
    """
    if input._array.dtype != end._array.dtype:
        raise RuntimeError(f"expected dtype {input.dtype} for `end` but got dtype {end.dtype}")
    if input._array.dtype.kind in "iub":
        raise not_implemented("lerp_kernel_scalar", input)
    if _plain(weight, input, end):
        x, y = input._array, end._array
        between = K.sub(y, x)
        start, factor = (x, weight) if weight < 0.5 else (y, weight - 1)
        array = K.mul_add(start, between, factor, out=between)
        return write_out(keep_order(wrap(array), input, end), out)
    far = weight._array >= 0.5 if isinstance(weight, Tensor) else weight >= 0.5
    if isinstance(far, np.ndarray) or isinstance(weight, Tensor):
        near = input + weight * (end - input)
        result = where(wrap(far), end - (end - input) * (1 - weight), near)
        return write_out(shown_as("LerpBackward1", result), out)
    result = end - (end - input) * (1 - weight) if far else input + (end - input) * weight
    return write_out(shown_as("LerpBackward0", result), out)


@op(inplace=True)
@also_in_old_order(3, "value")
def addcmul(input, tensor1, tensor2, *, value=1, out=None):
    """input + value * tensor1 * tensor2.

    >>> import rushlight as torch
    >>> torch.addcmul(torch.tensor([1.0]), torch.tensor([2.0]), torch.tensor([3.0]), value=0.5)
    tensor([4.])
    """
    if _plain(value, input, tensor1, tensor2):
        product = K.mul(tensor1._array, tensor2._array)
        array = K.mul_add(input._array, product, value, out=product)
        return write_out(keep_order(wrap(array), input, tensor1, tensor2), out)
    product = tensor1 * tensor2
    if value != 1:
        product = product * (int(value) if product._array.dtype.kind in "iu" else value)
    return write_out(shown_as("AddcmulBackward0", input + product), out)


@op(inplace=True)
@also_in_old_order(3, "value")
def addcdiv(input, tensor1, tensor2, *, value=1, out=None):
    """input + value * tensor1 / tensor2.

    >>> import rushlight as torch
    >>> torch.addcdiv(torch.tensor([1.0]), torch.tensor([6.0]), torch.tensor([3.0]), value=0.5)
    tensor([2.])
    """
    if tensor1._array.dtype.kind in "iub" and tensor2._array.dtype.kind in "iub":
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported: expected floating-point tensors. Convert with "
            ".float() first."
        )
    if _plain(value, input, tensor1, tensor2):
        part = K.mul(tensor1._array, value)
        part = K.div(part, tensor2._array, out=part)
        array = K.add(input._array, part, out=part)
        return write_out(wrap(array), out)
    quotient = value * tensor1 / tensor2 if value != 1 else tensor1 / tensor2
    return write_out(shown_as("AddcdivBackward0", input + quotient), out)


class NanToNumBackward0(Node):
    def backward(self, grad):
        (x,) = self.unpack()
        return grad * isfinite(x)


@op(inplace=True)
def nan_to_num(input, nan=None, posinf=None, neginf=None, *, out=None):
    """nan and infinities replaced by numbers: by 0 and by the largest finite ones unless given.

    >>> import rushlight as torch
    >>> torch.nan_to_num(torch.tensor([float("nan"), 1.0]))
    tensor([0., 1.])
    """
    array = np.nan_to_num(
        check_tensor("nan_to_num", input)._array,
        nan=0.0 if nan is None else nan,
        posinf=posinf,
        neginf=neginf,
    )
    if input._rg and MODE.enabled:
        result = record(array, NanToNumBackward0, (input,), input)
    else:
        result = wrap(array)
    return write_out(keep_order(result, input), out, exact=True)
