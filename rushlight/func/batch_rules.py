"""How functions are computed for all samples of a batch at once, by class of function.

A rule is called as `rule(level, call, args, kwargs)`, where `call` is the function itself; arguments that are batched
at `level` have the samples along dimension 0 of their value. It returns NotImplemented where it does not know a form of
the call, which then runs once per sample.
"""

import functools
import inspect
import math

import rushlight as torch
from rushlight.func.batched import Batched, Level, Misuse, parameters, refuse_random
from rushlight.nn import functional as F
from rushlight.ops.common import conj, result_type, sum_to
from rushlight.tensor import Tensor, check_dim

_POINTWISE = """
abs absolute acos acosh add addcdiv addcmul alias angle arccos arcsin arctan asin asinh atan atan2 atanh bfloat16 bitwise_and
bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor bool byte cdouble ceil celu cfloat chalf char
clamp clamp_max clamp_min clip clone complex conj conj_physical contiguous copysign cos cosh cpu cuda data deg2rad detach digamma
div divide double elu empty_like eq erf erfc erfcx erfinv exp exp2 expm1 fill fix float float_power floor floor_divide fmax
fmin fmod frac frexp full_like gcd ge gelu greater gt half hardshrink hardsigmoid hardswish hardtanh heaviside hypot i0 i0e
i1 i1e igamma igammac imag int isclose isfinite isinf isnan isneginf isposinf isreal lcm ldexp le leaky_relu lerp less
lgamma log log10 log1p log2 log_ndtr logaddexp logaddexp2 logical_and logical_not logical_or logical_xor logit
logsigmoid long lt maximum minimum mish mul multiply mvlgamma nan_to_num ndtr ndtri ne neg negative nextafter
not_equal ones_like polar polygamma positive pow rad2deg real reciprocal relu relu6 remainder requires_grad_ resolve_conj
resolve_neg round rsqrt rsub selu sgn short sigmoid sign signbit silu sin sinc sinh softplus softshrink softsign sqrt square
sub subtract tan tanh tanhshrink threshold to true_divide trunc type type_as where xlog1py xlogy zero zeros_like entr
zeta __add__ __sub__ __rsub__ __mul__ __truediv__ __rtruediv__ __floordiv__ __rfloordiv__ __mod__ __rmod__ __pow__ __rpow__ __and__
__or__ __xor__ __lshift__ __rshift__ __lt__ __le__ __gt__ __ge__ __eq__ __ne__ __invert__ __neg__ __abs__ __pos__ prelu_kernel
""".split()  # fmt: skip
_INPLACE = [name + "_" for name in _POINTWISE] + ["copy_", "__iadd__", "__isub__", "__imul__", "__itruediv__"]
_LOSSES = """
binary_cross_entropy binary_cross_entropy_with_logits huber_loss kl_div l1_loss margin_ranking_loss mse_loss
hinge_embedding_loss poisson_nll_loss smooth_l1_loss soft_margin_loss
""".split()
#: With dimensions among their arguments; without one where it may be left out, they take all elements.
_DIMS = """
all amax amin any argmax argmin argsort count_nonzero cummax cummin cumprod cumsum diff fft.fft fft.hfft fft.ifft fft.ihfft
fft.irfft fft.rfft flip glu kthvalue linalg.vector_norm log_softmax logcumsumexp logsumexp mean median mode nanmean nanmedian
nanquantile nansum norm prod quantile softmax softmin sort std std_mean sum topk var var_mean unfold
chunk diagonal flatten moveaxis movedim narrow select split split_with_sizes squeeze squeeze_multiple swapaxes swapdims
tensor_split transpose unbind unflatten aminmax nuclear_norm frobenius_norm trapezoid
cumulative_trapezoid adjoint mT mH diag_embed unsqueeze transpose_ swapaxes_ squeeze_ unsqueeze_ cumsum_ cumprod_
cat concat concatenate stack gather take_along_dim scatter scatter_add scatter_reduce scatter_ scatter_add_ scatter_reduce_
logsoftmax select_scatter slice_scatter diagonal_scatter linalg.vecdot
linalg.cross cosine_similarity normalize
""".split()
_ONE_MORE_DIM = {"stack", "unsqueeze", "unsqueeze_", "diag_embed"}  # a dimension means one of the result
_SIZES = "view reshape expand broadcast_to repeat tile permute new_empty new_ones new_zeros new_full".split()
#: They work on the last dimensions, as many as stands here, and take any others as a batch.
_LAST = {
    1: "polyval vander",
    2: """
cholesky cholesky_inverse det inverse linalg.cholesky linalg.cond linalg.det linalg.eig linalg.eigh linalg.eigvals
linalg.eigvalsh linalg.inv linalg.matrix_exp linalg.matrix_power linalg.matrix_rank linalg.pinv linalg.qr linalg.slogdet
linalg.svd linalg.svdvals linalg.solve linalg.inv_ex linalg.cholesky_ex cholesky_solve linalg.solve_triangular logdet matrix_exp matrix_power pinverse qr slogdet svd tril triu tril_ triu_ mT
""",
}
_FOLDED = {  # they treat the samples of (N, C, ...) alike: dimensions of such an input
    3: """
avg_pool1d adaptive_avg_pool1d adaptive_max_pool1d adaptive_max_pool1d_with_indices max_pool1d max_pool1d_with_indices
lp_pool1d max_unpool1d
""",
    4: """
avg_pool2d adaptive_avg_pool2d adaptive_max_pool2d adaptive_max_pool2d_with_indices max_pool2d max_pool2d_with_indices
lp_pool2d max_unpool2d grid_sample affine_grid pixel_shuffle pixel_unshuffle im2col unfold channel_shuffle
""",
    5: """
avg_pool3d adaptive_avg_pool3d adaptive_max_pool3d adaptive_max_pool3d_with_indices max_pool3d max_pool3d_with_indices
lp_pool3d max_unpool3d
""",
}
_DIM_NAMES = {
    "axes", "axis", "axis0", "axis1", "destination", "dim", "dim0", "dim1", "dim2", "dimension", "dims", "end_dim",
    "source", "start_dim",
}  # fmt: skip
_NO_DIM = inspect.Parameter.empty


