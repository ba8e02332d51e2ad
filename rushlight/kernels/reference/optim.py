"""Optimizer steps in plain NumPy, over lists of arrays, in place: PyTorch's single-tensor formulas."""

import math

import numpy as np

from rushlight.kernels.reference.layout import widen


def _each(value, count: int) -> list:
    """One value for each parameter, from a number or a sequence."""
    return list(value) if isinstance(value, (list, tuple)) else [value] * count


def sgd_step(
    params, grads, momentum_bufs, lr, weight_decay, momentum, dampening, nesterov, maximize, first_step
):
    """Stochastic gradient descent with momentum.

    Args:
        params: arrays to change, and `grads` their gradients.
        momentum_bufs: arrays to change, or None where momentum is 0.
        first_step: True, or a list with True for each parameter, where the buffer holds nothing yet.
    """
    for i, (p, g, first) in enumerate(zip(params, grads, _each(first_step, len(params)), strict=True)):
        grad = -widen(g) if maximize else widen(g)
        number = grad.dtype.type
        if weight_decay:
            grad = grad + number(weight_decay) * widen(p)
        if momentum:
            buf = momentum_bufs[i]
            buf[...] = grad if first else buf * number(momentum) + number(1 - dampening) * grad
            grad = grad + number(momentum) * buf if nesterov else buf
        p[...] = p - number(lr) * grad


def adam_step(
    params,
    grads,
    exp_avgs,
    exp_avg_sqs,
    max_exp_avg_sqs,
    step,
    lr,
    beta1,
    beta2,
    eps,
    weight_decay,
    decoupled,
    maximize,
):
    """Adam (Kingma & Ba 2014), AMSGrad where `max_exp_avg_sqs` is given, AdamW where `decoupled`.

    Args:
        params, exp_avgs, exp_avg_sqs, max_exp_avg_sqs: arrays to change; the last may be None.
        step: the number of this step, from 1; one for all, or a list with one for each parameter.
    """
    for i, (p, g, t) in enumerate(zip(params, grads, _each(step, len(params)), strict=True)):
        m, v = exp_avgs[i], exp_avg_sqs[i]
        grad = -widen(g) if maximize else widen(g)
        number = grad.dtype.type
        wide = widen(p)
        if weight_decay and decoupled:
            wide = wide * number(1 - lr * weight_decay)
        elif weight_decay:
            grad = grad + number(weight_decay) * wide
        m[...] = m + number(1 - beta1) * (grad - m) if 1 - beta1 < 0.5 else grad - (grad - m) * number(beta1)
        v[...] = v * number(beta2) + number(1 - beta2) * grad * grad
        square = v
        if max_exp_avg_sqs is not None:
            square = max_exp_avg_sqs[i]
            np.maximum(square, v, out=square)
        denominator = np.sqrt(widen(square)) / number(math.sqrt(1 - beta2**t)) + number(eps)
        p[...] = wide - number(lr / (1 - beta1**t)) * widen(m) / denominator


__all__ = [
    name for name, f in list(globals().items()) if getattr(f, "__module__", "") == __name__ and name[0] != "_"
]
