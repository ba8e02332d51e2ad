"""How layers, losses of classes, indices and random functions are computed for all samples of a batch at once."""

import inspect

import rushlight as torch
from rushlight.func.batch_rules import (
    is_batched,
    pointwise,
    repeated,
    rows,
    unwritable,
    value_of,
    with_rank,
)
from rushlight.func.batched import ITEM, Level, Misuse, parameters, refuse_random
from rushlight.nn import functional as F
from rushlight.tensor import Tensor, check_dim

# -- layers ----------------------------------------------------------------------------------------------


def convolution(n: int, transposed: bool):
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
        if not is_batched(weight, level):
            own = is_batched(bias, level)
            result = call(x._value.flatten(0, 1), weight, None if own else bias, **given)
            result = level.batched(result.unflatten(0, (level.size, x.shape[0])))
        else:
            result = _with_own_weights(level, call, x, weight._value, given, n)
            own = True
        return result + bias.reshape(-1, *(1,) * n) if own and bias is not None else result

    return rule


def _with_own_weights(level: Level, call, x: Tensor, weight: Tensor, settings: dict, n: int) -> Tensor:
    x = repeated(x, level)
    groups = settings.get("groups", 1)

    def grouped(x: Tensor, weight: Tensor) -> Tensor:
        size = x.shape[0]
        joined = x.transpose(0, 1).flatten(1, 2)
        result = call(joined, weight.flatten(0, 1), None, **{**settings, "groups": groups * size})
        return result.unflatten(1, (size, -1)).transpose(0, 1)

    return level.batched(grouped(x, weight))


def embedding(level: Level, call, args: tuple, kwargs: dict):
    index, weight = args[:2]
    if not is_batched(weight, level):
        return level.batched(call(index._value, weight, *args[2:], **kwargs))
    if any(v not in (None, False, 2.0) for v in (*args[2:], *kwargs.values())):
        return NotImplemented
    return weight[index]


def _scaled(result: Tensor, weight, bias) -> Tensor:
    if weight is not None:
        result = result * weight
    return result if bias is None else result + bias


def layer_norm(level: Level, call, args: tuple, kwargs: dict):
    given = dict(zip(("input", "normalized_shape", "weight", "bias", "eps"), args, strict=False)) | kwargs
    x, shape, weight, bias = (given.get(k) for k in ("input", "normalized_shape", "weight", "bias"))
    own = is_batched(weight, level) or is_batched(bias, level)
    x = repeated(x, level)
    eps = given.get("eps", 1e-5)
    if not own:
        return level.batched(call(x, shape, weight, bias, eps))
    return _scaled(level.batched(call(x, shape, None, None, eps)), weight, bias)


def group_norm(level: Level, call, args: tuple, kwargs: dict):
    given = dict(zip(("input", "num_groups", "weight", "bias", "eps"), args, strict=False)) | kwargs
    x, groups, weight, bias = (given.get(k) for k in ("input", "num_groups", "weight", "bias"))
    own = is_batched(weight, level) or is_batched(bias, level)
    inner = (None, None) if own else (weight, bias)
    result = call(repeated(x, level).flatten(0, 1), groups, *inner, given.get("eps", 1e-5))
    result = level.batched(result.unflatten(0, (level.size, x.shape[0])))
    shape = (-1, *(1,) * (x.ndim - 2))
    weight, bias = (None if t is None or not own else t.reshape(shape) for t in (weight, bias))
    return _scaled(result, weight, bias)


def batch_norm(function):
    names = parameters(function)
    return lambda level, call, args, kwargs: _normalized(level, names, args, kwargs)


