"""One expression under both frameworks: values, sizes, types, gradients and the types of exceptions."""

import functools
import re
import warnings

import numpy as np
import torch as oracle

import rushlight

A = np.linspace(-1.07, 1.3, 6, dtype=np.float32).reshape(2, 3)
B = np.linspace(-1.4, 1.1, 12, dtype=np.float32).reshape(4, 3)


def quietly(function):
    """Decorator: without warnings, as PyTorch calls the strided layout a prototype."""

    @functools.wraps(function)
    def quiet(*args, **kwargs):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args, **kwargs)

    return quiet


@quietly
def names(torch, layout: str, shift: float = 0.0, gradients: bool = True) -> dict:
    """What expressions may name: a nested tensor `t` that requires gradients, its parts, layers, functions.

    Args:
        gradients: whether nested tensors require them.
        shift: how far to move what gradients flow to, each element in a direction of its own.
    """
    torch.manual_seed(0)
    a, b = (
        torch.tensor((x + shift * np.sin(7 + np.arange(x.size)).reshape(x.shape)).tolist()) for x in (A, B)
    )
    jagged = {"layout": torch.jagged} if layout == "jagged" else {}
    nested = torch.nested.nested_tensor
    options = {**jagged, "requires_grad": gradients}
    linear = torch.nn.Linear(3, 2)
    with torch.no_grad():
        linear.weight += shift
    return {
        "torch": torch, "N": torch.nested, "F": torch.nn.functional, "a": a, "b": b, "lin": linear,
        "t": nested([a, b], **options), "emb": torch.nn.Embedding(9, 2),
        "k": nested([torch.tensor([1, 2]), torch.tensor([3, 4, 8])], **jagged),
        "heads": nested([a.reshape(2, 3, 1).expand(2, 3, 8) * 2, b.reshape(4, 3, 1) * torch.arange(8.0) / 4],
                        **options),
    }  # fmt: skip


def dense(result) -> list:
    """The dense tensors and other things in a result."""
    if isinstance(result, oracle.Tensor | rushlight.Tensor):
        return list(result.unbind()) if result.is_nested else [result]
    if isinstance(result, list | tuple):
        return [part for item in result for part in dense(item)]
    return [result]


def shown(torch, value):
    """A form of a value that both frameworks share."""
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).partition('.')[2]}{list(value.shape)}"
    return re.sub(r"j\d+", "j", repr(value))


@quietly
def evaluate(torch, expression: str, scope: dict) -> tuple:
    """The result, and its dense parts."""
    torch.manual_seed(1)
    result = eval(expression, scope)
    return result, dense(result)


def outcome(torch, expression: str, layout: str) -> tuple:
    """A description of the result, or the type of the exception; and the result's tensors."""
    scope = names(torch, layout, gradients=layout == "jagged")  # PyTorch has few gradients in the other
    try:
        result, parts = evaluate(torch, expression, scope)
    except Exception as error:
        return type(error).__name__, []
    nested = isinstance(result, torch.Tensor) and result.is_nested
    size = shown(torch, result.size()) if nested and layout == "jagged" else ""
    tensors = [p.detach() for p in parts if isinstance(p, torch.Tensor)]
    return (nested, size, *(shown(torch, p) for p in parts)), tensors


def compare(expression: str, layout: str) -> None:
    """Check that both frameworks agree, and gradients with finite differences: PyTorch lacks many of them."""
    theirs, ours = (outcome(torch, expression, layout) for torch in (oracle, rushlight))
    assert ours[0] == theirs[0]
    for x, y in zip(ours[1], theirs[1], strict=True):
        np.testing.assert_allclose(np.array(x.tolist()), np.array(y.tolist()), rtol=2e-5, atol=2e-6)
    if any(p.is_floating_point() for p in ours[1]):
        check_gradients(expression, layout)


def check_gradients(expression: str, layout: str) -> None:
    """Compare the derivative in one direction with a finite difference, in float64."""
    before = rushlight.get_default_dtype()
    rushlight.set_default_dtype(rushlight.float64)
    try:
        scope = names(rushlight, layout)
        loss = _loss(expression, scope)
        if loss is None:
            return
        leaves = [scope[name] for name in ("t", "heads")] + [scope["lin"].weight]
        loss.backward()
        near = [names(rushlight, layout, shift) for shift in (1e-5, -1e-5)]
        moved = [[p.detach() for p in dense([s["t"], s["heads"], s["lin"].weight])] for s in near]
        slopes = [(x - y) / 2e-5 for x, y in zip(*moved, strict=True)]
        found = [
            p
            for leaf in leaves
            for p in dense(rushlight.zeros_like(leaf) if leaf.grad is None else leaf.grad)
        ]
        derivative = sum((g * s).sum().item() for g, s in zip(found, slopes, strict=True))
        above, below = (_loss(expression, s).item() for s in near)
    finally:
        rushlight.set_default_dtype(before)
    np.testing.assert_allclose(derivative, (above - below) / 2e-5, rtol=1e-4, atol=1e-5)


def _loss(expression: str, scope: dict):
    tensors = [p for p in evaluate(rushlight, expression, scope)[1] if isinstance(p, rushlight.Tensor)]
    each = [
        (p * rushlight.arange(1.0, p.numel() + 1).reshape(p.shape)).sum() for p in tensors if p.requires_grad
    ]
    return sum(each) if each else None
