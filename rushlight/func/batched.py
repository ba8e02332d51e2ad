"""Batched tensors: what the arguments of a function are inside `vmap`, and how ops reach the rules for them.

A `Batched` has the shape of one sample; its value is an ordinary tensor with all samples along dimension 0, or, where
calls of `vmap` are nested, a `Batched` of an outer level. While a level is open, detours (`ops/detour.py`) lead all
functions here; with no level open they cost nothing more. A function with a rule (`batch_table.py`) is computed for all
samples at once. Any other one runs as it stands, its parts being led here in turn; where it asks for the array of a
`Batched`, which raises, it is called once per sample.

The graph is recorded on the values, so gradients of a batch need no rules of their own.
"""

import functools
import inspect
import threading

from rushlight import devices
from rushlight.autograd.engine import SamplesNeeded, run
from rushlight.autograd.grad_mode import MODE
from rushlight.dtypes import dtype
from rushlight.handle import TensorBase
from rushlight.ops.detour import Detour, Group
from rushlight.random import default_generator
from rushlight.tensor import Tensor, check_dim, disabled_torch_function
from rushlight.utils._pytree import tree_flatten, tree_unflatten

_CONTROL_FLOW = (
    "vmap: It looks like you're attempting to use a Tensor in some data-dependent control flow. We don't support that "
    "yet, please shout over at https://github.com/pytorch/functorch/issues/257 ."
)
ITEM = (
    "vmap: It looks like you're calling .item() on a Tensor. We don't support vmap over calling .item() on a Tensor, "
    "please try to rewrite what you're doing with other operations. If error is occurring somewhere inside PyTorch "
    "internals, please file a bug report."
)


class Misuse(RuntimeError):
    """A batched tensor was asked for what it does not have: one number, or memory of its own to write to."""


class _State(threading.local):
    """What this thread is doing."""

    levels: tuple = ()  # the open ones, the innermost last
    pulling = False  # gradients of several samples go through a graph that was recorded for one


STATE = _State()
_lock = threading.Lock()
_detours: list[Group] = []  # one, from the first use on
_open = 0  # levels, in all threads


class Level:
    """One call of `vmap`: open within a `with` block.

    Args:
        size: the number of samples; None for a level that has none and only watches random functions.
        randomness: what random functions do: "error", "same" or "different".
    """

    def __init__(self, size: int | None, randomness: str = "error"):
        self.size, self.randomness, self.depth = size, randomness, 0
        self.sampling = False  # a function is being called sample by sample
        self.inside = 0  # functions of ours without a rule, which are tried as they stand

    def __enter__(self):
        self._before = STATE.levels
        self.depth = len(self._before)
        STATE.levels = (*self._before, self)
        _count(1)
        return self

    def __exit__(self, *error):
        STATE.levels = self._before
        _count(-1)

    def batched(self, value: Tensor) -> "Batched":
        """The tensor of one sample, from the samples along dimension 0."""
        made = TensorBase.__new__(Batched)
        made._value, made._level = value, self
        return made

    def wrap(self, result):
        """`batched` of each tensor in a result."""
        if isinstance(result, Tensor):
            return self.batched(result)
        if isinstance(result, list | tuple):
            return _rebuilt(result, map(self.wrap, result))
        return result


def _rebuilt(sequence, items):
    return type(sequence)(*items) if hasattr(sequence, "_fields") else type(sequence)(items)


class Detoured:
    """For a `with` block in which levels open and close: the detours stay."""

    def __enter__(self):
        _count(1)

    def __exit__(self, *error):
        _count(-1)


def _count(change: int) -> None:
    global _open
    with _lock:
        _open += change
        if change > 0 and _open == 1:
            if not _detours:
                _make_detours()
            _detours[0].on()
        elif change < 0 and not _open:
            _detours[0].off()


def _make_detours() -> None:
    from rushlight.autograd.function import Function
    from rushlight.func.batch_table import rules
    from rushlight.library.operator import OpOverload
    from rushlight.overrides import _overridable

    table = rules() | {Function.apply.__func__: (_apply, False), OpOverload.__call__: (_operator, False)}
    functions = dict.fromkeys([*_overridable(), *table])
    _detours.append(
        Group([Detour(f, functools.partial(_call, f, *table.get(f, (None, False)))) for f in functions])
    )


