"""What functions do with masked tensors, by their names.

Each handler is called as `handler(func, *args, **kwargs)`, where `func` is the function that was called.
"""

import functools

import numpy as np

from rushlight import devices, overrides
from rushlight.autograd.grad_mode import MODE
from rushlight.dtypes import bool_
from rushlight.masked import reductions
from rushlight.masked.maskedtensor.core import MaskedTensor, made, same, unsupported, values_of, with_values
from rushlight.masked.maskedtensor.gradients import MISMATCH, data_of, record, to_layout
from rushlight.ops import comparison, creation, reduction
from rushlight.ops.parts import broadcast_to
from rushlight.tensor import Tensor, check_dim

#: Functions of one tensor, each element by itself; with `_` behind the name in place.
UNARY = set(
    """
    abs absolute acos acosh angle arccos arccosh arcsin arcsinh arctan arctanh asin asinh atan atanh bitwise_not ceil
    clamp clip conj conj_physical cos cosh deg2rad digamma erf erfc erfinv exp exp2 expm1 fix floor frac i0 invert isnan
    lgamma log log10 log1p log2 logit nan_to_num neg negative pos positive pow rad2deg reciprocal round rsqrt sgn
    sigmoid sign signbit sin sinc sinh sqrt square tan tanh trunc
    """.split()  # noqa: SIM905
)
#: Functions of two.
BINARY = set(
    """
    add and arctan2 atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor div divide eq
    floor_divide floordiv fmax fmin fmod ge greater greater_equal gt le less less_equal logaddexp logaddexp2 lshift lt
    maximum minimum mod mul multiply ne nextafter not_equal or radd rand rdiv remainder rfloordiv rmod rmul ror
    rshift rtruediv rxor sub subtract true_divide truediv xor
    """.split()  # noqa: SIM905
)
#: Functions that rearrange: done with the data and with the mask.
REARRANGING = """
    __getitem__ adjoint broadcast_to cat chunk concat concatenate dsplit expand expand_as flatten getitem hsplit
    mT narrow ravel reshape reshape_as select split split_with_sizes stack swapaxes swapdims t tensor_split transpose
    unflatten unfold unsqueeze view view_as vsplit
    """.split()  # noqa: SIM905
#: Functions that change the type of elements.
CONVERTING = "bool char cpu double float half int long short to type type_as".split()  # noqa: SIM905
REDUCING = "all amax amin argmax argmin mean prod std sum var".split()  # noqa: SIM905


@functools.cache
def handler(name: str):
    """What functions of this public name do with masked tensors; None where they are not listed."""
    if name in OPS:
        return OPS[name]
    special = name.startswith("__")
    plain = name.strip("_")
    in_place = (name.endswith("_") and not special) or (special and plain[0] == "i" and plain != "invert")
    plain = plain[1:] if special and in_place else plain
    if plain in UNARY:
        return in_place_unary if in_place else unary
    if plain in BINARY:
        return in_place_pointwise if in_place else pointwise
    return None


def _refuse_keywords(kwargs: dict, message: str) -> None:
    """What ops have by name only is not for masked tensors."""
    if kwargs.pop("alpha", 1) != 1 or any(
        kwargs.pop(name, None) not in (None, 0) for name in ("decimals", "out", "rounding_mode")
    ):
        raise ValueError(message)


def unary(func, input, *args, **kwargs) -> MaskedTensor:
    """Each element by itself."""
    _refuse_keywords(
        kwargs,
        "MaskedTensor unary ops require that len(kwargs) == 0. If you need support for this, please open an issue on "
        "Github.",
    )
    if not isinstance(input, MaskedTensor) or any(isinstance(a, Tensor) for a in (*args, *kwargs.values())):
        raise TypeError("MaskedTensor unary ops do not support additional Tensor arguments")
    return record(lambda t: func(t, *args, **kwargs), [input], input._masked_mask, "elementwise")


def pointwise(func, *args, **kwargs) -> MaskedTensor:
    """Each element of one tensor with that of another; both have one mask, or one is not masked."""
    _refuse_keywords(kwargs, "len(kwargs) must equal 0")
    args = (*args, *kwargs.values())
    masked = [a for a in args if isinstance(a, MaskedTensor)]
    if len(masked) > 1 and not _match(*masked):
        raise ValueError(MISMATCH)
    at = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
    mask = masked[0]._masked_mask
    if not masked[0].is_sparse:
        mask = broadcast_to(mask, np.broadcast_shapes(*(tuple(args[i].shape) for i in at)))

    def function(*values):
        given = dict(zip(at, values, strict=True))
        return func(*(given.get(i, a) for i, a in enumerate(args)))

    return record(function, [args[i] for i in at], mask, "elementwise")


