"""Random tensors: PyTorch's CPU numbers after the same seed. The methods that fill are in `random_fills`."""

import numpy as np

from rushlight import dtypes
from rushlight.autograd.grad_mode import no_grad
from rushlight.devices import contiguous_format, is_meta, preserve_format
from rushlight.dtypes import SCALAR_NAMES, dtype, int64
from rushlight.kernels.reference.layout import empty_by
from rushlight.ops.common import Tensor, check_tensor, record, recording, wrap, write_out
from rushlight.ops.creation import _check_options, _filled, _formatted, _like, _numpy_type, _size_of, meta
from rushlight.ops.data import dtype_of, require_grad
from rushlight.ops.parts import broadcast_shapes
from rushlight.ops.random_fills import (
    DIGITS,
    LIMITS,
    REAL,
    WHOLE,
    ZeroBackward,
    bernoulli_,
    check_std,
    fill_in_order,
    integer,
    need,
    normal_,
    normal_fill,
    number,
    overwrite,
    random_fill,
    stream_of,
    uniform_,
    zero_node,
)
from rushlight.ops.registry import op
from rushlight.ops.sorting import topk

BERNOULLI, POISSON = zero_node("BernoulliBackward0"), zero_node("PoissonBackward0")
NORMAL_MEAN, NORMAL_STD, NORMAL_BOTH = map(
    zero_node, ("NormalBackward1", "NormalBackward2", "NormalBackward3")
)

# -- new tensors ------------------------------------------------------------------------------------


def _new(op_name, shape, kind: dtype, fill, out, options, memory_format=contiguous_format) -> Tensor:
    """A tensor of this shape and type, or `out`, which `fill` fills."""
    layout, device, requires_grad = options
    if device is not None or layout is not None:
        if is_meta(device):
            return meta(shape, kind.numpy, requires_grad)
        _check_options(op_name, layout, device)
    if out is None:
        result = _formatted(_filled(op_name, shape, kind.numpy, np.empty), memory_format)
    else:
        result = _resized(op_name, out, shape, kind)
    fill(result)
    return require_grad(result, True) if requires_grad else result


def _resized(op_name: str, out: Tensor, shape, kind: dtype) -> Tensor:
    """`out`, of this shape."""
    check_tensor(op_name, out, "out")
    if out.dtype is not kind:
        raise RuntimeError(f"{op_name}: dtype {kind} does not match dtype of out parameter ({out.dtype})")
    if out._array.shape != tuple(shape):
        write_out(wrap(_filled(op_name, shape, kind.numpy, np.zeros)), out, warn=False)
    return out


def _refuse_gradient(op_name: str, out, *inputs) -> None:
    if out is not None and recording(*inputs):
        raise RuntimeError(
            f"{op_name}(): functions with out=... arguments don't support automatic differentiation, but one of the "
            "arguments requires grad."
        )


def _factory(name: str, fill_method, doc: str, example: str):
    """Define `torch.name(*size)` and `torch.name_like(input)`."""

    def function(
        *size, generator=None, out=None, dtype=None, layout=None, device=None, pin_memory=False,
        requires_grad=False, memory_format=contiguous_format, **named,
    ):  # fmt: skip
        kind = _kind(name, dtype, out)
        return _new(
            name, _size_of(name, size, named), kind, lambda t: fill_method(t, generator=generator), out,
            (layout, device, requires_grad), memory_format,
        )  # fmt: skip

    def like(
        input, *, generator=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False,
        memory_format=preserve_format,
    ):  # fmt: skip
        return _new_like(
            name + "_like", input, dtype, memory_format, lambda t: fill_method(t, generator=generator),
            (layout, device, requires_grad),
        )  # fmt: skip

    function.__name__ = function.__qualname__ = name
    like.__name__ = like.__qualname__ = name + "_like"
    options = """
        generator: where to draw from.
        dtype: the type of the elements.
        layout: `torch.strided`.
        device: where it lies: the CPU.
        requires_grad: whether gradients are to flow to it."""
    function.__doc__ = f"""{doc}

    Args:
        size: its dimensions, one by one or as a sequence.
        out: where to put the result.{options}
    Raises:
        RuntimeError: a dimension is negative. NotImplementedError: integers are asked for.
{example}"""
    like.__doc__ = f"""{doc} Of the shape and type of another tensor.

    Args:
        input: the other tensor.{options}
        memory_format: the order of dimensions in memory; that of the other tensor by default.
    """
    op(method=False)(function)
    op(method=False)(like)
    return function, like


