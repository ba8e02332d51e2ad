"""Jacobians, Hessians and products with them."""

import numpy as np

from rushlight.autograd.backward import grad
from rushlight.autograd.grad_mode import enable_grad
from rushlight.tensor import Tensor, wrap


def _tuple(value, what: str, function: str) -> tuple[tuple, bool]:
    single = isinstance(value, Tensor)
    values = (value,) if single else tuple(value)
    for i, v in enumerate(values):
        if not isinstance(v, Tensor):
            raise TypeError(
                f"The {what} given to {function} must be either a Tensor or a tuple of Tensors but the value at index "
                f"{i} has type {type(v)}."
            )
    return values, single


def _fresh(inputs, create_graph: bool) -> tuple:
    """The inputs as arguments whose gradients can be taken, joined to their history under create_graph."""
    return tuple(t.view_as(t) if create_graph and t._rg else t.detach().requires_grad_() for t in inputs)


def _finish(value, single: bool, create_graph: bool):
    value = tuple(v if create_graph else v.detach() for v in value)
    return value[0] if single else value


def _run(func, inputs, function: str) -> tuple[tuple, bool]:
    with enable_grad():
        return _tuple(func(*inputs), "outputs of the user-provided function", function)


def _zeros(t: Tensor) -> Tensor:
    return wrap(np.zeros_like(t._array))


def _gradients(outputs, inputs, v, create_graph: bool, strict: bool, retain: bool = False) -> tuple:
    """Gradients with zeros for what is independent (an error if `strict`)."""
    linked = [(o, g) for o, g in zip(outputs, v, strict=True) if o.requires_grad]
    found = (None,) * len(inputs)
    if linked:
        outs, grads = zip(*linked, strict=True)
        found = grad(
            outs,
            inputs,
            grads,
            retain_graph=retain or create_graph,
            create_graph=create_graph,
            allow_unused=True,
        )
    if strict and any(g is None for g in found):
        missing = next(i for i, g in enumerate(found) if g is None)
        raise RuntimeError(
            f"Output 0 of the user-provided function is independent of input {missing}. This is not allowed in strict mode."
        )
    if strict and create_graph:
        flat = next((i for i, g in enumerate(found) if not g._rg), None)
        if flat is not None:
            raise RuntimeError(
                f"The jacobian of the user-provided function is independent of input {flat}. This is not allowed in strict "
                "mode when create_graph=True."
            )
    return tuple(_zeros(t) if g is None else g for t, g in zip(inputs, found, strict=True))


def _check_v(v, like, function: str, default: bool) -> tuple:
    if v is None:
        if not default or len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(
                "The vector v can only be None if the user-provided function returns a single Tensor with a single "
                f"element ({function})."
            )
        return tuple(wrap(np.ones_like(t._array)) for t in like)
    values, _ = _tuple(v, "v", function)
    if len(values) != len(like) or any(a.shape != b.shape for a, b in zip(values, like, strict=False)):
        raise RuntimeError(
            f"{function}: v has invalid size: should be {[list(t.shape) for t in like]} but got "
            f"{[list(t.shape) for t in values]}."
        )
    return values


def vjp(func, inputs, v=None, create_graph: bool = False, strict: bool = False) -> tuple:
    """The product of a vector with the Jacobian: (outputs, v @ J).

    Args:
        func: takes tensors, returns a tensor or several.
        inputs: where to differentiate.
        v: the vector, shaped as the outputs; may be left out for a single number.
        create_graph: record the computation.
        strict: an error, instead of zeros, where an output is independent of an input.

    >>> import rushlight as torch
    >>> torch.autograd.functional.vjp(lambda x: x * x, torch.tensor([1.0, 2.0]), torch.ones(2))
    (tensor([1., 4.]), tensor([2., 4.]))
    """
    inputs, single = _tuple(inputs, "inputs", "vjp")
    inputs = _fresh(inputs, create_graph)
    outputs, single_out = _run(func, inputs, "vjp")
    v = _check_v(v, outputs, "vjp", True)
    products = _gradients(outputs, inputs, v, create_graph, strict)
    return _finish(outputs, single_out, create_graph), _finish(products, single, create_graph)


def jvp(func, inputs, v=None, create_graph: bool = False, strict: bool = False) -> tuple:
    """The product of the Jacobian with a vector: (outputs, J @ v), by differentiating twice backwards.

    Args: as in `vjp`, with `v` shaped as the inputs.

    >>> import rushlight as torch
    >>> torch.autograd.functional.jvp(lambda x: x * x, torch.tensor([1.0, 2.0]), torch.ones(2))
    (tensor([1., 4.]), tensor([2., 4.]))
    """
    inputs, _ = _tuple(inputs, "inputs", "jvp")
    inputs = _fresh(inputs, create_graph)
    v = _check_v(v, inputs, "jvp", True)
    outputs, single_out = _run(func, inputs, "jvp")
    dummies = tuple(_zeros(o).requires_grad_() for o in outputs)
    with enable_grad():
        linear = _gradients(outputs, inputs, dummies, True, strict)
        products = _gradients(linear, dummies, v, create_graph, False)
    return _finish(outputs, single_out, create_graph), _finish(products, single_out, create_graph)