def _match(a: MaskedTensor, b: MaskedTensor) -> bool:
    return a.shape == b.shape and same(a._masked_mask, b._masked_mask)


def _write(func, handle, input, *args, **kwargs):
    """The same in place: into the memory of the data, or where gradients flow, in its stead."""
    if not isinstance(input, MaskedTensor):
        raise NotImplementedError(
            f"{func.__name__}: cannot write masked elements into an ordinary tensor; use the function that returns a new one"
        )
    if input._rg and input._node is None and MODE.enabled:
        raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
    if not (MODE.enabled and any(isinstance(t, Tensor) and t._rg for t in (input, *args))):
        handle(func, input, *args, **kwargs)
        return input

    def on_copy(t, *rest, **named):
        return func(t.clone(), *rest, **named)

    found = handle(on_copy, input, *args, **kwargs)
    input._masked_data, input._node, input._nr, input._rg = found._masked_data, found._node, 0, found._rg
    return input


def in_place_unary(func, *args, **kwargs):
    """`unary` in place."""
    return _write(func, unary, *args, **kwargs)


def in_place_pointwise(func, *args, **kwargs):
    """`pointwise` in place."""
    return _write(func, pointwise, *args, **kwargs)


def rearrange(func, input, *args, **kwargs):
    """The same with the data and with the mask."""
    several = not isinstance(input, Tensor)
    tensors = list(input) if several else [input]
    args, masks = tuple(map(data_if_masked, args)), [_mask_of(t) for t in tensors]

    def function(*values):
        return func(list(values) if several else values[0], *args, **kwargs)

    found = function(*masks)
    if any(m.layout is not devices.strided for m in masks):
        if any(t._rg for t in tensors):
            raise unsupported(f"the gradient of {overrides.public_name(func)} of sparse layouts")
        return made(function(*map(data_of, tensors)), found)
    if isinstance(found, Tensor):
        return record(function, tensors, found, "linear")
    return tuple(
        record(lambda *v, i=i: function(*v)[i], tensors, mask, "linear") for i, mask in enumerate(found)
    )


def data_if_masked(value):
    """The data of a masked tensor; other things as they are."""
    return data_of(value) if isinstance(value, MaskedTensor) else value


def _mask_of(t: Tensor) -> Tensor:
    return t._masked_mask if isinstance(t, MaskedTensor) else creation.ones_like(t, dtype=bool_)


def convert(func, input, *args, **kwargs) -> MaskedTensor:
    """Elements of another type."""
    if not isinstance(input, MaskedTensor):
        return func(input, *map(data_if_masked, args), **kwargs)
    args = tuple(map(data_if_masked, args))
    found = record(lambda t: func(t, *args, **kwargs), [input], input._masked_mask, "elementwise")
    return input if found.dtype == input.dtype and not kwargs.get("copy") else found


def reduce(func, input, *args, **kwargs) -> MaskedTensor:
    """A reduction of what counts; the result counts where anything did."""
    name = overrides.public_name(func)
    mask = input._masked_mask
    if not args and not kwargs:
        if name in ("argmax", "argmin") and input.layout is devices.sparse_coo:
            return _sparse_place(name, input)
        values = values_of(mask)
        return _reduced(name, input, values, values.any(), {})
    return _reduce_dim(name, input, *args, **kwargs)


def _reduce_dim(name: str, input: MaskedTensor, dim, keepdim=False, dtype=None) -> MaskedTensor:
    if input.is_sparse:
        raise unsupported(f"The sparse version of {name} along a dimension")
    mask = input._masked_mask
    dims = tuple(check_dim(d, input.dim()) for d in ((dim,) if isinstance(dim, int) else dim))
    given = {"dim": dim, "keepdim": keepdim} | ({} if name == "all" else {"dtype": dtype})
    return _reduced(name, input, mask, reduction.any(mask, dims, keepdim), given)


def _reduced(name: str, input: MaskedTensor, mask: Tensor, result_mask: Tensor, given: dict) -> MaskedTensor:
    def function(values):
        if name == "all":
            return reduction.all(values.masked_fill(~mask, True), **given)
        return getattr(reductions, name)(values, mask=mask, **given)

    return record(function, [input], result_mask, "whole")


