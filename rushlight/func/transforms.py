"""`grad`, `vjp`, `jvp` and the Jacobians made of them.

A function runs on aliases of its arguments. Where nothing outside wants gradients, these are new leaves and the results
are cut off from them; where something does (an argument or a captured tensor requires gradients, which is also how an
enclosing transform shows itself), the results stay in its graph.
"""

import contextlib
import functools

import numpy as np

from rushlight.autograd.function import forward_mode
from rushlight.autograd.grad_mode import MODE, enable_grad
from rushlight.autograd.node import edge
from rushlight.func.arguments import check_outputs, check_real, chosen, replaced, split_aux
from rushlight.func.batched import Detoured, Level, bottom, gradients, on_all_levels, taken
from rushlight.ops.joining import cat
from rushlight.tensor import Tensor, wrap
from rushlight.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten

Tensor._transform = None  # on the leaves that a transform makes: [whether its function is running]


class _Trace:
    """One run of a function on aliases of its arguments.

    Args:
        func, args, kwargs: what to call.
        argnums: which positional arguments to differentiate; all where None.
        has_aux: the function returns (output, aux).
        api: how errors name the transform.
    """

    def __init__(self, func, args, kwargs, argnums, has_aux: bool, api: str):
        self.outer = MODE.enabled
        self.running = [False]
        primals, self.spec = tree_flatten(chosen(args, argnums))
        with enable_grad():
            self.leaves = [self._alias(t) for t in primals]
            aliased = replaced(args, argnums, tree_unflatten(self.leaves, self.spec))
            self.running[0] = True
            try:
                result = func(*aliased, **kwargs)
            finally:
                self.running[0] = False
        self.output, self.aux = split_aux(result, has_aux, api)
        self.flat, self.out_spec = tree_flatten(self.output)

    def _alias(self, t) -> Tensor:
        if not isinstance(t, Tensor):
            raise ValueError(f"Thing passed to transform API must be Tensor, got {type(t)}")
        t = on_all_levels(t)
        if self.outer and t._rg:
            return t.view_as(t)
        leaf = t.detach().requires_grad_()
        bottom(leaf)._transform = self.running
        return leaf

    def wanted_outside(self, tensors) -> bool:
        """Whether gradients of these tensors go anywhere but to the arguments' aliases."""
        if not self.outer:
            return False
        seen: set = set()
        waiting = [edge(bottom(t)) for t in tensors if isinstance(t, Tensor)]
        while waiting:
            node = waiting.pop()
            if node is None or id(node) in seen:
                continue
            seen.add(id(node))
            if not node.is_node:
                # The leaves of a transform are wanted by its own function, as long as that runs, and by nobody else.
                if node._transform is None or node._transform[0]:
                    return True
                continue
            waiting.extend(node.edges)
        return False

    def finished(self, tree):
        """Results as the caller gets them."""
        return tree_map(self._finished, tree)

    def _finished(self, t):
        return t if not isinstance(t, Tensor) or not t._rg or self.wanted_outside([t]) else t.detach()

    def pull(self, cotangents, create_graph: bool, retain_graph: bool = True) -> list[Tensor]:
        """The gradient of each differentiated argument from those of the outputs."""
        return _gradients(self.flat, self.leaves, cotangents, create_graph, retain_graph)


def _gradients(outputs, inputs, cotangents, create_graph: bool, retain_graph: bool) -> list[Tensor]:
    """The gradients of tensors, zeros where nothing depends on an input."""
    found = gradients(outputs, inputs, cotangents, create_graph, retain_graph)
    return [_zeros(t) if g is None else g for t, g in zip(inputs, found, strict=True)]


def _zeros(t: Tensor) -> Tensor:
    return wrap(np.zeros(t.shape, t.dtype.numpy))


def _units(t: Tensor, chunk: int | None):
    """The gradients that pick each element of a tensor in turn, in batches."""
    count = t.numel()
    for start in range(0, count, chunk or max(count, 1)):
        size = min(chunk or count, count - start)
        yield wrap(np.eye(size, count, start, t.dtype.numpy).reshape(size, *t.shape))


