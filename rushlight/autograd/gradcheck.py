"""Checks of gradients against finite differences."""

import numpy as np

from rushlight.autograd.backward import grad
from rushlight.tensor import Tensor, wrap


class GradcheckError(RuntimeError):
    """A gradient differs from finite differences."""


def gradcheck(
    func,
    inputs,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Compare the gradients of a function with central finite differences.

    Args:
        func: takes tensors, returns a tensor or several.
        inputs: its arguments; those that require gradients are checked, and should be float64.
        eps: the step of the differences.
        atol, rtol: how far the two may be apart.
        raise_exception: raise where they differ, instead of returning False.
        nondet_tol: how far two backward passes may be apart.
        check_grad_dtypes: also require that gradients have their inputs' types.
        check_batched_grad: accepted: batched gradients are computed one by one.
        check_forward_ad, check_backward_ad: which of the two modes are checked.
        fast_mode: compare one random projection instead of every entry.
    Returns:
        Whether they agree.
    Raises:
        GradcheckError: they do not, and `raise_exception` is set.
        ValueError: no input requires gradients.

    >>> import rushlight as torch
    >>> x = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
    >>> torch.autograd.gradcheck(torch.sin, (x,))
    True
    """
    try:
        if check_backward_ad:
            _check(func, _tuple(inputs), eps, atol, rtol, nondet_tol, check_grad_dtypes, fast_mode)
        if check_forward_ad:
            _check_forward(func, _tuple(inputs), eps, atol, rtol, fast_mode)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func,
    inputs,
    grad_outputs=None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """Compare second derivatives with finite differences of the first.

    Args:
        func, inputs: as in `gradcheck`.
        grad_outputs: the gradients of the outputs; random ones by default.
        gen_non_contig_grad_outputs: make the random ones non-contiguous.
    Returns:
        Whether they agree.

    >>> import rushlight as torch
    >>> x = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
    >>> torch.autograd.gradgradcheck(torch.sin, (x,))
    True
    """
    inputs = _tuple(inputs)
    outputs = _differentiable(func(*inputs))
    if grad_outputs is None:
        rng = np.random.default_rng(0)
        grad_outputs = [_random_like(o, rng, gen_non_contig_grad_outputs) for o in outputs]
    grad_outputs = [g.detach().requires_grad_() for g in _tuple(grad_outputs)]
    count = len(inputs)

    def first_derivative(*args):
        args, grads = args[:count], args[count:]
        wanted = [a for a in args if isinstance(a, Tensor) and a.requires_grad]
        found = grad(_differentiable(func(*args)), wanted, grads, create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None and g.requires_grad)

    return gradcheck(
        first_derivative, (*inputs, *grad_outputs), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception,
        nondet_tol=nondet_tol, check_grad_dtypes=check_grad_dtypes, fast_mode=fast_mode,
    )  # fmt: skip


def _tuple(value) -> tuple:
    return (value,) if isinstance(value, Tensor) else tuple(value)


def _differentiable(outputs) -> list[Tensor]:
    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    return [o for o in outputs if isinstance(o, Tensor) and o._array.dtype.kind in "fc"]


def _random_like(t: Tensor, rng, non_contiguous: bool) -> Tensor:
    shape = (*t.shape, 2) if non_contiguous else t.shape
    values = rng.uniform(-1, 1, shape)
    if t._array.dtype.kind == "c":
        values = values + 1j * rng.uniform(-1, 1, shape)
    values = np.asarray(values).astype(t._array.dtype)
    return wrap(values[..., 0] if non_contiguous else values)


def _check(func, inputs, eps, atol, rtol, nondet_tol, check_dtypes, fast_mode) -> None:
    wanted = [t for t in inputs if isinstance(t, Tensor) and t.requires_grad]
    if not wanted:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of the them have requires_grad=True."
        )
    if any(t._array.dtype.itemsize // (2 if t.is_complex() else 1) < 8 for t in wanted):
        import warnings

        warnings.warn(
            "Input #0 requires gradient and is not a double precision floating point or complex. This check will likely "
            "fail if all the inputs are not of double precision floating point or complex.",
            stacklevel=3,
        )
    outputs = _differentiable(func(*inputs))
    rng = np.random.default_rng(0)
    differences = None if fast_mode else [_differences(func, inputs, t, outputs, eps) for t in wanted]
    for i, output in enumerate(outputs):
        if not output.requires_grad:
            continue
        for v in _projections(output, output.numel(), fast_mode, rng):
            grads = _gradients(output, wanted, v, nondet_tol, check_dtypes)
            for j, (t, found) in enumerate(zip(wanted, grads, strict=True)):
                if fast_mode:
                    numeric, direction = _slope(func, inputs, t, i, v, eps, rng)
                    found = _dot(found, direction)
                else:
                    numeric = _slopes(differences[j][i], v._array, t)
                if not np.allclose(found, numeric, rtol=rtol, atol=atol, equal_nan=True):
                    raise GradcheckError(
                        f"Jacobian mismatch for output {i} with respect to input {j},\nnumerical:{numeric}\n"
                        f"analytical:{found}\n"
                    )


def _check_forward(func, inputs, eps, atol, rtol, fast_mode) -> None:
    from rushlight.autograd import forward_ad

    rng = np.random.default_rng(0)
    wanted = [i for i, t in enumerate(inputs) if isinstance(t, Tensor) and t.requires_grad]
    for j, i in enumerate(wanted):
        t = inputs[i].detach()
        for direction in _projections(t, t.numel(), fast_mode, rng):
            moved = lambda value, i=i: _differentiable(func(*inputs[:i], value, *inputs[i + 1 :]))
            with forward_ad.dual_level():
                found = [forward_ad.unpack_dual(o).tangent for o in moved(forward_ad.make_dual(t, direction))]
            ends = zip(moved(t + eps * direction), moved(t - eps * direction), strict=True)
            for k, (tangent, (after, before)) in enumerate(zip(found, ends, strict=True)):
                numeric = ((after - before) / (2 * eps)).detach().numpy()
                analytical = np.zeros_like(numeric) if tangent is None else tangent.detach().numpy()
                if not np.allclose(analytical, numeric, rtol=rtol, atol=atol, equal_nan=True):
                    raise GradcheckError(
                        f"Jacobian computed with forward mode mismatch for output {k} with respect to input {j},\n"
                        f"numerical:{numeric}\nanalytical:{analytical}\n"
                    )


def _projections(output: Tensor, size: int, fast_mode: bool, rng):
    """Gradients of the output to try: each unit one, or a random one; for complex outputs imaginary ones too."""
    if fast_mode:
        yield _random_like(output, rng, False)
        return
    units = (1, 1j) if output.is_complex() else (1,)
    for unit in units:
        for k in range(size):
            one = np.zeros(size, output._array.dtype)
            one[k] = unit
            yield wrap(one.reshape(output._array.shape))


def _gradients(output: Tensor, wanted, v: Tensor, nondet_tol, check_dtypes) -> list[np.ndarray]:
    """What backward gives, twice the same."""
    first, again = (
        grad(output, wanted, v, retain_graph=True, allow_unused=True, materialize_grads=True)
        for _ in range(2)
    )
    for j, (t, a, b) in enumerate(zip(wanted, first, again, strict=True)):
        if check_dtypes and a.dtype != t.dtype:
            raise GradcheckError(f"the gradient of input {j} has dtype {a.dtype}, expected {t.dtype}")
        if not np.allclose(a._array, b._array, rtol=0, atol=nondet_tol, equal_nan=True):
            raise GradcheckError(
                "Backward is not reentrant, i.e., running backward with same input and grad_output multiple times gives "
                f"different values, although analytical gradient matches numerical gradient (input {j})."
            )
    return [g._array for g in first]


def _dot(a, b) -> float:
    return np.real(np.sum(np.conj(a) * b))


def _values(func, inputs, t: Tensor, step) -> list[np.ndarray]:
    """The outputs with `t` moved by `step`."""
    array, old = t._array, t._array.copy()
    array[...] = old + step
    outputs = [o._array.copy() for o in _differentiable(func(*inputs))]
    array[...] = old
    return outputs


def _differences(func, inputs, t: Tensor, outputs, eps: float) -> list[np.ndarray]:
    """Central differences along each entry of t, and along i times each where t is complex: per output, [entries, values]."""
    shape, units = t._array.shape, (1, 1j) if t.is_complex() else (1,)
    found = [np.empty((len(units) * t.numel(), o.numel()), o._array.dtype) for o in outputs]
    for row, (unit, k) in enumerate((unit, k) for unit in units for k in np.ndindex(shape)):
        step = np.zeros_like(t._array)
        step[k] = unit * eps
        high, low = _values(func, inputs, t, step), _values(func, inputs, t, -step)
        for rows, a, b in zip(found, high, low, strict=True):
            rows[row] = (a - b).reshape(-1) / (2 * eps)
    return found


def _slopes(differences: np.ndarray, v: np.ndarray, t: Tensor) -> np.ndarray:
    """The gradient of Re<v, output> that the differences show, in the shape of t."""
    slopes = np.real(differences @ np.conj(v.reshape(-1)))
    if t.is_complex():
        real, imaginary = np.split(slopes, 2)
        slopes = real + 1j * imaginary
    return slopes.reshape(t._array.shape)


def _slope(func, inputs, t: Tensor, i: int, v: Tensor, eps: float, rng) -> tuple[float, np.ndarray]:
    """The difference of Re<v, output i> along one random direction, and that direction."""
    direction = _random_like(t, rng, False)._array
    high, low = (_dot(v._array, _values(func, inputs, t, s * direction)[i]) for s in (eps, -eps))
    return (high - low) / (2 * eps), direction