# -- arguments -------------------------------------------------------------------------------------------


def _is_batched(t, level: Level) -> bool:
    return type(t) is Batched and t._level is level


def _value(t, level: Level):
    """The samples along dimension 0 where it is batched, else the argument itself."""
    return t._value if type(t) is Batched and t._level is level else t


def _repeated(t, level: Level):
    """The samples along dimension 0, also of a tensor that is the same for all of them."""
    if type(t) is Batched and t._level is level:
        return t._value
    if isinstance(t, Tensor):
        return t.expand(level.size, *t.shape)
    if isinstance(t, list | tuple) and t and isinstance(t[0], Tensor):
        return type(t)([_repeated(item, level) for item in t])
    return t


def _with_rank(t, rank: int, level: Level):
    """The value of a batched tensor of lower rank, so that it broadcasts with others of this rank."""
    value = t._value
    missing = rank + 1 - value.ndim
    return value.reshape(level.size, *(1,) * missing, *value.shape[1:]) if missing > 0 else value


def _batched_and_others(args, level: Level) -> list:
    return [a for a in args if isinstance(a, Tensor)]


# -- element by element ----------------------------------------------------------------------------------


def _pointwise(level: Level, call, args: tuple, kwargs: dict):
    if "out" in kwargs and kwargs["out"] is not None:
        return NotImplemented
    return level.wrap(
        call(*_aligned(level, args), **(_aligned_names(level, args, kwargs) if kwargs else kwargs))
    )


def _aligned_names(level: Level, args: tuple, kwargs: dict) -> dict:
    values = _aligned(level, (*args, *kwargs.values()))[len(args) :]
    return dict(zip(kwargs, values, strict=True))


def _aligned(level: Level, args: tuple) -> list:
    """Arguments that broadcast as those of one sample do."""
    tensors = [a for a in args if isinstance(a, Tensor)]
    if len(tensors) == 1:
        return [_value(a, level) for a in args]
    rank = max([t.ndim for t in tensors])
    if rank and any(not t.ndim for t in tensors) and len({t.dtype for t in tensors}) > 1:
        args = _with_types_of_samples(level, args, tensors)
    return [_with_rank(a, rank, level) if _is_batched(a, level) else a for a in args]


def _with_types_of_samples(level: Level, args: tuple, tensors: list) -> tuple:
    """Numbers without dimensions do not change the type of a result; as a batch they have a dimension, and would."""
    common = result_type(*[torch.empty((1,) * min(t.ndim, 1), dtype=t.dtype) for t in tensors])
    return tuple(
        level.batched(a._value.to(common))
        if _is_batched(a, level) and not a.ndim and a.dtype not in (common, torch.bool)
        else a
        for a in args
    )


def _inplace(rule):
    """The rule of a function that writes its first argument, from that of the one that does not."""

    def inplace(level: Level, call, args: tuple, kwargs: dict):
        target = args[0]
        if not _is_batched(target, level):
            raise _unwritable(level, call)
        result = rule(level, call, args, kwargs)
        return target if isinstance(result, Tensor) else result

    return inplace


def _unwritable(level: Level, call) -> RuntimeError:
    from rushlight.func.batched import STATE, SamplesNeeded

    if STATE.pulling:
        return SamplesNeeded("a node of the graph writes one gradient into a plain tensor")
    name = call.__name__
    return Misuse(
        f"vmap: aten::{name}(self, *extra_args) is not possible because there exists a Tensor `other` in extra_args that "
        "has more elements than `self`. This happened due to `other` being vmapped over but `self` not being vmapped over "
        f"in a vmap. Please try to use out-of-place operators instead of {name}. If said operator is being called inside "
        "the PyTorch framework, please file a bug report instead."
    )


def _loss(level: Level, call, args: tuple, kwargs: dict):
    """A loss of pairs of elements, reduced for each sample."""
    reduction = kwargs.get("reduction", "mean")
    if kwargs.get("size_average") is not None or kwargs.get("reduce") is not None:
        return NotImplemented
    if any(isinstance(a, bool | str) and not isinstance(a, Tensor) for a in args[2:]):
        return NotImplemented
    given = [level.batched(_repeated(t, level)) if isinstance(t, Tensor) else t for t in args]
    each = _pointwise(level, call, tuple(given), {**kwargs, "reduction": "none"})
    if reduction == "none":
        return each
    if reduction == "batchmean":
        return each.sum() / args[0].shape[0]
    return each.mean() if reduction == "mean" else each.sum()


# -- dimensions ------------------------------------------------------------------------------------------


def _dims_of(function) -> dict:
    """The defaults of the parameters that are dimensions."""
    found = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in found if p.name in _DIM_NAMES and p.kind is not p.VAR_POSITIONAL}


def _shifted(d, rank: int):
    """A dimension of a sample, or several, as those of the value."""
    if type(d) is int:
        check_dim(d, rank)
        return d + 1 if d >= 0 else d
    if isinstance(d, list | tuple):
        return type(d)([_shifted(i, rank) for i in d])
    return d


