"""Optimizer steps in plain NumPy, over lists of arrays, in place: PyTorch's single-tensor formulas.

Each is written as a rule for one parameter, which gives the new values instead of writing them. The kernel
made of it takes lists of arrays, and for each number either one for all parameters or a list with one for
each. Rules use arithmetic only, so that they also work on tensors: that is how a step is recorded.
"""

import functools

import numpy as np

from rushlight.kernels.reference.layout import widen


def _over_parameters(states: int):
    """Makes a rule of (parameter, gradient, `states` arrays or None, numbers) the kernel over lists of them."""

    def make(rule):
        @functools.wraps(rule)
        def kernel(params, grads, *rest):
            lists, numbers = rest[:states], rest[states:]
            for i, (p, grad) in enumerate(zip(params, grads, strict=True)):
                held = [None if arrays is None else arrays[i] for arrays in lists]
                own = [n[i] if isinstance(n, (list, tuple)) else n for n in numbers]
                new = rule(widen(p), widen(grad), *[None if s is None else widen(s) for s in held], *own)
                for target, value in zip((p, *held), new, strict=True):
                    if target is not None:
                        target[...] = value

        kernel.rule = rule
        return kernel

    return make


def _call(name: str, x, *others):
    """A function that has no operator: NumPy's of arrays, the method of tensors."""
    method = getattr(x, name, None)
    return method(*others) if method else getattr(np, name)(x, *others)


def _lerp(start, end, weight):
    """From `start` to `end` by `weight`, computed from the nearer one."""
    apart = end - start
    near = weight < 0.5
    return start + weight * apart if near else end - apart * (1 - weight)


def _descent(p, grad, weight_decay, maximize):
    """The gradient to go down, with the L2 penalty."""
    grad = -grad if maximize else grad
    return grad + weight_decay * p if weight_decay else grad


@_over_parameters(states=1)
def sgd_step(p, grad, buffer, lr, weight_decay, momentum, dampening, nesterov, maximize, first):
    """Stochastic gradient descent; where `first`, the momentum buffer holds nothing yet."""
    grad = _descent(p, grad, weight_decay, maximize)
    if momentum:
        buffer = grad if first else buffer * momentum + (1 - dampening) * grad
        grad = grad + momentum * buffer if nesterov else buffer
    return p - lr * grad, buffer


@_over_parameters(states=3)
def adam_step(p, grad, mean, square, largest, step, lr, beta1, beta2, eps, weight_decay, decoupled, maximize):
    """Adam (Kingma & Ba 2014), AMSGrad where `largest` is given, AdamW where `decoupled`; steps from 1."""
    grad = _descent(p, grad, 0 if decoupled else weight_decay, maximize)
    if decoupled and weight_decay:
        p = p * (1 - lr * weight_decay)
    mean = _lerp(mean, grad, 1 - beta1)
    square = square * beta2 + (1 - beta2) * grad * grad
    if largest is not None:
        largest = _call("maximum", largest, square)
    root = _call("sqrt", square if largest is None else largest)
    p = p - lr / (1 - beta1**step) * mean / (root / (1 - beta2**step) ** 0.5 + eps)
    return p, mean, square, largest


@_over_parameters(states=3)
def rmsprop_step(p, grad, square, buffer, mean, lr, alpha, eps, weight_decay, momentum, maximize):
    """RMSprop (Hinton 2012), centered where `mean` is given, with momentum where `buffer` is."""
    grad = _descent(p, grad, weight_decay, maximize)
    square = square * alpha + (1 - alpha) * grad * grad
    spread = square
    if mean is not None:
        mean = _lerp(mean, grad, 1 - alpha)
        spread = square - mean * mean
    move = grad / (_call("sqrt", spread) + eps)
    if buffer is not None:
        move = buffer = buffer * momentum + move
    return p - lr * move, square, buffer, mean


@_over_parameters(states=1)
def adagrad_step(p, grad, total, lr, eps, weight_decay, maximize):
    """Adagrad (Duchi et al. 2011); `total` is the sum of squares."""
    grad = _descent(p, grad, weight_decay, maximize)
    total = total + grad * grad
    return p - lr * grad / (_call("sqrt", total) + eps), total


@_over_parameters(states=2)
def adadelta_step(p, grad, square, moved, lr, rho, eps, weight_decay, maximize):
    """Adadelta (Zeiler 2012); `moved` is the mean square of the steps."""
    grad = _descent(p, grad, weight_decay, maximize)
    square = square * rho + (1 - rho) * grad * grad
    move = _call("sqrt", moved + eps) / _call("sqrt", square + eps) * grad
    return p - lr * move, square, moved * rho + (1 - rho) * move * move


@_over_parameters(states=2)
def adamax_step(p, grad, mean, largest, lr, beta1, beta2, eps, weight_decay, maximize):
    """Adamax (Kingma & Ba 2014); `lr` has been corrected for the bias of the mean."""
    grad = _descent(p, grad, weight_decay, maximize)
    mean = _lerp(mean, grad, 1 - beta1)
    largest = _call("maximum", largest * beta2, abs(grad) + eps)
    return p - lr * mean / largest, mean, largest


@_over_parameters(states=2)
def nadam_step(
    p, grad, mean, square, grad_lr, mean_lr, correction, keep, beta1, beta2, eps, weight_decay, maximize
):
    """NAdam (Dozat 2016): Adam whose step is part gradient, part mean; the parameter first shrinks to `keep`.

    `correction` is the bias of the mean square.
    """
    grad = _descent(p, grad, weight_decay, maximize)
    mean = _lerp(mean, grad, 1 - beta1)
    square = square * beta2 + (1 - beta2) * grad * grad
    root = _call("sqrt", square / correction) + eps
    return p * keep - grad_lr * grad / root - mean_lr * mean / root, mean, square


@_over_parameters(states=2)
def radam_step(p, grad, mean, square, lr, rectified, keep, beta1, beta2, eps, weight_decay, maximize):
    """RAdam (Liu et al. 2020): without the mean square while `rectified` is 0.

    The parameter first shrinks to `keep`; `lr` has been corrected for the bias of the mean.
    """
    grad = _descent(p, grad, weight_decay, maximize)
    mean = _lerp(mean, grad, 1 - beta1)
    square = square * beta2 + (1 - beta2) * grad * grad
    move = lr * mean
    if rectified:
        move = move * (rectified / (_call("sqrt", square) + eps))
    return p * keep - move, mean, square


@_over_parameters(states=1)
def asgd_step(p, grad, average, lr, decay, weight, weight_decay, maximize):
    """Averaged gradient descent (Polyak & Juditsky 1992); `weight` is that of the new value in the average."""
    grad = _descent(p, grad, weight_decay, maximize)
    p = p * (1 - decay * lr) - lr * grad
    return p, p if weight == 1 else average + (p - average) * weight


@_over_parameters(states=2)
def rprop_step(p, grad, previous, size, shrink, grow, smallest, largest, maximize):
    """Rprop (Riedmiller & Braun 1993): steps of `size`, which grow where the gradient's sign stays."""
    grad = -grad if maximize else grad
    agree = _call("sign", grad * previous)
    same, opposite = (agree * agree + agree) / 2, (agree * agree - agree) / 2
    factor = same * grow + opposite * shrink + (1 - agree * agree)
    size = _call("clip", size * factor, smallest, largest)
    grad = grad * (1 - opposite)
    return p - _call("sign", grad) * size, grad, size


__all__ = [name for name in list(globals()) if name.endswith("_step")]