class Batched(Tensor):
    """The tensor of one sample, which stands for those of all samples."""

    __torch_function__ = disabled_torch_function
    _value: Tensor
    _level: Level

    @property
    def _array(self):
        raise SamplesNeeded(
            "vmap: a function asked for the memory of a batched tensor. Outside the function that vmap calls, use what "
            "vmap returns instead."
        )

    shape = property(lambda self: devices.Size(self._value.shape[1:]))
    dtype = property(lambda self: self._value.dtype)
    device = property(lambda self: self._value.device)
    ndim = property(lambda self: self._value.ndim - 1)
    requires_grad = property(lambda self: self._rg, lambda self, on: self._value.requires_grad_(on) and None)
    grad_fn = property(lambda self: self._value.grad_fn)
    is_leaf = property(lambda self: self._value.is_leaf)
    layout = property(lambda self: self._value.layout)
    _rg = property(lambda self: self._value._rg)

    def size(self, dim: int | None = None):
        """Its dimensions, or the one numbered `dim`."""
        return self.shape if dim is None else self.shape[check_dim(dim, self.ndim)]

    def dim(self) -> int:
        """The number of its dimensions."""
        return self._value.dim() - 1

    ndimension = dim

    def numel(self) -> int:
        """The number of elements of one sample."""
        return self.shape.numel()

    nelement = numel

    def stride(self, dim: int | None = None):
        """Steps between neighbours along each dimension (or along `dim`), in elements."""
        steps = self._value.stride()[1:]
        return steps if dim is None else steps[check_dim(dim, self.ndim)]

    def element_size(self) -> int:
        """Bytes per element."""
        return self._value.element_size()

    def is_contiguous(self, memory_format=devices.contiguous_format) -> bool:
        """Whether the samples lie one after another, each in the order of its indices."""
        return self._value.is_contiguous()

    def is_floating_point(self) -> bool:
        """Whether its elements are floating-point numbers."""
        return self.dtype.is_floating_point

    def is_complex(self) -> bool:
        """Whether its elements are complex numbers."""
        return self.dtype.is_complex

    def requires_grad_(self, requires_grad: bool = True):
        """Set whether gradients flow to it; returns itself."""
        self._value.requires_grad_(requires_grad)
        return self

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __bool__(self) -> bool:
        raise Misuse(_CONTROL_FLOW)

    def item(self):
        """Raises RuntimeError: there is one number per sample."""
        raise Misuse(ITEM)

    __int__ = __float__ = __complex__ = __index__ = item

    def tolist(self):
        """Raises RuntimeError: there is one list per sample."""
        raise Misuse(ITEM)

    def backward(self, *args, **kwargs):
        """Raises RuntimeError: there is one gradient per sample."""
        raise Misuse(
            "backward() called inside a functorch transform. This is not supported, please use functorch.grad or "
            "functorch.vjp instead or call backward() outside of functorch transforms."
        )

    def __repr__(self, *, tensor_contents=None) -> str:
        value = repr(self._value).replace("\n", "\n    ")
        return f"BatchedTensor(lvl={self._level.depth + 1}, bdim=0, value=\n    {value}\n)"

    def __format__(self, specification: str) -> str:
        return repr(self)


# -- calls ---------------------------------------------------------------------------------------------


def _level_of(args) -> Level | None:
    """The innermost level of batched tensors among arguments."""
    found = None
    for a in args:
        kind = type(a)
        if kind is Batched:
            level = a._level
        elif kind is list or kind is tuple:
            level = _level_of(a)
        elif kind is slice:
            level = _level_of((a.start, a.stop, a.step))
        else:
            continue
        if level is not None and (found is None or level.depth > found.depth):
            found = level
    return found


def _call(function, rule, random: bool, original, args, kwargs):
    """What each function does while a level is open."""
    state = STATE
    if state.pulling and MODE.enabled:
        # The graph's nodes compose gradients of operations under this mode; these need no recording themselves.
        MODE.enabled = False
        try:
            return _call(function, rule, random, original, args, kwargs)
        finally:
            MODE.enabled = True
    level = _level_of((*args, *kwargs.values()) if kwargs else args)
    if level is None:
        if not random or not state.levels:
            return original(*args, **kwargs)
        level = state.levels[-1]
        if level.sampling and level.randomness != "error":
            rule = _unchanged
    if random and level.randomness == "error":
        refuse_random()
    if rule is not None:
        if kwargs:
            args, kwargs = _positional(function, args, kwargs)
        levels = state.levels
        state.levels = levels[
            : level.depth
        ]  # what a rule draws and differentiates is no sample's of this level
        try:
            result = rule(level, function if level.depth else original, args, kwargs)
        finally:
            state.levels = levels
        if result is not NotImplemented:
            return result
    if not random:
        level.inside += 1
        try:
            return original(*args, **kwargs)
        except (SamplesNeeded, Misuse):
            pass
        finally:
            level.inside -= 1
    return each_sample(level, function, args, kwargs)