def _dims(function):
    """The rule of a function with dimensions among its arguments."""
    names, defaults = parameters(function), _dims_of(function)
    variadic = next((i for i, n in enumerate(names) if n.startswith("*")), None)
    more = function.__name__ in _ONE_MORE_DIM

    def rule(level: Level, call, args: tuple, kwargs: dict):
        if kwargs.get("out") is not None:
            return NotImplemented
        dims, named = {}, dict(kwargs)
        for name, default in defaults.items():
            place = names.index(name) if name in names else len(args)
            if place < len(args):
                dims[name] = args[place]
            elif name in kwargs:
                dims[name] = kwargs[name]
            elif default is not _NO_DIM:
                dims[name] = default
        dims |= {name: d for name, d in kwargs.items() if name in _DIM_NAMES}
        first = args[0][0] if isinstance(args[0], list | tuple) else args[0]
        if not isinstance(first, Tensor) or any(isinstance(d, Tensor | bool | str) for d in dims.values()):
            return NotImplemented
        rank = first.ndim
        others = args[0] if isinstance(args[0], list | tuple) else args
        if any(isinstance(t, Tensor) and t.ndim != rank for t in others):
            return NotImplemented
        values = [_repeated(a, level) for a in args]
        if "dim" in dims and (dims["dim"] is None or dims["dim"] == ()):
            return _over_all(level, call, names, values, kwargs, rank)
        flat = rank == 0 and not more
        if flat and function.__name__ == "flatten":
            return first.reshape(1)
        if flat:
            values = [v.unsqueeze(-1) if isinstance(v, Tensor) else v for v in values]
            rank = 1
        for name, d in dims.items():
            place = names.index(name) if name in names else len(args)
            shifted = _shifted(d, rank + more)
            if place < len(args):
                values[place] = shifted
            else:
                named[name] = shifted
        if variadic is not None:
            values[variadic:] = [_shifted(d, rank + more) for d in values[variadic:]]
        named = {k: v if k in dims else _repeated(v, level) for k, v in named.items()}
        result = call(*values, **named)
        return level.wrap(_squeezed(result) if flat else result)

    return rule


def _squeezed(result):
    """Results for numbers that were given a dimension."""
    if isinstance(result, Tensor):
        return result.squeeze(1) if result.ndim > 1 else result
    if isinstance(result, tuple | list):
        items = [_squeezed(r) for r in result]
        return type(result)(*items) if hasattr(result, "_fields") else type(result)(items)
    return result


def _rows(value: Tensor) -> Tensor:
    """All elements of each sample along dimension 1."""
    return value.flatten(1) if value.ndim > 1 else value.unsqueeze(1)


def _over_all(level: Level, call, names: list, values: list, kwargs: dict, rank: int):
    """A reduction of all elements: of one dimension, which they are laid along."""
    keep = kwargs.get("keepdim", False)
    if "keepdim" in names and names.index("keepdim") < len(values):
        keep = values[names.index("keepdim")]
    given = {k: v for k, v in kwargs.items() if k not in ("dim", "keepdim")}
    place = names.index("dim") if "dim" in names else len(values)
    if sum(isinstance(v, Tensor) for v in values) > 1:
        return NotImplemented
    if any(n != "keepdim" for n in names[place + 1 : len(values)]) or any(isinstance(v, str) for v in values):
        return NotImplemented
    result = call(_rows(values[0]), *values[1:place], **given, dim=1)
    if call.__name__ in ("max", "median", "min", "nanmedian"):
        result = result[0]
    if keep:
        if not isinstance(result, Tensor):
            return NotImplemented
        result = result.reshape(level.size, *(1,) * rank)
    return level.wrap(result)


def _extremum(function):
    """`max` and `min`: of elements, of a dimension, or of two tensors."""
    of_dims, of_two = _dims(function), _pointwise

    def rule(level: Level, call, args: tuple, kwargs: dict):
        two = "other" in kwargs or (len(args) > 1 and isinstance(args[1], Tensor))
        return (of_two if two else of_dims)(level, call, args, kwargs)

    return rule


def _over_all_dims(function):
    """The rule of functions that take all dimensions where none are given, and keep them."""
    of_dims, names = _dims(function), parameters(function)
    name = "dims" if "dims" in names else "dim"
    place = names.index(name)

    def rule(level: Level, call, args: tuple, kwargs: dict):
        given = args[place] if len(args) > place else kwargs.get(name)
        if given is not None:
            return of_dims(level, call, args, kwargs)
        if not args[0].ndim or name == "dims" or kwargs.get("s") is not None or any(a is not None for a in args[1:]):
            return NotImplemented
        return of_dims(level, call, args[:1], {**kwargs, name: tuple(range(args[0].ndim))})

    return rule


def _sizes(level: Level, call, args: tuple, kwargs: dict):
    """Functions of a tensor and of the sizes, or dimensions, of the result."""
    x, *rest = args
    name = call.__name__
    if not _is_batched(x, level) or (len(kwargs) and not name.startswith("new_")):
        return NotImplemented
    if len(rest) == 1 and isinstance(rest[0], list | tuple):
        rest = list(rest[0])
    elif name == "new_full":
        rest, kwargs = list(rest[0]), dict(kwargs, fill_value=rest[1]) if len(rest) > 1 else kwargs
    if not all(isinstance(n, int) for n in rest):
        return level.wrap(call(x._value, *rest)) if name == "view" and len(rest) == 1 else NotImplemented
    value = x._value
    if name == "permute":
        return level.batched(call(value, 0, *[check_dim(d, x.ndim) + 1 for d in rest]))
    if name in ("expand", "broadcast_to", "repeat", "tile"):
        value = _with_rank(x, len(rest), level)
        if name in ("repeat", "tile"):
            rest = [1] * (value.ndim - 1 - len(rest)) + rest
            return level.batched(call(value, 1, *rest) if name == "repeat" else call(value, (1, *rest)))
    if name in ("reshape", "broadcast_to") or name.startswith("new_"):
        return level.batched(call(value, (level.size, *rest), **kwargs))
    return level.batched(call(value, level.size, *rest))