def _differentiated(func, argnums, has_aux: bool, args, kwargs) -> tuple:
    """(gradient, value, aux) of a function of one number."""
    api = "grad_and_value(f)(*args)"
    run = _Trace(func, args, kwargs, argnums, has_aux, api)
    value = run.output
    if not isinstance(value, Tensor):
        raise RuntimeError(f"{api}: Expected f(*args) to return a Tensor, got {type(value)}")
    if value.dim() != 0:
        raise RuntimeError(
            f"{api}: Expected f(*args) to return a scalar Tensor, got tensor with {value.dim()} dims. Maybe you wanted "
            "to use the vjp or jacrev APIs instead?"
        )
    create = run.wanted_outside([value])
    one = wrap(np.ones((), value.dtype.numpy))
    kept = create or any(isinstance(t, Tensor) and t._rg for t in tree_leaves(run.aux))
    found = tree_unflatten(run.pull([one], create, kept), run.spec)
    return found, value if create else value.detach(), run.finished(run.aux)


def grad(func, argnums=0, has_aux: bool = False):
    """The function that computes the gradient of `func`.

    Args:
        func: takes tensors (or containers of them), returns a tensor of one element without dimensions.
        argnums: the position of the argument to differentiate, or a tuple of positions.
        has_aux: `func` returns (output, aux); the new function then returns (gradient, aux).
    Returns:
        A function of the same arguments; its result is structured as the differentiated argument.
    Raises:
        RuntimeError: the output is no single number.

    >>> import rushlight as torch
    >>> torch.func.grad(lambda x: x**3)(torch.tensor(2.0))
    tensor(12.)
    """

    @_named_after(func)
    def wrapper(*args, **kwargs):
        found, _, aux = _differentiated(func, argnums, has_aux, args, kwargs)
        return (found, aux) if has_aux else found

    return wrapper


def grad_and_value(func, argnums=0, has_aux: bool = False):
    """The function that computes the gradient of `func` and its value.

    Args: as in `grad`.
    Returns:
        A function that returns (gradient, value), or (gradient, (value, aux)).

    >>> import rushlight as torch
    >>> torch.func.grad_and_value(lambda x: x**3)(torch.tensor(2.0))
    (tensor(12.), tensor(8.))
    """

    @_named_after(func)
    def wrapper(*args, **kwargs):
        found, value, aux = _differentiated(func, argnums, has_aux, args, kwargs)
        return found, (value, aux) if has_aux else value

    return wrapper


def _named_after(func):
    return functools.wraps(func) if hasattr(func, "__name__") else lambda wrapper: wrapper


def _traced_vjp(func, args, argnums, has_aux: bool) -> _Trace:
    run = _Trace(func, args, {}, argnums, has_aux, "vjp(f, *primals)")
    check_outputs(run.flat, "vjp(f, *primals)")
    for o in run.flat:
        if not (o.is_floating_point() or o.is_complex()):
            raise RuntimeError(
                "vjp(f, ...): All outputs of f must be floating-point or complex Tensors, got Tensor with dtype "
                f"{o.dtype}"
            )
    return run


def vjp(func, *primals, has_aux: bool = False):
    """The value of a function, and the function that multiplies a vector with its Jacobian.

    Args:
        func: takes tensors (or containers of them), returns tensors.
        primals: its arguments.
        has_aux: `func` returns (output, aux).
    Returns:
        (output, vjp_fn) or (output, vjp_fn, aux); `vjp_fn(cotangents)` gives a tuple with one gradient per argument.

    >>> import rushlight as torch
    >>> value, pull = torch.func.vjp(torch.sin, torch.tensor(0.0))
    >>> pull(torch.tensor(1.0))
    (tensor(1.),)
    """
    run = _traced_vjp(func, primals, None, has_aux)
    outside = run.wanted_outside(run.flat)

    def vjp_fn(*cotangents, retain_graph: bool = True, create_graph: bool | None = None):
        given = cotangents[0] if len(cotangents) == 1 else cotangents
        flat, spec = tree_flatten(given)
        if spec != run.out_spec:
            raise RuntimeError(
                "Expected pytree structure of cotangents to be the same as pytree structure of outputs to the function. "
                f"cotangents: {spec}, primal output: {run.out_spec}"
            )
        if create_graph is None:
            create_graph = MODE.enabled and (outside or any(c._rg for c in flat))
        return tree_unflatten(run.pull(flat, create_graph, retain_graph), run.spec)

    output = run.finished(run.output)
    return (output, vjp_fn, run.finished(run.aux)) if has_aux else (output, vjp_fn)