def _sparse_place(name: str, input: MaskedTensor) -> MaskedTensor:
    data, mask = input._masked_data, values_of(input._masked_mask)
    row = int(getattr(reductions, name)(values_of(data), mask=mask))
    flat = np.ravel_multi_index(tuple(data.indices()[:, row].tolist()), tuple(data.shape))
    return made(creation.scalar_tensor(float(flat)), mask.any())


def softmax(func, input, dim=None, *args, dtype=None, **kwargs) -> MaskedTensor:
    """Softmax of what counts."""
    mask = input._masked_mask
    dtype = next((a for a in args if isinstance(a, type(input.dtype))), dtype)
    return record(lambda t: reductions.softmax(t, dim, dtype=dtype, mask=mask), [input], mask, "whole")


def where(func, *args, **kwargs) -> MaskedTensor:
    """Data and masks of one or the other, by a condition."""
    if len(args) != 3 or kwargs:
        raise ValueError(
            f"__torch_function__, torch.where: len(args) must be 3 but got {len(args)}; pass the condition and both "
            "tensors by position"
        )
    if isinstance(args[0], MaskedTensor):  # the method
        args = (args[1], args[0], args[2])
    condition, *both = args
    other = next(t for t in both if isinstance(t, MaskedTensor))
    both = [t if isinstance(t, Tensor) else creation.scalar_tensor(t, dtype=other.dtype) for t in both]
    mask = comparison.where(condition, *map(_mask_of, both))
    return record(lambda *values: comparison.where(condition, *values), both, mask, "linear")


def copied(func, input, *args, **kwargs) -> MaskedTensor:
    """`clone` and `contiguous`."""
    if func.__name__ == "contiguous" and input.is_contiguous():
        return input
    mask = with_values(input._masked_mask, func(values_of(input._masked_mask), *args, **kwargs))
    return record(lambda t: func(t, *args, **kwargs), [input], mask, "elementwise")


def copy_(func, input, other, non_blocking=False) -> MaskedTensor:
    """The elements of another tensor; the mask stays."""
    return _write(func, pointwise, input, other.get_data() if isinstance(other, MaskedTensor) else other)


def ones_like(func, input, **kwargs) -> MaskedTensor:
    """Ones with the same mask."""
    return made(func(data_of(input), **kwargs), input._masked_mask)


def to_dense(func, input) -> MaskedTensor:
    """Dense data and a dense mask."""
    return to_layout(input, devices.strided)


def to_sparse(func, input, *args, layout=None, **kwargs) -> MaskedTensor:
    """The elements that count, by their places."""
    return to_layout(
        input, devices.sparse_csr if devices.sparse_csr in (*args, layout) else devices.sparse_coo
    )


def to_sparse_csr(func, input) -> MaskedTensor:
    """The elements that count, in compressed rows."""
    if input.dim() != 2:
        raise ValueError(
            f"Only 2D tensors can be converted to the SparseCsr layout but got shape: {input.shape}"
        )
    return to_layout(input, devices.sparse_csr)


def differentiate(func, tensors, *args, **kwargs):
    """`torch.autograd.backward` and `grad`, and the method `backward`: gradients begin at the data."""

    def plain(value):
        if isinstance(value, list | tuple):
            return type(value)(map(plain, value))
        return value.get_data() if isinstance(value, MaskedTensor) else value

    if overrides.public_name(func) == "grad":  # the second argument says whose gradients are wanted
        inputs, args = (args[:1], args[1:]) if args else ((), args)
        args = (*inputs, *map(plain, args))
    else:
        args = tuple(map(plain, args))
    for name in ("grad_outputs", "grad_tensors", "gradient"):
        if name in kwargs:
            kwargs[name] = plain(kwargs[name])
    return overrides.own_way(func, (plain(tensors), *args), kwargs)


def refused(func, *args, **kwargs):
    """Functions that would otherwise be done by others that are there."""
    raise unsupported(overrides.public_name(func))


OPS = {
    **dict.fromkeys(REARRANGING, rearrange), **dict.fromkeys(CONVERTING, convert), **dict.fromkeys(REDUCING, reduce),
    **dict.fromkeys(("clone", "contiguous"), copied), **dict.fromkeys(("backward", "grad"), differentiate),
    "softmax": softmax, "where": where, "copy_": copy_, "ones_like": ones_like, "to_dense": to_dense,
    "to_sparse": to_sparse, "to_sparse_coo": to_sparse, "to_sparse_csr": to_sparse_csr,
    **dict.fromkeys(("__setitem__", "setitem"), refused),
}  # fmt: skip