def jacobian(
    func,
    inputs,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy="reverse-mode",
):
    """The derivative of every output element by every input element.

    Args:
        func: takes tensors, returns a tensor or several.
        inputs: where to differentiate.
        create_graph: record the computation.
        strict: an error, instead of zeros, where an output is independent of an input.
        vectorize: compute all rows together instead of one by one, which takes more memory.
        strategy: "reverse-mode" or, with `vectorize`, "forward-mode"; the result is the same.
    Returns:
        A tensor of shape (*output.shape, *input.shape); tuples of them for several inputs or outputs.

    >>> import rushlight as torch
    >>> torch.autograd.functional.jacobian(lambda x: x * x, torch.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    _check_strategy(strategy, vectorize, create_graph)
    inputs, single_in = _tuple(inputs, "inputs", "jacobian")
    inputs = _fresh(inputs, create_graph)
    outputs, single_out = _run(func, inputs, "jacobian")
    with enable_grad():
        rows = _rows_together if vectorize and not strict else _jacobian_of
        blocks = tuple(rows(o, inputs, create_graph, strict) for o in outputs)
    blocks = tuple(_finish(b, single_in, create_graph) for b in blocks)
    return blocks[0] if single_out else blocks


def _check_strategy(strategy: str, vectorize: bool, create_graph: bool) -> None:
    """Refuse what PyTorch refuses; both strategies give the same numbers, which are computed backwards."""
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your function has more outputs than '
            'inputs, "forward-mode" tends to be more performant. Otherwise, prefer to use "reverse-mode".'
        )
    if strategy == "forward-mode" and create_graph:
        raise NotImplementedError(
            'torch.autograd.functional.jacobian: `create_graph=True` and `strategy="forward-mode"` are not supported '
            'together (yet). Please either set `create_graph=False` or `strategy="reverse-mode"`.'
        )
    if strategy == "forward-mode" and not vectorize:
        raise NotImplementedError(
            "torch.autograd.functional.jacobian: computing Jacobian using forward-AD or forward-over-reverse Hessian is "
            'only implemented for `vectorize=True`; or set strategy="reverse-mode".'
        )


def _rows_together(output: Tensor, inputs, create_graph: bool, strict: bool) -> tuple:
    from rushlight.autograd import grad

    if not output._rg or not output.numel():
        return _jacobian_of(output, inputs, create_graph, strict)
    units = wrap(np.eye(output.numel(), dtype=output._array.dtype).reshape(-1, *output.shape))
    found = grad(output, inputs, units, True, create_graph, allow_unused=True, is_grads_batched=True)
    shapes = [(*output.shape, *t.shape) for t in inputs]
    return tuple(
        t.new_zeros(shape) if g is None else g.reshape(shape)
        for g, t, shape in zip(found, inputs, shapes, strict=True)
    )


def _jacobian_of(output: Tensor, inputs, create_graph: bool, strict: bool) -> tuple:
    rows = []
    for element in output.reshape(-1):
        one = wrap(np.ones_like(element._array))
        rows.append(_gradients((element,), inputs, (one,), create_graph, strict, retain=True))
    if not rows:
        return tuple(output.new_zeros((*output.shape, *t.shape)) for t in inputs)
    from rushlight.ops.joining import stack

    return tuple(
        stack(column).reshape((*output.shape, *t.shape))
        for column, t in zip(zip(*rows, strict=True), inputs, strict=True)
    )


def hessian(
    func,
    inputs,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy="reverse-mode",
):
    """The second derivatives of a function that returns one number.

    Args: as in `jacobian`.
    Returns:
        A tensor of shape (*input.shape, *input.shape); a tuple of tuples of blocks for several inputs.
    Raises:
        RuntimeError: the function returns something else than one number.

    >>> import rushlight as torch
    >>> torch.autograd.functional.hessian(lambda x: (x**3).sum(), torch.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    inputs, single = _tuple(inputs, "inputs", "hessian")
    if outer_jacobian_strategy == "forward-mode" and not vectorize:
        _check_strategy(outer_jacobian_strategy, vectorize, create_graph)

    def gradient(*args):
        args = tuple(a if a._rg else a.requires_grad_() for a in args)
        out, _ = _run(func, args, "hessian")
        if len(out) != 1 or out[0].numel() != 1:
            raise RuntimeError(
                "The Tensor returned by the function given to hessian should contain a single element"
            )
        return _gradients(out, args, (wrap(np.ones_like(out[0]._array)),), True, strict)

    blocks = jacobian(
        gradient, inputs, create_graph, strict, vectorize=vectorize, strategy=outer_jacobian_strategy
    )
    return blocks[0][0] if single else blocks


def vhp(func, inputs, v=None, create_graph: bool = False, strict: bool = False) -> tuple:
    """The product of a vector with the Hessian: (output, v @ H). Args: as in `vjp`, with `v` shaped as the inputs.

    >>> import rushlight as torch
    >>> torch.autograd.functional.vhp(lambda x: (x**3).sum(), torch.tensor([1.0, 2.0]), torch.ones(2))
    (tensor(9.), tensor([ 6., 12.]))
    """
    inputs, single = _tuple(inputs, "inputs", "vhp")
    inputs = _fresh(inputs, create_graph)
    v = _check_v(v, inputs, "vhp", True)
    outputs, single_out = _run(func, inputs, "vhp")
    if len(outputs) != 1 or outputs[0].numel() != 1:
        raise RuntimeError("The Tensor returned by the function given to vhp should contain a single element")
    with enable_grad():
        one = (wrap(np.ones_like(outputs[0]._array)),)
        slopes = _gradients(outputs, inputs, one, True, strict)
        products = _gradients(slopes, inputs, v, create_graph, strict)
    return _finish(outputs, single_out, create_graph), _finish(products, single, create_graph)


def hvp(func, inputs, v=None, create_graph: bool = False, strict: bool = False) -> tuple:
    """The product of the Hessian with a vector: (output, H @ v). Args: as in `vhp`.

    >>> import rushlight as torch
    >>> torch.autograd.functional.hvp(lambda x: (x**3).sum(), torch.tensor([1.0, 2.0]), torch.ones(2))
    (tensor(9.), tensor([ 6., 12.]))
    """
    return vhp(func, inputs, v, create_graph, strict)  # a Hessian is symmetric
