"""How functions are computed for all samples of a batch at once: those of elements, of dimensions, and products.

A rule is called as `rule(level, call, args, kwargs)`, where `call` is the function itself; arguments that are batched
at `level` have the samples along dimension 0 of their value. It returns NotImplemented where it does not know a form of
the call, which then runs once per sample. `batch_table.py` says which functions have which rule.
"""

import inspect

import rushlight as torch
from rushlight.autograd.engine import SamplesNeeded
from rushlight.func.batched import STATE, Batched, Level, Misuse, parameters
from rushlight.ops.common import result_type
from rushlight.ops.contraction import _contracted_dims
from rushlight.tensor import Tensor, check_dim

_ONE_MORE_DIM = {"stack", "unsqueeze", "unsqueeze_", "diag_embed"}  # a dimension means one of the result
_DIM_NAMES = {
    "axes", "axis", "axis0", "axis1", "destination", "dim", "dim0", "dim1", "dim2", "dimension", "dims", "end_dim",
    "source", "start_dim",
}  # fmt: skip
_NO_DIM = inspect.Parameter.empty


# -- arguments -------------------------------------------------------------------------------------------


def is_batched(t, level: Level) -> bool:
    return type(t) is Batched and t._level is level


def value_of(t, level: Level):
    """The samples along dimension 0 where it is batched, else the argument itself."""
    return t._value if type(t) is Batched and t._level is level else t


def repeated(t, level: Level):
    """The samples along dimension 0, also of a tensor that is the same for all of them."""
    if type(t) is Batched and t._level is level:
        return t._value
    if isinstance(t, Tensor):
        return t.expand(level.size, *t.shape)
    if isinstance(t, list | tuple) and t and isinstance(t[0], Tensor):
        return type(t)([repeated(item, level) for item in t])
    return t


def with_rank(t, rank: int, level: Level):
    """The value of a batched tensor of lower rank, so that it broadcasts with others of this rank."""
    value = t._value
    missing = rank + 1 - value.ndim
    return value.reshape(level.size, *(1,) * missing, *value.shape[1:]) if missing > 0 else value


# -- element by element ----------------------------------------------------------------------------------


def pointwise(level: Level, call, args: tuple, kwargs: dict):
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
        return [value_of(a, level) for a in args]
    rank = max([t.ndim for t in tensors])
    if rank and any(not t.ndim for t in tensors) and len({t.dtype for t in tensors}) > 1:
        args = _with_types_of_samples(level, args, tensors)
    return [with_rank(a, rank, level) if is_batched(a, level) else a for a in args]


def _with_types_of_samples(level: Level, args: tuple, tensors: list) -> tuple:
    """Numbers without dimensions do not change the type of a result; as a batch they have a dimension, and would."""
    common = result_type(*[torch.empty((1,) * min(t.ndim, 1), dtype=t.dtype) for t in tensors])
    return tuple(
        level.batched(a._value.to(common))
        if is_batched(a, level) and not a.ndim and a.dtype not in (common, torch.bool)
        else a
        for a in args
    )


def inplace(rule):
    """The rule of a function that writes its first argument, from that of the one that does not."""

    def inplace(level: Level, call, args: tuple, kwargs: dict):
        target = args[0]
        if not is_batched(target, level):
            raise unwritable(level, call)
        result = rule(level, call, args, kwargs)
        return target if isinstance(result, Tensor) else result

    return inplace


def unwritable(level: Level, call) -> RuntimeError:
    if STATE.pulling:
        return SamplesNeeded("a node of the graph writes one gradient into a plain tensor")
    name = call.__name__
    return Misuse(
        f"vmap: aten::{name}(self, *extra_args) is not possible because there exists a Tensor `other` in extra_args that "
        "has more elements than `self`. This happened due to `other` being vmapped over but `self` not being vmapped over "
        f"in a vmap. Please try to use out-of-place operators instead of {name}. If said operator is being called inside "
        "the PyTorch framework, please file a bug report instead."
    )