def _kind(op_name: str, given, out: Tensor | None, default: dtype | None = None) -> dtype:
    """The type of the result: the one that is given, that of `out`, or the default."""
    if given is not None:
        return dtype_of(given, op_name)
    if out is not None:
        return out.dtype
    return default or dtypes.get_default_dtype()


def _new_like(op_name: str, input, kind, memory_format, fill, options) -> Tensor:
    """A tensor like `input`, which `fill` fills."""
    layout, device, requires_grad = options
    check_tensor(op_name, input)
    if device is not None or layout is not None:
        _check_options(op_name, layout, device)
    numpy_type = input._array.dtype if kind is None else _numpy_type(kind, op_name)
    result = _like(input, numpy_type, np.empty, memory_format, device)
    fill(result)
    return require_grad(result, requires_grad)


rand, rand_like = _factory("rand", uniform_, "Random numbers, uniform in [0, 1).", """
    >>> import rushlight as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.rand(2)
    tensor([0.4963, 0.7682])
    """)  # fmt: skip
randn, randn_like = _factory("randn", normal_, "Normally distributed numbers, of mean 0 and variance 1.", """
    >>> import rushlight as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.randn(2)
    tensor([ 1.5410, -0.2934])
    """)  # fmt: skip


def _limits(op_name: str, args: tuple, named: dict, last: str | None) -> list:
    """`low`, `high` and the argument `last` out of ([low,] high[, last]), some of them by name."""
    values = list(args)
    found = [] if last is None else [_take(op_name, last, values, named)]
    high = integer(op_name, "high", 2 if len(args) > 2 else 1, _take(op_name, "high", values, named))
    low = _take(op_name, "low", values, named) if values or "low" in named else 0
    if values or named:
        raise TypeError(f"{op_name}() got unexpected arguments: {[*values, *named]}")
    return [integer(op_name, "low", 1, low), high, *found]


def _take(op_name: str, name: str, values: list, named: dict):
    if name in named:
        return named.pop(name)
    if not values:
        raise TypeError(f'{op_name}() missing 1 required positional arguments: "{name}"')
    return values.pop()


@op(method=False)
def randint(
    *args, generator=None, out=None, dtype=None, layout=None, device=None, pin_memory=False,
    requires_grad=False, **named,
):  # fmt: skip
    """Random integers, each as probable as the others: `randint(high, size)` or `randint(low, high, size)`.

    Args:
        low: the least one; 0 by default.
        high: one more than the greatest.
        size: the dimensions, as a sequence.
        generator: where to draw from.
        out: where to put the result.
        dtype: the type of the elements; int64 by default.
        requires_grad: whether gradients are to flow to it.
    Raises:
        RuntimeError: there is none from `low` to `high - 1`, or the type does not hold them.

    >>> import rushlight as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.randint(10, (4,))
    tensor([4, 9, 3, 0])
    """
    low, high, size = _limits("randint", args, named, "size")
    stream = stream_of(generator, "randint")
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"randint(): argument 'size' must be tuple of ints, not {type(size).__name__}")
    kind = _kind("randint", dtype, out, int64)
    return _new(
        "randint", tuple(size), kind, lambda t: random_fill(t, low, high, stream), out,
        (layout, device, requires_grad),
    )  # fmt: skip


@op(method=False)
def randint_like(
    input, *args, generator=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False,
    memory_format=preserve_format, **named,
):  # fmt: skip
    """Random integers of the shape and type of another tensor: `randint_like(input, [low,] high)`.

    Args:
        input: the other tensor.
        low: the least one; 0 by default.
        high: one more than the greatest.
        generator: where to draw from.
        dtype: the type of the elements.
        requires_grad: whether gradients are to flow to it.
        memory_format: the order of dimensions in memory; that of the other tensor by default.
    """
    low, high = _limits("randint_like", args, named, None)
    stream = stream_of(generator, "randint_like")
    return _new_like(
        "randint_like", input, dtype, memory_format, lambda t: random_fill(t, low, high, stream),
        (layout, device, requires_grad),
    )  # fmt: skip