def _as_shape(function):
    """Functions that give a tensor the shape of another one."""

    def rule(level: Level, call, args: tuple, kwargs: dict):
        x, other = args
        return function(x, other.shape)

    return rule


def _transposed(level: Level, call, args: tuple, kwargs: dict):
    (x,) = args
    return x if x.ndim < 2 else x.transpose(0, 1)


def _reversed(level: Level, call, args: tuple, kwargs: dict):
    (x,) = args
    return x.permute(*range(x.ndim - 1, -1, -1))


def _squeeze(function):
    """The rule of `squeeze`, which without a dimension leaves that of the samples."""
    of_dims = _dims(function)

    def rule(level: Level, call, args: tuple, kwargs: dict):
        x, *dims = args
        if dims in ([()], [[]]):
            return x
        if kwargs or dims:
            return of_dims(level, call, args, kwargs)
        return level.batched(x._value.reshape(level.size, *[n for n in x.shape if n != 1]))

    return rule


def _last(count: int):
    """The rule of functions of the last dimensions."""

    def rule(level: Level, call, args: tuple, kwargs: dict):
        tensors = [a for a in args if isinstance(a, Tensor)]
        if (
            len(tensors) != 1
            or tensors[0].ndim < count
            or any(isinstance(a, Tensor) for a in kwargs.values())
        ):
            return NotImplemented
        return level.wrap(call(*[_value(a, level) for a in args], **kwargs))

    return rule


def _folded(rank: int):
    """The rule of functions that treat all (C, ...) of an input (N, C, ...) alike."""

    def rule(level: Level, call, args: tuple, kwargs: dict):
        ranks = {a.ndim for a in args if isinstance(a, Tensor)}
        if (
            kwargs.get("out") is not None
            or len(ranks) != 1
            or any(isinstance(v, Tensor) for v in kwargs.values())
        ):
            return NotImplemented
        (have,) = ranks
        values = [_repeated(a, level) for a in args]
        if have == rank - 1:
            return level.wrap(call(*values, **kwargs))
        if have != rank:
            return NotImplemented
        count = args[0].shape[0]
        result = call(*[v.flatten(0, 1) if isinstance(v, Tensor) else v for v in values], **kwargs)
        return level.wrap(_unfolded(result, (level.size, count)))

    return rule


def _unfolded(result, sizes: tuple):
    if isinstance(result, Tensor):
        return result.unflatten(0, sizes)
    return tuple(_unfolded(r, sizes) for r in result)


def _interpolate(level: Level, call, args: tuple, kwargs: dict):
    return _folded(args[0].ndim)(level, call, args, kwargs)


def _pad(level: Level, call, args: tuple, kwargs: dict):
    x = args[0]
    mode = args[2] if len(args) > 2 else kwargs.get("mode", "constant")
    if mode == "constant":
        return level.batched(call(x._value, *args[1:], **kwargs))
    padded = len(args[1] if len(args) > 1 else kwargs["pad"]) // 2
    return _folded(padded + 2)(level, call, args, kwargs)


# -- products --------------------------------------------------------------------------------------------


def _matmul(level: Level, call, args: tuple, kwargs: dict):
    if kwargs or len(args) != 2 or not all(isinstance(a, Tensor) and a.ndim for a in args):
        return NotImplemented
    x, y = args
    if not _is_batched(y, level) and y.ndim <= 2:
        return level.batched(torch.matmul(x._value, y))
    if x.ndim == y.ndim == 1:
        return (x * y).sum(-1)
    rank = max(x.ndim, y.ndim, 2)
    left = _value(x.unsqueeze(0) if x.ndim == 1 else x, level)
    right = _value(y.unsqueeze(1) if y.ndim == 1 else y, level)
    left, right = (
        v.reshape(level.size, *(1,) * (rank + 1 - v.ndim), *v.shape[1:]) if _is_batched(t, level) else v
        for v, t in ((left, x), (right, y))
    )
    product = level.batched(torch.matmul(left, right))
    if x.ndim == 1:
        product = product.squeeze(-2)
    return product.squeeze(-1) if y.ndim == 1 else product


def _product(rank_x: int, rank_y: int):
    """The rule of a product of tensors of given ranks."""

    def rule(level: Level, call, args: tuple, kwargs: dict):
        if (
            len(args) != 2
            or (args[0].ndim, args[1].ndim) != (rank_x, rank_y)
            or args[0].dtype != args[1].dtype
        ):
            return NotImplemented
        return _matmul(level, call, args, kwargs)

    return rule


def _outer(level: Level, call, args: tuple, kwargs: dict):
    x, y = args
    return NotImplemented if kwargs or x.ndim != 1 or y.ndim != 1 else x.unsqueeze(1) * y


def _added(product):
    """`addmm` and its like: beta * input + alpha * product(x, y)."""

    def rule(level: Level, call, args: tuple, kwargs: dict):
        if len(args) != 3 or not kwargs.keys() <= {"beta", "alpha"}:
            return NotImplemented
        input, x, y = args
        found = product(x, y)
        if kwargs.get("alpha", 1) != 1:
            found = found * kwargs["alpha"]
        beta = kwargs.get("beta", 1)
        return found if beta == 0 else found + (input if beta == 1 else input * beta)

    return rule