def loss(level: Level, call, args: tuple, kwargs: dict):
    """A loss of pairs of elements, reduced for each sample."""
    reduction = kwargs.get("reduction", "mean")
    if kwargs.get("size_average") is not None or kwargs.get("reduce") is not None:
        return NotImplemented
    if any(isinstance(a, bool | str) and not isinstance(a, Tensor) for a in args[2:]):
        return NotImplemented
    given = [level.batched(repeated(t, level)) if isinstance(t, Tensor) else t for t in args]
    each = pointwise(level, call, tuple(given), {**kwargs, "reduction": "none"})
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


def dims(function):
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
        values = [repeated(a, level) for a in args]
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
        named = {k: v if k in dims else repeated(v, level) for k, v in named.items()}
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


def rows(value: Tensor) -> Tensor:
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
    result = call(rows(values[0]), *values[1:place], **given, dim=1)
    if call.__name__ in ("max", "median", "min", "nanmedian"):
        result = result[0]
    if keep:
        if not isinstance(result, Tensor):
            return NotImplemented
        result = result.reshape(level.size, *(1,) * rank)
    return level.wrap(result)


def extremum(function):
    """`max` and `min`: of elements, of a dimension, or of two tensors."""
    of_dims, of_two = dims(function), pointwise

    def rule(level: Level, call, args: tuple, kwargs: dict):
        two = "other" in kwargs or (len(args) > 1 and isinstance(args[1], Tensor))
        return (of_two if two else of_dims)(level, call, args, kwargs)

    return rule


def over_all_dims(function):
    """The rule of functions that take all dimensions where none are given, and keep them."""
    of_dims, names = dims(function), parameters(function)
    name = "dims" if "dims" in names else "dim"
    place = names.index(name)

    def rule(level: Level, call, args: tuple, kwargs: dict):
        given = args[place] if len(args) > place else kwargs.get(name)
        if given is not None and args[0].ndim:
            return of_dims(level, call, args, kwargs)
        if (
            not args[0].ndim
            or name == "dims"
            or kwargs.get("s") is not None
            or any(a is not None for a in args[1:])
        ):
            return NotImplemented
        return of_dims(level, call, args[:1], {**kwargs, name: tuple(range(args[0].ndim))})

    return rule


def sizes(level: Level, call, args: tuple, kwargs: dict):
    """Functions of a tensor and of the sizes, or dimensions, of the result."""
    x, *rest = args
    name = call.__name__
    if not is_batched(x, level) or (len(kwargs) and not name.startswith("new_")):
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
        value = with_rank(x, len(rest), level)
        if name in ("repeat", "tile"):
            rest = [1] * (value.ndim - 1 - len(rest)) + rest
            return level.batched(call(value, 1, *rest) if name == "repeat" else call(value, (1, *rest)))
    if name in ("reshape", "broadcast_to") or name.startswith("new_"):
        return level.batched(call(value, (level.size, *rest), **kwargs))
    return level.batched(call(value, level.size, *rest))


def as_shape(function):
    """Functions that give a tensor the shape of another one."""

    def rule(level: Level, call, args: tuple, kwargs: dict):
        x, other = args
        return function(x, other.shape)

    return rule


def transposed(level: Level, call, args: tuple, kwargs: dict):
    (x,) = args
    return x if x.ndim < 2 else x.transpose(0, 1)


def all_reversed(level: Level, call, args: tuple, kwargs: dict):
    (x,) = args
    return x.permute(*range(x.ndim - 1, -1, -1))


def squeeze(function):
    """The rule of `squeeze`, which without a dimension leaves that of the samples."""
    of_dims = dims(function)

    def rule(level: Level, call, args: tuple, kwargs: dict):
        x, *dims = args
        if dims in ([()], [[]]):
            return x
        if kwargs or dims:
            return of_dims(level, call, args, kwargs)
        return level.batched(x._value.reshape(level.size, *[n for n in x.shape if n != 1]))

    return rule