@op(method=False)
def randperm(
    n,
    *,
    generator=None,
    out=None,
    dtype=None,
    layout=None,
    device=None,
    pin_memory=False,
    requires_grad=False,
):
    """The integers from 0 to n - 1 in random order.

    Args:
        n: how many.
        generator: where to draw from.
        out: where to put the result.
        dtype: their type; int64 by default.
        requires_grad: whether gradients are to flow to it.
    Raises:
        RuntimeError: `n` is negative, or the type does not hold all of them.

    Source: Fisher and Yates' shuffle (Durstenfeld, 1964).

    >>> import rushlight as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.randperm(4)
    tensor([0, 1, 3, 2])
    """
    n = integer("randperm", "n", 1, n)
    kind = _kind("randperm", dtype, out, int64)
    if n < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {n}: [{n}]")
    need("randperm", "randperm", kind, REAL + WHOLE)
    if kind in DIGITS and n > 2 ** DIGITS[kind] + 1:
        raise RuntimeError(f"n cannot be greater than {2 ** DIGITS[kind] + 1} for {SCALAR_NAMES[kind]} type.")
    if kind not in DIGITS and n - 1 > LIMITS[kind][1]:
        raise RuntimeError(f"value cannot be converted to type {kind} without overflow: randperm got n={n}")
    stream = stream_of(generator, "randperm")
    fill = lambda t: overwrite(t, lambda a: stream.permutation(a.reshape(-1)), ZeroBackward)
    return _new("randperm", (n,), kind, fill, out, (layout, device, requires_grad))


# -- distributions given by tensors -----------------------------------------------------------------


@op()
def bernoulli(input, p=None, *, generator=None, out=None):
    """Random ones and zeros.

    Args:
        input: the probability of a one, for each element; with `p`, only the shape and type of the result.
        p: the probability of a one for all.
        generator: where to draw from.
        out: where to put the result.
    Raises:
        RuntimeError: a probability is not in [0, 1].

    >>> import rushlight as torch
    >>> torch.bernoulli(torch.tensor([0.0, 1.0, 1.0]))
    tensor([0., 1., 1.])
    """
    _refuse_gradient("bernoulli", out, check_tensor("bernoulli", input))
    result = _resized("bernoulli", out, input._array.shape, out.dtype) if out is not None else None
    if result is None:
        result = wrap(empty_by(input._array, input._array.shape))
    if p is not None:
        return bernoulli_(result, p, generator=generator)
    with no_grad():
        bernoulli_(result, input, generator=generator)
    if recording(input) and out is None:
        return record(result._array, BERNOULLI, (input,), shapes=[input._array.shape])
    return result


@op(method=False)
def poisson(input, generator=None):
    """Random whole numbers from Poisson distributions.

    Args:
        input: the mean for each element.
        generator: where to draw from.
    Raises:
        RuntimeError: a mean is negative.

    Source: Hörmann, Insurance: Mathematics and Economics 12, 1993.

    >>> import rushlight as torch
    >>> torch.poisson(torch.zeros(2))
    tensor([0., 0.])
    """
    rates = check_tensor("poisson", input)._strided()
    need("poisson", "poisson_cpu", input.dtype, REAL)
    if not (rates >= 0).all():
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")
    array = empty_by(rates, rates.shape)
    stream_of(generator, "poisson").poisson(array, rates)
    return record(array, POISSON, (input,), shapes=[rates.shape]) if recording(input) else wrap(array)