def _unchanged(level: Level, call, args: tuple, kwargs: dict):
    return call(*args, **kwargs)


@functools.cache
def parameters(function) -> list:
    """The names of a function's positional parameters, that of the rest with a star."""
    found = inspect.signature(function).parameters.values()
    return ["*" * (p.kind is p.VAR_POSITIONAL) + p.name for p in found if p.kind is not p.KEYWORD_ONLY]


def _positional(function, args: tuple, kwargs: dict) -> tuple:
    """The arguments with those that were given by name, and might as well be by position, there."""
    names = parameters(function)
    if len(args) >= len(names) or names[len(args)] not in kwargs:
        return args, kwargs
    args, kwargs = list(args), dict(kwargs)
    while len(args) < len(names) and names[len(args)] in kwargs:
        args.append(kwargs.pop(names[len(args)]))
    return tuple(args), kwargs


def refuse_random() -> None:
    """Raise the error of random functions under randomness="error"."""
    raise Misuse(
        "vmap: called random operation while in randomness error mode. Please either use the 'same' or 'different' "
        "randomness flags on vmap or perform the randomness operation out of vmap"
    )


def each_sample(level: Level, function, args: tuple, kwargs: dict):
    """Call a function once per sample, and stack what it returns."""
    leaves, spec = tree_flatten((args, kwargs))
    empty = level.size == 0  # then one call with zeros says what the results would look like
    samples = [_samples(level, t, empty) for t in leaves]
    state = default_generator.get_state() if level.randomness == "same" else None
    columns, found, before, kept = [], None, level.sampling, MODE.keeps_graphs
    level.sampling = True
    try:
        for i in range(max(level.size, 1)):
            if i and state is not None:
                default_generator.set_state(state)
            given = [s[i] if isinstance(s, tuple) else leaf for s, leaf in zip(samples, leaves, strict=True)]
            MODE.keeps_graphs = kept or i + 1 < level.size  # a sample to come may need them
            its_args, its_kwargs = tree_unflatten(given, spec)
            flat, found = tree_flatten(function(*its_args, **its_kwargs))
            columns.append([_input_for(r, given, leaves) for r in flat])
    finally:
        level.sampling, MODE.keeps_graphs = before, kept
    return tree_unflatten([_stacked(level, c) for c in zip(*columns, strict=True)], found)


def backward_each_sample(node, grads: tuple):
    """What a node of the graph gives for each sample of the gradients."""
    level, recorded = _level_of(grads), MODE.enabled
    if level is None:
        return node.backward(*grads)  # whatever it lacked is no sample: raises again
    MODE.enabled = recorded and not STATE.pulling
    try:
        return each_sample(level, node.backward, grads, {})
    finally:
        MODE.enabled = recorded


def _samples(level: Level, t, empty: bool):
    if type(t) is not Batched or t._level is not level:
        return None
    return (t._value.new_zeros(t.shape),) if empty else t._value.unbind(0)


def _input_for(result, given: list, leaves: list):
    """The batched argument of which the function wrote and returned one sample, else the result."""
    if isinstance(result, Tensor):
        for sample, leaf in zip(given, leaves, strict=True):
            if result is sample:
                return leaf
    return result


_PLAIN = (type(None), bool, int, float, complex, str, tuple, devices.Size, devices.device, dtype)


def _stacked(level: Level, column: tuple):
    from rushlight.ops.joining import stack

    first = column[0]
    if isinstance(first, Tensor) and len(column) > 1 and all(c is first for c in column):
        return first
    if not isinstance(first, Tensor):
        if isinstance(first, _PLAIN) and all(type(c) is type(first) and c == first for c in column):
            return first
        raise SamplesNeeded(f"vmap: results of type {type(first).__name__} cannot be stacked")
    if type(first) is Batched and first._level is level:
        return first
    stacked = stack(column)
    return level.batched(stacked if level.size else stacked[:0])


