"""Functions of single elements: they work on the packed values, whatever the layout."""

import functools

from rushlight import overrides
from rushlight.nested.tensor import Nested
from rushlight.tensor import Tensor

#: The files of `rushlight/ops` whose functions treat each element by itself.
FAMILIES = (
    "activation",
    "comparison",
    "complex_parts",
    "convert",
    "elementwise",
    "functions_of_two",
    "special",
    "unary",
)

#: Others, from files with functions of many kinds.
_FURTHER = set(
    """
    alpha_dropout apply_ bernoulli clone conj copysign detach dropout elu_ empty_like feature_alpha_dropout fill fill_
    full_like hardtanh_ is_pinned leaky_relu_ masked_fill masked_fill_ normal_ ones_like pin_memory rand_like
    randint_like randn_like relu relu_ uniform_ xlogy zero_ zeros_like
    """.split()  # noqa: SIM905
)

#: Functions of the families that are none.
_NOT = {
    "H", "adjoint", "allclose", "contiguous", "equal", "glu", "gumbel_softmax", "imag", "isclose", "prelu", "real",
    "view_as_complex", "view_as_real",
}  # fmt: skip


def dropout(func, input, p=0.5, training=None, inplace=False, *, train=True):
    """Dropout of the packed values; PyTorch draws numbers for nested tensors also where all are kept or none."""
    training = train if training is None else training
    if not training or 0 < p < 1:
        return call(func, (input, p, training), {"inplace": True} if inplace else {})
    values = input._values
    kept = values.detach().clone().bernoulli_(1 - p)
    return input.mul_(input._with(kept)) if inplace else input._with(values * kept)


@functools.cache
def _names() -> frozenset:
    found = {
        public.rpartition(".")[2]
        for function, public in overrides._overridable().items()
        if function.__module__.removeprefix("rushlight.ops.") in FAMILIES
    }
    return frozenset(found | _FURTHER) - _NOT


def covers(name: str) -> bool:
    """Whether a function of this public name treats each element by itself; `name_` does as `name`."""
    return name in _names() or (name.endswith("_") and name[:-1] in _names())


def call(func, args: tuple, kwargs: dict):
    """Call such a function on packed values, and give what comes out the structure of the first nested tensor."""
    first = next(a for a in (*args, *kwargs.values()) if isinstance(a, Nested))
    kwargs.pop("layout", None)
    name = overrides.public_name(func)

    def packed(value):
        return first._matching(value, name) if isinstance(value, Tensor) else value

    found = func(*map(packed, args), **{key: packed(value) for key, value in kwargs.items()})
    if isinstance(found, tuple):
        return type(found)(map(first._with, found))
    if not isinstance(found, Tensor):
        return found
    if found is first._values:  # written in place, or nothing to do
        return first
    return first._with(found)