class _Linear:
    """A function run once, with the linear map from tangents of its arguments to those of its outputs.

    The gradients of the arguments are a linear function of those of the outputs; differentiating that function in turn
    gives its transpose, which is the Jacobian.
    """

    def __init__(self, func, args, argnums, has_aux: bool):
        self.run = run = _Trace(func, args, {}, argnums, has_aux, "jvp(f, primals, tangents)")
        check_outputs(run.flat, "jvp(f, primals, tangents)")
        self.linked = [o for o in run.flat if o._rg]
        self.outside = run.wanted_outside(run.flat)
        with enable_grad():
            self.dummies = [run._alias(_zeros(o)) for o in self.linked]
            with forward_mode():
                self.pulled = _gradients(self.linked, run.leaves, self.dummies, True, True)

    def push(self, tangents) -> list[Tensor]:
        """The tangents of all outputs."""
        create = MODE.enabled and (self.outside or any(t._rg for t in tangents))
        pushed = iter(_gradients(self.pulled, self.dummies, tangents, create, True))
        return [next(pushed) if o._rg else _zeros(o) for o in self.run.flat]


def _check_tangents(primals, tangents) -> list[Tensor]:
    api = "jvp(f, primals, tangents)"
    if not isinstance(primals, tuple):
        raise RuntimeError(
            f"{api}: Expected primals to be a tuple. E.g. it should be valid to call f(*primals)."
        )
    flat_primals, spec = tree_flatten(primals)
    flat, given = tree_flatten(tangents)
    if spec != given:
        raise RuntimeError(
            f"{api}: Expected primals and tangents to have the same python structure. For example, if primals is a tuple "
            f"of 3 tensors, tangents also must be. Got primals with structure {spec} and tangents with structure {given}"
        )
    for name, tensors in (("primals", flat_primals), ("tangents", flat)):
        if not tensors:
            raise RuntimeError(f"{api}: Expected {name} to contain at least one Tensor.")
        for t in tensors:
            if not isinstance(t, Tensor):
                raise RuntimeError(f"{api}: Expected {name} to only contain Tensors, got {type(t)}")
    for p, t in zip(flat_primals, flat, strict=True):
        if p.shape != t.shape:
            raise RuntimeError(
                f"{api}: Expected tensor {list(p.shape)} and tangent {list(t.shape)} to have the same shape"
            )
    return flat


def jvp(func, primals, tangents, *, strict: bool = False, has_aux: bool = False):
    """The value of a function, and the product of its Jacobian with a vector.

    It is computed by differentiating twice backwards.

    Args:
        func: takes tensors (or containers of them), returns tensors.
        primals: a tuple of its arguments.
        tangents: the vector, structured as `primals`.
        strict: an error, instead of zeros, where an output is independent of the arguments.
        has_aux: `func` returns (output, aux).
    Returns:
        (output, product) or (output, product, aux).

    >>> import rushlight as torch
    >>> torch.func.jvp(torch.sin, (torch.tensor(0.0),), (torch.tensor(2.0),))
    (tensor(0.), tensor(2.))
    """
    flat = _check_tangents(primals, tangents)
    linear = _Linear(func, primals, None, has_aux)
    run = linear.run
    if strict and len(linear.linked) < len(run.flat):
        raise RuntimeError(
            "jvp(f, primals, tangents, strict=True): The output of f is independent of the inputs. This is not allowed "
            "with strict=True."
        )
    pushed = tree_unflatten(linear.push(flat), run.out_spec)
    output = run.finished(run.output)
    return (output, pushed, run.finished(run.aux)) if has_aux else (output, pushed)


def linearize(func, *primals):
    """The value of a function, and its derivative there as a function of tangents.

    Args:
        func: takes tensors (or containers of them), returns tensors.
        primals: its arguments.
    Returns:
        (output, jvp_fn); `jvp_fn(*tangents)` gives the product of the Jacobian with the tangents.

    >>> import rushlight as torch
    >>> _, push = torch.func.linearize(torch.sin, torch.tensor(0.0))
    >>> push(torch.tensor(2.0))
    tensor(2.)
    """
    linear = _Linear(func, primals, None, False)
    run = linear.run

    def jvp_fn(*tangents):
        flat, spec = tree_flatten(tangents)
        if spec != run.spec:
            raise RuntimeError(
                "Expected the tangents to have the same structure as the primals of linearize: got "
                f"{spec}, expected {run.spec}"
            )
        for p, t in zip(run.leaves, flat, strict=True):
            if p.shape != t.shape or p.dtype != t.dtype:
                raise RuntimeError(
                    f"Expected tangents of shape {list(p.shape)} and {p.dtype}, got {list(t.shape)} and {t.dtype}"
                )
        return tree_unflatten(linear.push(flat), run.out_spec)

    return run.finished(run.output), jvp_fn


