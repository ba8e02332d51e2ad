"""Connectionist temporal classification in plain NumPy: all samples at once, one step of time after the other.

Graves et al., ICML 2006, equations 6 to 15, in logarithms. Labels are interleaved with blanks: sample n has
2 * target_lengths[n] + 1 states.
"""

import numpy as np

from rushlight.kernels.reference.layout import c_order


def _states(log_probs, targets, target_lengths, blank):
    """Each state's label [N, K] and log probability [T, N, K], and where the state two before may come directly."""
    n, longest = targets.shape
    labels = np.full((n, 2 * longest + 1), blank)
    labels[:, 1::2] = targets
    exists = np.arange(labels.shape[1]) <= 2 * target_lengths[:, None]
    labels = np.where(exists, labels, blank)
    seen = np.take_along_axis(log_probs, np.broadcast_to(labels, (len(log_probs), *labels.shape)), 2)
    skips = np.zeros(labels.shape, bool)
    skips[:, 2:] = labels[:, 2:] != labels[:, :-2]
    return labels, np.where(exists, seen, -np.inf), skips


def _step(before, skips):
    """The logarithm of the sum over the states that lead to each state."""
    total = before.copy()
    total[:, 1:] = np.logaddexp(total[:, 1:], before[:, :-1])
    skipped = np.where(skips[:, 2:], before[:, :-2], -np.inf)
    total[:, 2:] = np.logaddexp(total[:, 2:], skipped)
    return total


def ctc_loss(log_probs, targets, input_lengths, target_lengths, blank):
    """The negative log likelihood of each sample.

    Args:
        log_probs: [T, N, C].
        targets: [N, S], int64 labels in range; what is behind a sample's length does not matter.
        input_lengths, target_lengths: [N], int64.
        blank: the label of no label.
    Returns:
        The losses [N], and the forward variables [N, T, 2 S + 1].
    """
    steps, n, _ = log_probs.shape
    _, seen, skips = _states(log_probs, targets, target_lengths, blank)
    alpha = np.full((steps, n, seen.shape[2]), -np.inf, log_probs.dtype)
    if steps:
        alpha[0, :, :2] = seen[0, :, :2]
    with np.errstate(invalid="ignore"):
        for t in range(1, steps):
            alpha[t] = _step(alpha[t - 1], skips) + seen[t]
    rows, ends = np.arange(n), 2 * target_lengths
    last = alpha[np.maximum(input_lengths, 1) - 1, rows]
    final = last[rows, ends]
    before = np.where(target_lengths > 0, last[rows, np.maximum(ends - 1, 0)], -np.inf)
    with np.errstate(invalid="ignore"):
        loss = -np.logaddexp(final, before)
    loss = np.where(input_lengths > 0, loss, np.where(target_lengths > 0, np.inf, 0))
    return loss.astype(log_probs.dtype), c_order(alpha.swapaxes(0, 1))


def ctc_loss_backward(
    g, log_probs, targets, input_lengths, target_lengths, loss, alpha, blank, zero_infinity
):
    """The gradient of `ctc_loss`'s scores, as PyTorch defines it: of log_probs that are a log softmax.

    Args:
        g: [N], the gradient of each loss.
        loss, alpha: what `ctc_loss` returned.
        zero_infinity: whether samples of infinite loss have no gradient.
    Returns:
        [T, N, C].
    """
    steps, n, classes = log_probs.shape
    labels, seen, skips = _states(log_probs, targets, target_lengths, blank)
    size, rows, ends = seen.shape[2], np.arange(n), 2 * target_lengths
    onward = np.zeros((n, size), bool)  # backwards, the state two after may come directly
    onward[:, 2:] = skips[:, ::-1][:, :-2]
    beta = np.full((n, size), -np.inf, log_probs.dtype)
    grad = np.zeros((n, steps, classes), log_probs.dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        for t in range(steps - 1, -1, -1):
            beta = _step(beta[:, ::-1], onward)[:, ::-1] + seen[t]
            starting = input_lengths == t + 1
            if starting.any():
                beta[starting] = -np.inf
                for state in (ends, np.maximum(ends - 1, 0)):
                    beta[rows[starting], state[starting]] = seen[t][rows[starting], state[starting]]
            posterior = np.exp(alpha[:, t] + beta + (loss[:, None] - seen[t]))
            posterior[np.isneginf(seen[t])] = 0
            np.subtract.at(grad[:, t], (rows[:, None], labels), posterior)
        grad += np.exp(log_probs.swapaxes(0, 1))
    grad[np.isposinf(loss)] = 0 if zero_infinity else np.nan
    grad[np.arange(steps) >= input_lengths[:, None]] = 0
    grad *= np.where(np.isposinf(loss) & zero_infinity, 0, g)[:, None, None].astype(grad.dtype)
    return grad.swapaxes(0, 1)


__all__ = ["ctc_loss", "ctc_loss_backward"]
