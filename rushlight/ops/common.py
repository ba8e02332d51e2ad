"""What op families share: promotion, broadcasting of gradients, `out=`, checks of arguments."""

import functools

import numpy as np

from rushlight import dtypes
from rushlight.autograd.grad_mode import MODE
from rushlight.autograd.node import Node, connect
from rushlight.autograd.views import after, before, check_writable
from rushlight.config import fills_uninitialized_memory
from rushlight.dtypes import SCALAR_NAMES, combine, dtype, from_numpy_dtype, scalar_dtype
from rushlight.kernels.reference.layout import empty_by
from rushlight.sparse_tensor import SparseError, unsupported
from rushlight.tensor import Tensor, recording, wrap

Number = (bool, int, float, complex, np.number, np.bool_)


def record(array, node_type: type[Node], inputs, *saved, **fields) -> Tensor:
    """A result with its node: `inputs` are its edges, `saved` what its backward unpacks, `fields` attributes.

    Call it only where `recording(*inputs)`.
    """
    node = connect(node_type(), inputs)
    if saved:
        node.save(*saved)
    if fields:
        node.__dict__.update(fields)
    out = wrap(array)
    out._node, out._rg = node, True
    return out


def keep_order(result: Tensor, *inputs) -> Tensor:
    """Mark the order of a result's elements in memory as the user's wish where that of an operand is, as PyTorch does."""
    array = result._array
    turned = array.ndim > 2 and not array.flags.c_contiguous
    for t in inputs:
        if isinstance(t, Tensor):
            if t._format is not None:
                result._format = t._format
                break
            if (
                turned and t._base is not None and not t._array.flags.c_contiguous
            ):  # a view's order is the user's
                result._format = "fixed"
                break
    return result


def record_many(arrays, node_type: type[Node], inputs, *saved, differentiable=None, **fields) -> tuple:
    """As `record`, for a node with several outputs; `differentiable` says which ones have gradients."""
    node = connect(node_type(), inputs)
    node.outputs = len(arrays)
    if saved:
        node.save(*saved)
    node.__dict__.update(fields)
    outs = tuple(wrap(a) for a in arrays)
    for i, out in enumerate(outs):
        if differentiable is None or differentiable[i]:
            out._node, out._nr, out._rg = node, i, True
    return outs


_REALS = frozenset((int, float))


def result_type(*operands) -> dtype:
    """The type of an operation on these tensors and numbers.

    >>> import rushlight as torch
    >>> torch.result_type(torch.tensor([1, 2]), 1.5)
    torch.float32
    """
    first, *others = operands
    if isinstance(first, Tensor) and first._array.dtype.kind == "f" and _REALS.issuperset(map(type, others)):
        return first.dtype
    groups: list[dtype | None] = [None, None, None]
    for operand in operands:
        if isinstance(operand, Tensor):
            kind, group = operand.dtype, 0 if operand._array.ndim else 1
        else:
            kind, group = scalar_dtype(operand), 2
        groups[group] = kind if groups[group] is None else dtypes.promote_types(groups[group], kind)
    return combine(*groups)


def promote(op: str, *operands) -> list[Tensor]:
    """The operands as tensors of their common type.

    Raises:
        TypeError: an operand is neither a tensor nor a number.
    """
    operands = [wrap(o) if type(o) is np.ndarray else o for o in operands]
    for i, operand in enumerate(operands):
        if not isinstance(operand, (Tensor, *Number)):
            raise TypeError(
                f"{op}(): argument '{('input', 'other')[i] if i < 2 else i}' (position {i + 1}) must be Tensor or "
                f"Number, not {type(operand).__name__}"
            )
    common = result_type(*operands)
    return [as_type(operand, common) for operand in operands]


def as_type(operand, kind: dtype) -> Tensor:
    """A tensor or number as a tensor of this type; gradients flow through the conversion."""
    if isinstance(operand, Tensor):
        return operand if operand._array.dtype == kind.numpy else operand.to(kind)
    with np.errstate(over="ignore"):
        return wrap(np.asanyarray(operand).astype(kind.numpy))


def check_operands(op: str, input, other, tensors: str) -> None:
    """Refuse numbers where an op wants tensors: `tensors` is "both", "input" or "any"."""
    if tensors == "both":
        check_tensor(op, input)
        check_tensor(op, other, "other", 2)
    elif not isinstance(input, Tensor) and (tensors == "input" or not isinstance(other, Tensor)):
        kinds = f"({type(input).__name__}, {type(other).__name__})"
        wanted = "(Tensor input, Tensor or Number other)" + " or (Number input, Tensor other)" * (
            tensors == "any"
        )
        raise TypeError(
            f"{op}() received an invalid combination of arguments - got {kinds}, but expected {wanted}"
        )


def check_tensor(op: str, value, name: str = "input", position: int = 1) -> Tensor:
    """`value`, which must be a Tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(
            f"{op}(): argument '{name}' (position {position}) must be Tensor, not {type(value).__name__}"
        )
    return value


def required_dim(op: str, axis):
    """The dimension under NumPy's name of it, where none was given as `dim`."""
    if axis is None:
        raise TypeError(f'{op}() missing 1 required positional arguments: "dim"')
    return axis