def _linear(level: Level, call, args: tuple, kwargs: dict):
    x, weight, bias = (*args, *[kwargs.get("bias")] * (3 - len(args))) if len(args) < 3 else args
    if kwargs.keys() - {"bias"} or weight.ndim != 2 or x.ndim == 0:
        return NotImplemented
    if _is_batched(weight, level):
        product = torch.matmul(x, weight.mT)
    elif _is_batched(bias, level):
        product = level.batched(call(_value(x, level), weight))
    else:
        return level.batched(call(x._value, weight, bias))
    return product if bias is None else product + bias


def _einsum(level: Level, call, args: tuple, kwargs: dict):
    equation, *operands = args
    if not isinstance(equation, str):
        return NotImplemented
    if len(operands) == 1 and isinstance(operands[0], list | tuple):
        operands = operands[0]
    inputs, arrow, output = equation.replace(" ", "").partition("->")
    if not arrow:
        letters = inputs.replace(",", "").replace(".", "")
        output = "..." * ("..." in inputs) + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    free = next((c for c in "zyxwvutsrqponmlkjihgfedcbaZYXWVUTSRQPONMLKJIHGFEDCBA" if c not in inputs), None)
    parts = inputs.split(",")
    if free is None or len(parts) != len(operands):
        return NotImplemented
    parts = [free + p if _is_batched(t, level) else p for p, t in zip(parts, operands, strict=True)]
    return level.batched(call(f"{','.join(parts)}->{free}{output}", *[_value(t, level) for t in operands]))


def _tensordot(level: Level, call, args: tuple, kwargs: dict):
    from rushlight.ops.contraction import _contracted_dims

    if len(args) < 2 or kwargs.keys() - {"dims"}:
        return NotImplemented
    x, y = args[:2]
    dims = args[2] if len(args) > 2 else kwargs.get("dims", 2)
    over_x, over_y = _contracted_dims(x.ndim, y.ndim, dims)
    letters = [chr(97 + i) for i in range(x.ndim + y.ndim)]
    of_x, of_y = letters[: x.ndim], letters[x.ndim :]
    for i, j in zip(over_x, over_y, strict=True):
        of_y[j] = of_x[i]
    out = [c for c in of_x if c not in of_y] + [c for c in of_y if c not in of_x]
    return torch.einsum(f"{''.join(of_x)},{''.join(of_y)}->{''.join(out)}", x, y)


def _bilinear(level: Level, call, args: tuple, kwargs: dict):
    x, y, weight, *bias = args
    result = torch.einsum("...i,oij,...j->...o", x, weight, y)
    bias = bias[0] if bias else kwargs.get("bias")
    return result if bias is None else result + bias


# -- layers ----------------------------------------------------------------------------------------------


def _convolution(n: int, transposed: bool):
    """The rule of a convolution over n dimensions: samples join the batch, or, with their own weights, the groups."""
    names = ("stride", "padding", "output_padding", "groups", "dilation") if transposed else (
        "stride", "padding", "dilation", "groups",
    )  # fmt: skip

    def rule(level: Level, call, args: tuple, kwargs: dict):
        given = dict(zip(("input", "weight", "bias", *names), args, strict=False)) | kwargs
        x, weight, bias = given.pop("input"), given.pop("weight"), given.pop("bias", None)
        if x.ndim not in (n + 1, n + 2) or weight.ndim != n + 2:
            return NotImplemented
        if x.ndim == n + 1:
            return rule(level, call, (x.unsqueeze(0), weight, bias), given).squeeze(0)
        if not _is_batched(weight, level):
            own = _is_batched(bias, level)
            result = call(x._value.flatten(0, 1), weight, None if own else bias, **given)
            result = level.batched(result.unflatten(0, (level.size, x.shape[0])))
        else:
            result = _with_own_weights(level, call, x, weight._value, given, n)
            own = True
        return result + bias.reshape(-1, *(1,) * n) if own and bias is not None else result

    return rule


def _with_own_weights(level: Level, call, x: Tensor, weight: Tensor, settings: dict, n: int) -> Tensor:
    x = _repeated(x, level)
    groups = settings.get("groups", 1)

    def grouped(x: Tensor, weight: Tensor) -> Tensor:
        size, count = x.shape[:2]
        joined = x.transpose(0, 1).flatten(1, 2)
        result = call(joined, weight.flatten(0, 1), None, **{**settings, "groups": groups * size})
        return result.unflatten(1, (size, -1)).transpose(0, 1)

    return level.batched(grouped(x, weight))


def _embedding(level: Level, call, args: tuple, kwargs: dict):
    index, weight = args[:2]
    if not _is_batched(weight, level):
        return level.batched(call(index._value, weight, *args[2:], **kwargs))
    if any(v not in (None, False, 2.0) for v in (*args[2:], *kwargs.values())):
        return NotImplemented
    return weight[index]


def _scaled(result: Tensor, weight, bias) -> Tensor:
    if weight is not None:
        result = result * weight
    return result if bias is None else result + bias


def _layer_norm(level: Level, call, args: tuple, kwargs: dict):
    given = dict(zip(("input", "normalized_shape", "weight", "bias", "eps"), args, strict=False)) | kwargs
    x, shape, weight, bias = (given.get(k) for k in ("input", "normalized_shape", "weight", "bias"))
    own = _is_batched(weight, level) or _is_batched(bias, level)
    x = _repeated(x, level)
    eps = given.get("eps", 1e-5)
    if not own:
        return level.batched(call(x, shape, weight, bias, eps))
    return _scaled(level.batched(call(x, shape, None, None, eps)), weight, bias)