def jacrev(
    func, argnums=0, has_aux: bool = False, *, chunk_size: int | None = None, _preallocate_and_copy=False
):
    """The function that computes the Jacobian of `func`, one backward pass per output element.

    Args:
        func: takes tensors (or containers of them), returns tensors.
        argnums: the position of the argument to differentiate, or a tuple of positions.
        has_aux: `func` returns (output, aux); the new function then returns (jacobian, aux).
        chunk_size: how many rows are computed together; all where None.
    Returns:
        A function; per output (outer structure) and argument (inner) its result has a tensor of shape
        (*output.shape, *argument.shape).
    Raises:
        RuntimeError: an argument or output is complex.

    >>> import rushlight as torch
    >>> torch.func.jacrev(lambda x: x * x)(torch.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")

    @_named_after(func)
    def wrapper(*args):
        check_real(tree_leaves(args), "jacrev", "input")
        run = _traced_vjp(func, args, argnums, has_aux)
        check_real(run.flat, "jacrev", "output")
        create = run.wanted_outside(run.flat)

        def rows(output: Tensor) -> list:
            parts = []
            for units in _units(output, chunk_size):
                with Level(units.shape[0], "different") as level:
                    found = _gradients([output], run.leaves, [level.batched(units)], create, True)
                    parts.append([taken(g, level) for g in found])
            return [
                _block(p, output, t, False)
                for p, t in zip(_columns(parts, run.leaves), run.leaves, strict=True)
            ]

        blocks = [tree_unflatten(rows(o), run.spec) for o in run.flat]
        jacobian = tree_unflatten(blocks, run.out_spec)
        return (jacobian, run.finished(run.aux)) if has_aux else jacobian

    return wrapper


def _columns(parts: list, like: list):
    """Lists of the first items of all parts, of the second ones, and so on."""
    return zip(*parts, strict=True) if parts else [()] * len(like)


def _block(parts, output: Tensor, primal: Tensor, forward: bool) -> Tensor:
    """A part of a Jacobian, from its rows, one per element of the output, or, forward, from its columns."""
    if not parts:
        return _zeros(output).new_zeros((*output.shape, *primal.shape))
    joined = cat(parts) if len(parts) > 1 else parts[0]
    if forward:
        joined = joined.movedim(0, -1)
    return joined.reshape(*output.shape, *primal.shape)


def jacfwd(func, argnums=0, has_aux: bool = False, *, randomness: str = "error"):
    """The function that computes the Jacobian of `func`, one pass per element of the arguments.

    Args:
        func, argnums, has_aux: as in `jacrev`.
        randomness: as in `vmap`; all elements see the same random numbers.
    Returns:
        A function with the result of `jacrev`.

    >>> import rushlight as torch
    >>> torch.func.jacfwd(lambda x: x * x)(torch.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """

    @_named_after(func)
    def wrapper(*args):
        check_real(tree_leaves(args), "jacfwd", "input")
        with Level(None, randomness) if randomness == "error" else contextlib.nullcontext():
            linear = _Linear(func, args, argnums, has_aux)
        run = linear.run
        check_real(run.flat, "jacfwd", "output")
        blocks = [[] for _ in run.flat]  # per output, per argument
        for k, primal in enumerate(run.leaves):
            parts = []
            for units in _units(primal, None):
                with Level(units.shape[0], "different") as level:
                    unit = level.batched(units)
                    tangents = [unit if j == k else _zeros(t) for j, t in enumerate(run.leaves)]
                    parts.append([taken(t, level) for t in linear.push(tangents)])
            for block, column, o in zip(blocks, _columns(parts, run.flat), run.flat, strict=True):
                block.append(_block(column, o, primal, True))
        jacobian = tree_unflatten([tree_unflatten(b, run.spec) for b in blocks], run.out_spec)
        return (jacobian, run.finished(run.aux)) if has_aux else jacobian

    return wrapper


def hessian(func, argnums=0):
    """The function that computes the second derivatives of `func`.

    Args:
        func, argnums: as in `jacrev`.
    Returns:
        A function; its result has a tensor of shape (*output.shape, *argument.shape, *argument.shape).

    >>> import rushlight as torch
    >>> torch.func.hessian(lambda x: (x**3).sum())(torch.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    rows = jacfwd(jacrev(func, argnums), argnums)

    @_named_after(func)
    def wrapper(*args):
        with Detoured():
            return rows(*args)

    return wrapper