def _normalized(level: Level, names: list, args: tuple, kwargs: dict):
    given = {"training": False, "momentum": 0.1, "eps": 1e-5} | dict(zip(names, args, strict=False)) | kwargs
    x, weight, bias = given["input"], given.get("weight"), given.get("bias")
    statistics = [given.get("running_mean"), given.get("running_var")]
    training, size = given["training"], level.size
    if x.ndim < 2:
        return NotImplemented
    if training and any(s is not None and not is_batched(s, level) for s in statistics):
        raise RuntimeError(
            "Batch norm got a batched tensor as input while the running_mean or running_var, which will be updated in "
            "place, were not batched.\nIf you are using a module and do not need eval mode, please set "
            "`track_running_stats` to be False.If you are using a prebuilt module and do not need eval mode, please see "
            "the functorch website for resources on how to patch your module to work with vmap"
        )
    value = repeated(x, level).transpose(0, 1)  # (N, samples, C, ...)
    flat = [None if s is None else repeated(s, level).reshape(-1) for s in statistics]
    result = F.batch_norm(value.flatten(1, 2), *flat, None, None, training, given["momentum"], given["eps"])
    if training:
        for s, f in zip(statistics, flat, strict=True):
            if s is not None:
                s._value.copy_(f.reshape(size, -1))
    shape = (-1, *(1,) * (x.ndim - 2))
    weight, bias = (None if t is None else t.reshape(shape) for t in (weight, bias))
    return _scaled(level.batched(result.unflatten(1, (size, -1)).transpose(0, 1)), weight, bias)


def attention(level: Level, call, args: tuple, kwargs: dict):
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
            given[name] = with_rank(level.batched(repeated(t, level)), rank, level)
    return level.batched(call(**given))


# -- losses of classes -----------------------------------------------------------------------------------


def class_loss(level: Level, call, args: tuple, kwargs: dict):
    """`cross_entropy` and `nll_loss`: a loss for each target, then the mean of each sample's, weighted by class."""
    given = dict(zip(("input", "target", "weight"), args, strict=False)) | kwargs
    x, target, weight = given["input"], given["target"], given.get("weight")
    reduction, ignored = given.get("reduction", "mean"), given.get("ignore_index", -100)
    legacy = given.get("size_average") is not None or given.get("reduce") is not None
    if len(args) > 3 or legacy or is_batched(weight, level):
        return NotImplemented
    given["reduction"] = "none"
    values = [repeated(t, level) for t in (x, target)]
    if x.ndim > 1:
        values = [v.flatten(0, 1) for v in values]
    given["input"], given["target"] = values
    each = call(**given)
    if x.ndim > 1:
        each = each.unflatten(0, (level.size, x.shape[0]))
    if reduction == "none":
        return level.batched(each)
    total = rows(each).sum(1)
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
    return level.batched(total / rows(counted).sum(1))


# -- indices ---------------------------------------------------------------------------------------------


def _index(level: Level, x: Tensor, index):
    """(value, index) such that value[index] has the elements of all samples along dimension 0; else NotImplemented."""
    index = index if isinstance(index, tuple) else (index,)
    index = tuple(torch.tensor(i) if isinstance(i, list) else i for i in index)
    tensors = [i for i in index if isinstance(i, Tensor)]
    if any(t.dtype in (torch.bool, torch.uint8) for t in tensors):
        return NotImplemented
    if not any(is_batched(i, level) for i in tensors):
        places = [k for k, i in enumerate(index) if isinstance(i, Tensor | int) and not isinstance(i, bool)]
        if not tensors or places[-1] - places[0] == len(places) - 1:
            return (x._value, (slice(None), *index)) if is_batched(x, level) else NotImplemented
        return NotImplemented
    if any(not isinstance(i, Tensor) for i in index):
        first = next(k for k, i in enumerate(index) if isinstance(i, Tensor))
        whole = all(i == slice(None) for i in index[first:] if not isinstance(i, Tensor))
        if first or not whole or any(isinstance(i, Tensor) for i in index[len(tensors) :]):
            return NotImplemented
        index = index[: len(tensors)]
    if not is_batched(x, level):
        rank = max(t.ndim for t in index)
        return x, tuple(with_rank(t, rank, level) if is_batched(t, level) else t for t in index)
    rank = max(t.ndim for t in index)
    samples = torch.arange(level.size).reshape(-1, *(1,) * rank)
    own = [with_rank(t, rank, level) if is_batched(t, level) else t for t in index]
    return x._value, (samples, *own)