@op(method=False)
def normal(
    mean, std=1.0, size=None, *, generator=None, out=None, dtype=None, layout=None, device=None,
    pin_memory=False, requires_grad=False,
):  # fmt: skip
    """Normally distributed numbers: `normal(mean, std)` with a tensor, or `normal(mean, std, size)`.

    Args:
        mean: their mean, a tensor or a number.
        std: their standard deviation, a tensor or a number.
        size: the dimensions, where both are numbers.
        generator: where to draw from.
        out: where to put the result.
        dtype: the type of the elements, where both are numbers.
        requires_grad: whether gradients are to flow to it.
    Raises:
        RuntimeError: a standard deviation is negative, or the shapes do not fit.

    >>> import rushlight as torch
    >>> torch.normal(torch.tensor([1.0, 2.0]), 0.0)
    tensor([1., 2.])
    """
    tensors = [t for t in (mean, std) if isinstance(t, Tensor)]
    stream = stream_of(generator, "normal")
    if not tensors:
        if size is None:
            raise TypeError("normal() expected a tensor as mean or std, or a size, got two numbers")
        mean, std = number("normal", "mean", 1, mean), number("normal", "std", 2, std)
        kind = _kind("normal", dtype, out)
        fill = lambda t: normal_(t, mean, std, generator=generator)
        return _new("normal", size, kind, fill, out, (layout, device, requires_grad))
    if size is not None:
        raise TypeError("normal() got a size and a tensor; the tensor gives the size")
    if isinstance(std, Tensor):
        if std.is_complex():
            raise RuntimeError("normal expects standard deviation to be non-complex")
        if not (std._array >= 0).all():
            raise RuntimeError("normal expects all elements of std >= 0.0")
    else:
        check_std(std := number("normal", "std", 2, std))
    _refuse_gradient("normal", out, *tensors)
    shape = broadcast_shapes(*(t._array.shape for t in tensors))
    kind = tensors[0].dtype
    result = (
        wrap(empty_by(tensors[0]._array, shape, kind.numpy))
        if out is None
        else _resized("normal", out, shape, out.dtype)
    )
    with no_grad():
        if isinstance(std, Tensor):
            normal_fill(result, 0.0, 1.0, stream).mul_(std).add_(mean)
        else:
            normal_fill(result, 0.0, std, stream).add_(mean)
    if out is None and recording(*tensors):
        node_type = NORMAL_BOTH if len(tensors) == 2 else NORMAL_MEAN if tensors[0] is mean else NORMAL_STD
        return record(result._array, node_type, tensors, shapes=[t._array.shape for t in tensors])
    return result


@op()
def multinomial(input, num_samples, replacement=False, *, generator=None, out=None):
    """Random indices, each as probable as its weight says.

    Args:
        input: weights, of shape (n) or (rows, n); they need not add up to 1.
        num_samples: how many indices for each row.
        replacement: whether an index may come more than once.
        generator: where to draw from.
        out: where to put the result.
    Returns:
        int64 indices of shape (num_samples) or (rows, num_samples).
    Raises:
        RuntimeError: weights are negative, infinite or all zero, or there are too few of them.

    >>> import rushlight as torch
    >>> torch.multinomial(torch.tensor([0.0, 3.0, 0.0]), 2, replacement=True)
    tensor([1, 1])
    """
    x = check_tensor("multinomial", input)._strided()
    count = integer("multinomial", "num_samples", 2, num_samples)
    stream = stream_of(generator, "multinomial")
    if x.ndim not in (1, 2) or (x.shape[-1] == 0 and len(x)):
        raise RuntimeError(f"prob_dist must be 1 or 2 dim, got shape {list(x.shape)}")
    if input.dtype not in REAL:
        raise RuntimeError(
            f"multinomial only supports floating-point dtypes for input, got: {SCALAR_NAMES[input.dtype]}; "
            "convert it, x.float()"
        )
    if count <= 0:
        raise RuntimeError(f"cannot sample n_sample <= 0 samples, got {count}")
    if not replacement and count > x.shape[-1]:
        raise RuntimeError(
            f"cannot sample n_sample > prob_dist.size(-1) samples without replacement, got {count} and "
            f"{x.shape[-1]}"
        )
    if x.size == 0:
        found = empty_by(x, (*x.shape[:-1], count), np.int64)
    elif replacement and count > 1:
        found = empty_by(x, (*x.shape[:-1], count), np.int64)
        if not stream.choices(found.reshape(-1, count), x.reshape(-1, x.shape[-1])):
            raise _weights_error(x)
    else:
        found = _without_replacement(x, count, stream)
    return write_out(wrap(found), out, exact=True, warn=False)


def _without_replacement(x: np.ndarray, count: int, stream) -> np.ndarray:
    """The largest of the weights divided by exponential numbers.

    Source: Efraimidis and Spirakis, Information Processing Letters 97, 2006.
    """
    if not (x.min() >= 0 and x.max() < np.inf):
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if not x.any(axis=-1).all():
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    keys = np.empty_like(x)
    fill_in_order(keys, lambda a: stream.exponential(a, 1.0))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        np.divide(x, keys, out=keys)
    return keys.argmax(-1)[..., None] if count == 1 else topk(wrap(keys), count).indices._array


def _weights_error(weights: np.ndarray) -> RuntimeError:
    if not np.isfinite(weights).all():
        what = "encountering probability entry = infinity or NaN"
    elif (weights < 0).any():
        what = "encountering probability entry < 0"
    else:
        what = "sum of probabilities <= 0, or infinite"
    return RuntimeError(f"invalid multinomial distribution ({what})")