def last(count: int):
    """The rule of functions of the last dimensions."""

    def rule(level: Level, call, args: tuple, kwargs: dict):
        tensors = [a for a in args if isinstance(a, Tensor)]
        if (
            len(tensors) != 1
            or tensors[0].ndim < count
            or any(isinstance(a, Tensor) for a in kwargs.values())
        ):
            return NotImplemented
        return level.wrap(call(*[value_of(a, level) for a in args], **kwargs))

    return rule


def folded(rank: int):
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
        values = [repeated(a, level) for a in args]
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


def interpolate(level: Level, call, args: tuple, kwargs: dict):
    return folded(args[0].ndim)(level, call, args, kwargs)


def pad(level: Level, call, args: tuple, kwargs: dict):
    x = args[0]
    mode = args[2] if len(args) > 2 else kwargs.get("mode", "constant")
    if mode == "constant":
        return level.batched(call(x._value, *args[1:], **kwargs))
    padded = len(args[1] if len(args) > 1 else kwargs["pad"]) // 2
    return folded(padded + 2)(level, call, args, kwargs)


# -- products --------------------------------------------------------------------------------------------


def matmul(level: Level, call, args: tuple, kwargs: dict):
    if kwargs or len(args) != 2 or not all(isinstance(a, Tensor) and a.ndim for a in args):
        return NotImplemented
    x, y = args
    if not is_batched(y, level) and y.ndim <= 2:
        return level.batched(torch.matmul(x._value, y))
    if x.ndim == y.ndim == 1:
        return (x * y).sum(-1)
    rank = max(x.ndim, y.ndim, 2)
    left = value_of(x.unsqueeze(0) if x.ndim == 1 else x, level)
    right = value_of(y.unsqueeze(1) if y.ndim == 1 else y, level)
    left, right = (
        v.reshape(level.size, *(1,) * (rank + 1 - v.ndim), *v.shape[1:]) if is_batched(t, level) else v
        for v, t in ((left, x), (right, y))
    )
    product = level.batched(torch.matmul(left, right))
    if x.ndim == 1:
        product = product.squeeze(-2)
    return product.squeeze(-1) if y.ndim == 1 else product


def product(rank_x: int, rank_y: int):
    """The rule of a product of tensors of given ranks."""

    def rule(level: Level, call, args: tuple, kwargs: dict):
        if (
            len(args) != 2
            or (args[0].ndim, args[1].ndim) != (rank_x, rank_y)
            or args[0].dtype != args[1].dtype
        ):
            return NotImplemented
        return matmul(level, call, args, kwargs)

    return rule


def outer(level: Level, call, args: tuple, kwargs: dict):
    x, y = args
    return NotImplemented if kwargs or x.ndim != 1 or y.ndim != 1 else x.unsqueeze(1) * y


def added(product):
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


def linear(level: Level, call, args: tuple, kwargs: dict):
    x, weight, bias = (*args, *[kwargs.get("bias")] * (3 - len(args))) if len(args) < 3 else args
    if kwargs.keys() - {"bias"} or weight.ndim != 2 or x.ndim == 0:
        return NotImplemented
    if is_batched(weight, level):
        product = torch.matmul(x, weight.mT)
    elif is_batched(bias, level):
        product = level.batched(call(value_of(x, level), weight))
    else:
        return level.batched(call(x._value, weight, bias))
    return product if bias is None else product + bias


def einsum(level: Level, call, args: tuple, kwargs: dict):
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
    parts = [free + p if is_batched(t, level) else p for p, t in zip(parts, operands, strict=True)]
    return level.batched(call(f"{','.join(parts)}->{free}{output}", *[value_of(t, level) for t in operands]))


def tensordot(level: Level, call, args: tuple, kwargs: dict):
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


def bilinear(level: Level, call, args: tuple, kwargs: dict):
    x, y, weight, *bias = args
    result = torch.einsum("...i,oij,...j->...o", x, weight, y)
    bias = bias[0] if bias else kwargs.get("bias")
    return result if bias is None else result + bias