def _group_norm(level: Level, call, args: tuple, kwargs: dict):
    given = dict(zip(("input", "num_groups", "weight", "bias", "eps"), args, strict=False)) | kwargs
    x, groups, weight, bias = (given.get(k) for k in ("input", "num_groups", "weight", "bias"))
    own = _is_batched(weight, level) or _is_batched(bias, level)
    inner = (None, None) if own else (weight, bias)
    result = call(_repeated(x, level).flatten(0, 1), groups, *inner, given.get("eps", 1e-5))
    result = level.batched(result.unflatten(0, (level.size, x.shape[0])))
    shape = (-1, *(1,) * (x.ndim - 2))
    weight, bias = (None if t is None or not own else t.reshape(shape) for t in (weight, bias))
    return _scaled(result, weight, bias)


def _batch_norm(function):
    names = parameters(function)
    return lambda level, call, args, kwargs: _normalized(level, names, args, kwargs)


def _normalized(level: Level, names: list, args: tuple, kwargs: dict):
    given = {"training": False, "momentum": 0.1, "eps": 1e-5} | dict(zip(names, args, strict=False)) | kwargs
    x, weight, bias = given["input"], given.get("weight"), given.get("bias")
    statistics = [given.get("running_mean"), given.get("running_var")]
    training, size = given["training"], level.size
    if x.ndim < 2:
        return NotImplemented
    if training and any(s is not None and not _is_batched(s, level) for s in statistics):
        raise RuntimeError(
            "Batch norm got a batched tensor as input while the running_mean or running_var, which will be updated in "
            "place, were not batched.\nIf you are using a module and do not need eval mode, please set "
            "`track_running_stats` to be False.If you are using a prebuilt module and do not need eval mode, please see "
            "the functorch website for resources on how to patch your module to work with vmap"
        )
    value = _repeated(x, level).transpose(0, 1)  # (N, samples, C, ...)
    flat = [None if s is None else _repeated(s, level).reshape(-1) for s in statistics]
    result = F.batch_norm(value.flatten(1, 2), *flat, None, None, training, given["momentum"], given["eps"])
    if training:
        for s, f in zip(statistics, flat, strict=True):
            if s is not None:
                s._value.copy_(f.reshape(size, -1))
    shape = (-1, *(1,) * (x.ndim - 2))
    weight, bias = (None if t is None else t.reshape(shape) for t in (weight, bias))
    return _scaled(level.batched(result.unflatten(1, (size, -1)).transpose(0, 1)), weight, bias)


def _attention(level: Level, call, args: tuple, kwargs: dict):
    """Scaled dot product attention: samples are one more leading dimension."""
    names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa")
    given = dict(zip(names, args, strict=False)) | kwargs
    if given.get("dropout_p"):
        if level.randomness == "error":
            refuse_random()
        if level.randomness == "same":
            return NotImplemented
    rank = max(given[k].ndim for k in names[:3])
    for name in names[:4]:
        t = given.get(name)
        if t is not None:
            given[name] = _with_rank(level.batched(_repeated(t, level)), rank, level)
    return level.batched(call(**given))


# -- losses of classes -----------------------------------------------------------------------------------