def getitem(level: Level, call, args: tuple, kwargs: dict):
    x, index = args
    if isinstance(index, slice | tuple):
        parts = index if isinstance(index, tuple) else (index,)
        if any(
            isinstance(i, slice) and any(isinstance(n, Tensor) for n in (i.start, i.stop, i.step))
            for i in parts
        ):
            raise Misuse(ITEM)
    found = _index(level, x, index)
    return NotImplemented if found is NotImplemented else level.batched(call(*found))


def setitem(level: Level, call, args: tuple, kwargs: dict):
    x, index, new = args
    if not is_batched(x, level):
        raise unwritable(level, torch.Tensor.copy_)
    found = _index(level, x, index)
    if found is NotImplemented:
        return NotImplemented
    if is_batched(new, level):
        rank = x[index].ndim
        if new.ndim > rank:
            new = new.reshape(new.shape[new.ndim - rank :])
        new = with_rank(new, rank, level)
    call(*found, new)
    return None


def index_select(level: Level, call, args: tuple, kwargs: dict):
    if len(args) != 3 or kwargs:
        return NotImplemented
    x, dim, index = args
    dim = check_dim(dim, x.ndim)
    if not x.ndim or index.ndim != 1:
        return NotImplemented
    if not is_batched(index, level):
        return level.batched(call(x._value, dim + 1, index))
    shape = list(x.shape)
    shape[dim] = index.shape[0]
    wide = index.reshape(-1, *(1,) * (x.ndim - 1 - dim)).expand(shape)
    return torch.gather(x, dim, wide)


def index_write(level: Level, call, args: tuple, kwargs: dict):
    if len(args) != 4 or not args[0].ndim or is_batched(args[2], level) or args[3].ndim != args[0].ndim:
        return NotImplemented
    x, dim, index, source = args
    dim = check_dim(dim, x.ndim) + 1
    return level.batched(call(repeated(x, level), dim, index, repeated(source, level), **kwargs))


def masked_fill(level: Level, call, args: tuple, kwargs: dict):
    x, mask, value = args
    if not isinstance(value, Tensor):
        return pointwise(level, call, args, kwargs)
    return torch.where(mask, value.to(x.dtype), x)


def as_strided(level: Level, call, args: tuple, kwargs: dict):
    """A view of each sample's memory, as if it were all."""
    x, size, stride, *offset = args
    if kwargs or not is_batched(x, level):
        return NotImplemented
    value = x._value.contiguous()
    return level.batched(call(value, (level.size, *size), (x.numel(), *stride), *offset))


# -- random numbers --------------------------------------------------------------------------------------


def factory(level: Level, call, args: tuple, kwargs: dict):
    if level.randomness == "same":
        return call(*args, **kwargs)
    name = call.__name__
    if name in ("rand", "randn"):
        sizes = args[0] if args and isinstance(args[0], list | tuple) else args
        return level.batched(call((level.size, *sizes), **kwargs)) if "size" not in kwargs else NotImplemented
    if name == "randint" and "size" not in kwargs and args and isinstance(args[-1], list | tuple):
        return level.batched(call(*args[:-1], (level.size, *args[-1]), **kwargs))
    return level.batched(torch.stack([call(*args, **kwargs) for _ in range(level.size)]))


def random_like(level: Level, call, args: tuple, kwargs: dict):
    tensors = [a for a in args if isinstance(a, Tensor)]
    if not tensors:
        return factory(level, call, args, kwargs)
    if level.randomness == "same":
        if not any(is_batched(t, level) for t in tensors):
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
        with_rank(level.batched(repeated(a, level)), rank, level) if isinstance(a, Tensor) else a
        for a in args
    ]
    return level.wrap(call(*values, **kwargs))


def random_inplace(level: Level, call, args: tuple, kwargs: dict):
    x, *rest = args
    if not is_batched(x, level):
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


def dropout(function):
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
            return level.batched(call(value_of(x, level), *args[1:], **kwargs))
        if level.randomness == "error":
            refuse_random()
        if name.rstrip("_") != "dropout":
            return NotImplemented
        if level.randomness == "different":
            result = level.batched(call(repeated(x, level), *args[1:], **kwargs))
        elif not is_batched(x, level):
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