def _apply(level: Level, call, args: tuple, kwargs: dict):
    """`Function.apply`: by the function's own `vmap`, else sample by sample."""
    kind, *inputs = args
    rule = getattr(kind, "vmap", None)
    if rule is None or getattr(kind, "generate_vmap_rule", False):
        return NotImplemented
    return by_own_rule(level, rule, inputs)


def _operator(level: Level, call, args: tuple, kwargs: dict):
    """A user's operator: by its function for batches, else sample by sample."""
    operator, *inputs = args
    if operator._vmap is None or kwargs:
        return NotImplemented
    return by_own_rule(level, operator._vmap, inputs)


def by_own_rule(level: Level, rule, inputs):
    """What a user's rule `rule(info, in_dims, *inputs) -> (outputs, out_dims)` gives."""
    import collections

    info = collections.namedtuple("VmapInfo", "batch_size randomness")(level.size, level.randomness)
    ours = [type(t) is Batched and t._level is level for t in inputs]
    values = [t._value if o else t for t, o in zip(inputs, ours, strict=True)]
    outputs, dims = rule(info, tuple(0 if o else None for o in ours), *values)
    if isinstance(outputs, Tensor):
        return _with_dim(level, outputs, dims)
    dims = dims if isinstance(dims, list | tuple) else [dims] * len(outputs)
    return _rebuilt(outputs, [_with_dim(level, o, d) for o, d in zip(outputs, dims, strict=True)])


def _with_dim(level: Level, t, dim: int | None):
    return t if dim is None or not isinstance(t, Tensor) else level.batched(t.movedim(dim, 0))


# -- levels of a tensor ----------------------------------------------------------------------------------


def bottom(t: Tensor) -> Tensor:
    """The ordinary tensor that holds the samples of all levels."""
    while type(t) is Batched:
        t = t._value
    return t


def taken(t: Tensor, level: Level) -> Tensor:
    """The samples of a level along dimension 0, repeated where the tensor is the same for all."""
    if type(t) is not Batched or t._level.depth < level.depth:
        return t.expand(level.size, *t.shape)
    if t._level is level:
        return t._value
    return t._level.batched(taken(t._value, level).transpose(0, 1))


def given(t: Tensor, level: Level) -> Tensor:
    """The opposite of `taken`."""
    if type(t) is Batched and t._level.depth > level.depth:
        return t._level.batched(given(t._value.transpose(0, 1), level))
    return level.batched(t)


def on_all_levels(t: Tensor) -> Tensor:
    """The tensor with samples of its own on every open level, so that each of them has a gradient of its own."""
    for level in STATE.levels:
        if level.size is not None:
            t = given(taken(t, level), level)
    return t


def _levels_in(tensors) -> list[Level]:
    """All levels of some tensors, the innermost first."""
    found = {}
    for t in tensors:
        while type(t) is Batched:
            found[t._level.depth] = t._level
            t = t._value
    return [found[depth] for depth in sorted(found, reverse=True)]


def gradients(outputs, inputs, cotangents, create_graph: bool, retain_graph: bool) -> list:
    """`autograd.grad` of tensors that may be batched; None where nothing depends on an input."""
    levels = _levels_in(inputs)
    for level in levels:
        depends = [type(o) is Batched and level in _levels_in([o]) for o in outputs]  # others are constant
        outputs, cotangents = (
            [taken(t, level) for t, d in zip(ts, depends, strict=True) if d] for ts in (outputs, cotangents)
        )
        inputs = [taken(t, level) for t in inputs]
    linked = [(o, c) for o, c in zip(map(bottom, outputs), cotangents, strict=True) if o._rg]
    found = [None] * len(inputs)
    if linked:
        several = any(type(c) is Batched for _, c in linked)
        before, STATE.pulling = STATE.pulling, several and not create_graph
        try:
            roots, cotangents = zip(*linked, strict=True)
            found = run(
                roots,
                cotangents,
                retain_graph=retain_graph,
                create_graph=create_graph or several,
                inputs=inputs,
            )
        finally:
            STATE.pulling = before
    for level in reversed(levels):
        found = [None if g is None else given(g, level) for g in found]
    return found