def _class_loss(level: Level, call, args: tuple, kwargs: dict):
    """`cross_entropy` and `nll_loss`: a loss for each target, then the mean of each sample's, weighted by class."""
    given = dict(zip(("input", "target", "weight"), args, strict=False)) | kwargs
    x, target, weight = given["input"], given["target"], given.get("weight")
    reduction, ignored = given.get("reduction", "mean"), given.get("ignore_index", -100)
    legacy = given.get("size_average") is not None or given.get("reduce") is not None
    if len(args) > 3 or legacy or _is_batched(weight, level):
        return NotImplemented
    given["reduction"] = "none"
    values = [_repeated(t, level) for t in (x, target)]
    if x.ndim > 1:
        values = [v.flatten(0, 1) for v in values]
    given["input"], given["target"] = values
    each = call(**given)
    if x.ndim > 1:
        each = each.unflatten(0, (level.size, x.shape[0]))
    if reduction == "none":
        return level.batched(each)
    total = _rows(each).sum(1)
    if reduction == "sum":
        return level.batched(total)
    if target.is_floating_point():  # probabilities
        return level.batched(total / max(each.numel() // level.size, 1))
    target = values[1]
    counted = target != ignored
    if weight is not None:
        counted = weight[target.masked_fill(~counted, 0)] * counted
    if x.ndim > 1:
        counted = counted.unflatten(0, (level.size, x.shape[0]))
    return level.batched(total / _rows(counted).sum(1))


# -- indices ---------------------------------------------------------------------------------------------


def _index(level: Level, x: Tensor, index):
    """(value, index) such that value[index] has the elements of all samples along dimension 0; else NotImplemented."""
    index = index if isinstance(index, tuple) else (index,)
    index = tuple(torch.tensor(i) if isinstance(i, list) else i for i in index)
    tensors = [i for i in index if isinstance(i, Tensor)]
    if any(t.dtype in (torch.bool, torch.uint8) for t in tensors):
        return NotImplemented
    if not any(_is_batched(i, level) for i in tensors):
        places = [k for k, i in enumerate(index) if isinstance(i, Tensor | int) and not isinstance(i, bool)]
        together = not places or places[-1] - places[0] == len(places) - 1
        if not tensors or together or Ellipsis not in index and not tensors:
            return (x._value, (slice(None), *index)) if _is_batched(x, level) else NotImplemented
        return NotImplemented
    if any(not isinstance(i, Tensor) for i in index):
        first = next(k for k, i in enumerate(index) if isinstance(i, Tensor))
        whole = all(i == slice(None) for i in index[first:] if not isinstance(i, Tensor))
        if first or not whole or any(isinstance(i, Tensor) for i in index[len(tensors) :]):
            return NotImplemented
        index = index[: len(tensors)]
    if not _is_batched(x, level):
        rank = max(t.ndim for t in index)
        return x, tuple(_with_rank(t, rank, level) if _is_batched(t, level) else t for t in index)
    rank = max(t.ndim for t in index)
    samples = torch.arange(level.size).reshape(-1, *(1,) * rank)
    own = [_with_rank(t, rank, level) if _is_batched(t, level) else t for t in index]
    return x._value, (samples, *own)


def _getitem(level: Level, call, args: tuple, kwargs: dict):
    x, index = args
    if isinstance(index, slice) or isinstance(index, tuple):
        parts = index if isinstance(index, tuple) else (index,)
        if any(
            isinstance(i, slice) and any(isinstance(n, Tensor) for n in (i.start, i.stop, i.step))
            for i in parts
        ):
            raise Misuse(_item_text())
    found = _index(level, x, index)
    return NotImplemented if found is NotImplemented else level.batched(call(*found))


def _item_text() -> str:
    from rushlight.func.batched import _ITEM

    return _ITEM


def _setitem(level: Level, call, args: tuple, kwargs: dict):
    x, index, new = args
    if not _is_batched(x, level):
        raise _unwritable(level, torch.Tensor.copy_)
    found = _index(level, x, index)
    if found is NotImplemented:
        return NotImplemented
    if _is_batched(new, level):
        rank = x[index].ndim
        if new.ndim > rank:
            new = new.reshape(new.shape[new.ndim - rank :])
        new = _with_rank(new, rank, level)
    call(*found, new)
    return None


def _index_select(level: Level, call, args: tuple, kwargs: dict):
    if len(args) != 3 or kwargs:
        return NotImplemented
    x, dim, index = args
    dim = check_dim(dim, x.ndim)
    if not x.ndim or index.ndim != 1:
        return NotImplemented
    if not _is_batched(index, level):
        return level.batched(call(x._value, dim + 1, index))
    shape = list(x.shape)
    shape[dim] = index.shape[0]
    wide = index.reshape(-1, *(1,) * (x.ndim - 1 - dim)).expand(shape)
    return torch.gather(x, dim, wide)


def _index_write(level: Level, call, args: tuple, kwargs: dict):
    if len(args) != 4 or not args[0].ndim or _is_batched(args[2], level) or args[3].ndim != args[0].ndim:
        return NotImplemented
    x, dim, index, source = args
    dim = check_dim(dim, x.ndim) + 1
    return level.batched(call(_repeated(x, level), dim, index, _repeated(source, level), **kwargs))


def _masked_fill(level: Level, call, args: tuple, kwargs: dict):
    x, mask, value = args
    if not isinstance(value, Tensor):
        return _pointwise(level, call, args, kwargs)
    return torch.where(mask, value.to(x.dtype), x)


def _as_strided(level: Level, call, args: tuple, kwargs: dict):
    """A view of each sample's memory, as if it were all."""
    x, size, stride, *offset = args
    if kwargs or not _is_batched(x, level):
        return NotImplemented
    value = x._value.contiguous()
    return level.batched(call(value, (level.size, *size), (x.numel(), *stride), *offset))


# -- random numbers --------------------------------------------------------------------------------------

_FACTORIES = "rand randn randint randperm".split()
_RANDOM_LIKE = "rand_like randn_like randint_like bernoulli poisson normal binomial multinomial".split()
_RANDOM_INPLACE = "uniform_ normal_ random_ bernoulli_ exponential_ cauchy_ geometric_ log_normal_".split()
_DROPOUT = """
dropout alpha_dropout feature_dropout feature_alpha_dropout dropout1d dropout2d dropout3d rrelu dropout_ alpha_dropout_
feature_dropout_ feature_alpha_dropout_ rrelu_ fractional_max_pool2d fractional_max_pool3d
fractional_max_pool2d_with_indices fractional_max_pool3d_with_indices gumbel_softmax
""".split()


def _factory(level: Level, call, args: tuple, kwargs: dict):
    if level.randomness == "same":
        return call(*args, **kwargs)
    name = call.__name__
    if name in ("rand", "randn"):
        sizes = args[0] if args and isinstance(args[0], list | tuple) else args
        return level.batched(call((level.size, *sizes), **kwargs)) if "size" not in kwargs else NotImplemented
    if name == "randint" and "size" not in kwargs and args and isinstance(args[-1], list | tuple):
        return level.batched(call(*args[:-1], (level.size, *args[-1]), **kwargs))
    return level.batched(torch.stack([call(*args, **kwargs) for _ in range(level.size)]))


def _random_like(level: Level, call, args: tuple, kwargs: dict):
    tensors = [a for a in args if isinstance(a, Tensor)]
    if not tensors:
        return _factory(level, call, args, kwargs)
    if level.randomness == "same":
        if not any(_is_batched(t, level) for t in tensors):
            return call(*args, **kwargs)
        if call.__name__.endswith("_like"):
            return call(args[0]._value[0], *args[1:], **kwargs)
        raise RuntimeError(
            "Vmap does not currently support same randomness with a batched tensor input. Please file an issue with "
            "functorch"
        )
    if call.__name__ == "multinomial" and args[0].ndim == 2:
        return NotImplemented
    rank = max(t.ndim for t in tensors)
    values = [
        _with_rank(level.batched(_repeated(a, level)), rank, level) if isinstance(a, Tensor) else a
        for a in args
    ]
    return level.wrap(call(*values, **kwargs))


def _random_inplace(level: Level, call, args: tuple, kwargs: dict):
    x, *rest = args
    if not _is_batched(x, level):
        if level.randomness == "different":
            raise Misuse(
                "vmap: Cannot ask for different inplace randomness on an unbatched tensor. This will appear like same "
                "randomness. If this is necessary for your usage, please file an issue with functorch."
            )
        return call(*args, **kwargs)
    if level.randomness == "same":
        x._value.copy_(call(torch.empty_like(x._value[0]), *rest, **kwargs))
    elif any(isinstance(a, Tensor) for a in (*rest, *kwargs.values())):
        return NotImplemented
    else:
        call(x._value, *rest, **kwargs)
    return x


def _dropout(function):
    """Random functions that draw nothing outside of training."""
    name = function.__name__
    names, known = parameters(function), inspect.signature(function).parameters
    flag = "train" if "train" in known else "training"
    place = names.index(flag) if flag in names else len(names)
    training = known[flag].default if flag in known else True

    def rule(level: Level, call, args: tuple, kwargs: dict):
        on = args[place] if place < len(args) else kwargs.get(flag, training)
        x = args[0]
        if not on:
            return level.batched(call(_value(x, level), *args[1:], **kwargs))
        if level.randomness == "error":
            refuse_random()
        if name.rstrip("_") != "dropout":
            return NotImplemented
        if level.randomness == "different":
            result = level.batched(call(_repeated(x, level), *args[1:], **kwargs))
        elif not _is_batched(x, level):
            return call(*args, **kwargs)
        else:
            result = x * torch.dropout(
                torch.ones_like(x._value[0]), *args[1:2], *[kwargs[k] for k in ("p",) if k in kwargs], True
            )
        if name.endswith("_") or (len(args) > 3 and args[3]) or kwargs.get("inplace"):
            x._value.copy_(result._value)
            return x
        return result

    return rule


# -- the table -------------------------------------------------------------------------------------------


def _functions(name: str):
    """The functions of this name."""
    space, _, short = name.rpartition(".")
    spaces = [getattr(torch, space)] if space else [torch, Tensor, F, torch.special]
    for holder in spaces:
        found = vars(holder).get(short)
        found = found.fget if isinstance(found, property) else found
        if inspect.isfunction(found):
            yield found


def rules() -> dict:
    """For each function that has one, its rule and whether it is random."""
    table: dict = {}

    def put(names, rule, make: bool = False, random: bool = False) -> None:
        for name in names.split() if isinstance(names, str) else names:
            for f in _functions(name):
                table[f] = (rule(f) if make else rule), random
                parameters(f)  # known from now on, also where a detour hides them

    put(_POINTWISE, _pointwise)
    put(_INPLACE, _inplace(_pointwise))
    put(_LOSSES, _loss)
    for name in _DIMS:
        inplace = name.endswith("_")
        put([name], (lambda f: _inplace(_dims(f))) if inplace else _dims, make=True)
    put(_SIZES, _sizes)
    put("view_as reshape_as", _as_shape(Tensor.reshape))
    put("expand_as", _as_shape(Tensor.expand))
    put("t", _transposed)
    put("T", _reversed)
    put("squeeze", _squeeze, make=True)
    for count, names in _LAST.items():
        put(names, _last(count))
    for rank, names in _FOLDED.items():
        put(names, _folded(rank))
    table[Tensor.unfold] = _dims(Tensor.unfold), False
    put("interpolate upsample", _interpolate)
    put("pad", _pad)
    put("matmul __matmul__", _matmul)
    put("__rmatmul__", lambda level, call, args, kwargs: _matmul(level, call, args[::-1], kwargs))
    put("mm", _product(2, 2))
    put("mv", _product(2, 1))
    put("dot inner", _product(1, 1))
    put("bmm", _product(3, 3))
    put("outer ger", _outer)
    put("addmm", _added(torch.mm))
    put("addmv", _added(torch.mv))
    put("addr", _added(torch.outer))
    put("baddbmm", _added(torch.bmm))
    put("addbmm", _added(lambda x, y: torch.bmm(x, y).sum(0)))
    put("linear", _linear)
    put("einsum", _einsum)
    put("tensordot", _tensordot)
    put("bilinear", _bilinear)
    for n in (1, 2, 3):
        put([f"conv{n}d"], _convolution(n, False))
        put([f"conv_transpose{n}d"], _convolution(n, True))
    put("embedding", _embedding)
    put("layer_norm", _layer_norm)
    put("group_norm", _group_norm)
    put("batch_norm", _batch_norm, make=True)
    put("max min", _extremum, make=True)
    put("roll fft.fftn fft.ifftn fft.rfftn fft.irfftn fft.fftshift fft.ifftshift", _over_all_dims, make=True)
    put("index_add index_copy", _index_write)
    put("index_add_ index_copy_", _inplace(_index_write))
    put("masked_fill", _masked_fill)
    put("trace", lambda level, call, args, kwargs: args[0].diagonal().sum(-1))
    put("as_strided", _as_strided)
    put("scaled_dot_product_attention", _attention)
    put("cross_entropy nll_loss", _class_loss)
    put("__getitem__", _getitem)
    put("__setitem__", _setitem)
    put("index_select", _index_select)
    put(_FACTORIES, _factory, random=True)
    put(_RANDOM_LIKE, _random_like, random=True)
    put(_RANDOM_INPLACE, _random_inplace, random=True)
    put(_DROPOUT, _dropout, make=True)
    table[sum_to] = (lambda level, call, args, kwargs: _sum_to(*args)), False
    table[conj] = (
        (lambda level, call, args, kwargs: args[0].conj() if args[0].is_complex() else args[0]),
        False,
    )
    return table


def _sum_to(grad: Tensor, shape: tuple) -> Tensor:
    """The gradient of something that was broadcast from `shape`."""
    lead = grad.ndim - len(shape)
    dims = [*range(lead), *(lead + i for i, n in enumerate(shape) if n == 1 and grad.shape[lead + i] != 1)]
    return (grad.sum(dims, keepdim=True) if dims else grad).reshape(shape)


__all__ = ["rules"]
_ = math