def overloaded(name: str, *args, **kwargs):
    """What an op does with operands of which one is no dense tensor.

    Raises:
        NotImplementedError: sparse tensors do not have this op. TypeError: an operand is no tensor.
    """
    for arg in args:
        table = getattr(type(arg), "ops", None)
        if table is not None:
            if name not in table:
                raise unsupported(name)
            return table[name](*args, **kwargs)
    for i, arg in enumerate(args):
        check_tensor(name, arg, ("input", "other")[i] if i < 2 else str(i), i + 1)
    raise TypeError(f"{name}(): expected tensors")


def or_sparse(function):
    """Decorator of an op that sparse tensors have too."""

    @functools.wraps(function)
    def either(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except SparseError:
            return overloaded(function.__name__, *args, **kwargs)

    return either


def sum_to(grad: Tensor, shape: tuple) -> Tensor:
    """The gradient of something that was broadcast from `shape`."""
    have = grad._array.shape
    if have == shape:
        return grad
    lead = len(have) - len(shape)
    dims = [*range(lead), *(lead + i for i, n in enumerate(shape) if n == 1 and have[lead + i] != 1)]
    summed = grad.sum(dims, keepdim=True) if dims else grad
    return summed.reshape(shape)


def conj(t: Tensor) -> Tensor:
    """The conjugate of a complex tensor, any other unchanged: gradients of holomorphic functions use it."""
    return t.conj() if t._array.dtype.kind == "c" else t


def broadcast_error(op: str, *shapes) -> RuntimeError:
    """PyTorch's error for shapes that do not broadcast together."""
    a, b = shapes[0], shapes[1]
    for i in range(1, max(len(a), len(b)) + 1):
        m = a[-i] if i <= len(a) else 1
        n = b[-i] if i <= len(b) else 1
        if m != n and 1 not in (m, n):
            dim = max(len(a), len(b)) - i
            return RuntimeError(
                f"The size of tensor a ({m}) must match the size of tensor b ({n}) at non-singleton dimension {dim} "
                f"({op}: got shapes {list(a)} and {list(b)}; reshape or unsqueeze one so that each dimension is equal "
                "or 1)"
            )
    return RuntimeError(f"{op}: shapes {[list(s) for s in shapes]} do not broadcast together")


def not_implemented(kernel: str, x: np.ndarray | Tensor) -> NotImplementedError:
    """PyTorch's error for a type that an op does not take."""
    kind = x.dtype if isinstance(x, Tensor) else wrap(x).dtype
    return NotImplementedError(f"\"{kernel}\" not implemented for '{SCALAR_NAMES[kind]}'")


def write_out(result: Tensor, out: Tensor | None, *, exact=False, warn=True) -> Tensor:
    """`result`, or `out` holding it, resized where its shape differs as PyTorch does.

    Args:
        exact: `out` must have the result's own type, not just one that this can be converted to.
        warn: tell that a tensor with elements was resized.
    """
    if out is None:
        return result
    check_tensor("out", out, "out")
    if (result._rg or out._rg) and MODE.enabled:
        raise RuntimeError(
            "functions with out=... arguments don't support automatic differentiation, but one of the "
            "arguments requires grad."
        )
    if result._array.dtype != out._array.dtype:
        if exact:
            raise RuntimeError(
                f"Expected out tensor to have dtype {result.dtype}, but got {out.dtype} instead"
            )
        if not dtypes.can_cast(result.dtype, out.dtype):
            raise RuntimeError(
                f"result type {SCALAR_NAMES[result.dtype]} can't be cast to the desired output type "
                f"{SCALAR_NAMES[out.dtype]}"
            )
    if out._array.shape != result._array.shape:
        if warn and out._array.size:
            import warnings

            warnings.warn(
                f"An output with one or more elements was resized since it had shape {list(out.shape)}, which does not "
                f"match the required output shape {list(result.shape)}.",
                stacklevel=3,
            )
        out._array = empty_by(out._array, result._array.shape)
    np.copyto(out._array, result._array, casting="unsafe")
    out._bump()
    return out


def write_outs(results, out, named=tuple, *, exact=True):
    """Several results as a tuple of this kind, in the tensors `out` if these are given."""
    if out is None:
        return named(results)
    if not isinstance(out, (tuple, list)) or len(out) != len(results):
        given = f"{len(out)} tensors" if isinstance(out, (tuple, list)) else type(out).__name__
        raise TypeError(f"out: expected a tuple of {len(results)} tensors, got {given}")
    return named([write_out(r, o, exact=exact) for r, o in zip(results, out, strict=True)])


def floating(t: Tensor) -> Tensor:
    """The tensor, integers and truth values as the default floating-point type."""
    return t.to(dtypes.get_default_dtype()) if t._array.dtype.kind in "iub" else t


def unset(shape, kind: np.dtype) -> np.ndarray:
    """Memory that nothing was written to; filled where repeatable results were asked for."""
    array = np.empty(shape, kind)
    if fills_uninitialized_memory():
        array.fill(np.iinfo(kind).max if kind.kind in "iu" else True if kind.kind == "b" else np.nan)
    return array


__all__ = [
    "MODE",
    "Node",
    "Number",
    "Tensor",
    "after",
    "as_type",
    "before",
    "broadcast_error",
    "check_operands",
    "check_tensor",
    "check_writable",
    "conj",
    "connect",
    "dtype",
    "floating",
    "from_numpy_dtype",
    "not_implemented",
    "or_sparse",
    "overloaded",
    "promote",
    "record",
    "record_many",
    "recording",
    "required_dim",
    "result_type",
    "sum_to",
    "unset",
    "wrap",
    "write_out",
    "write_outs",
]  # fmt: skip
