"""Recurrent layers over time, in plain NumPy: one layer in one direction.

Sequences are packed: the rows of step t follow those of step t - 1, one for each sample that lasts so long;
`batch_sizes` (int64) says how many, never more than before. `reverse` goes from the last step to the first.
The gates of an LSTM are in, forget, cell and out; those of a GRU reset, update and new.
"""

import numpy as np

CELLS = ("tanh", "relu", "lstm", "gru")


def _sigmoid(x):
    return 0.5 * np.tanh(0.5 * x) + 0.5


def _steps(batch_sizes, reverse):
    """The rows of each step, in the order in which the layer goes through them."""
    ends = np.cumsum(batch_sizes)
    steps = [slice(end - n, end) for n, end in zip(batch_sizes.tolist(), ends.tolist(), strict=True)]
    return steps[::-1] if reverse else steps


def rnn_forward(cell, x, w_ih, bias, h, c, w_hh, b_hn, w_hr, batch_sizes, reverse, keep):
    """One recurrent layer in one direction.

    Args:
        cell: one of `CELLS`.
        x: (total, features).
        w_ih: (gates * hidden, features). bias: (gates * hidden,), or None.
        h: (batch, hidden or projected), the first hidden state. c: (batch, hidden), an LSTM's cell state, or None.
        w_hh: (gates * hidden, hidden or projected).
        b_hn: (hidden,), a GRU's bias inside the new gate, or None.
        w_hr: (projected, hidden), an LSTM's projection, or None.
        keep: whether a backward pass may follow.
    Returns:
        The outputs (total, hidden or projected), the last states h and c, and what `rnn_backward` needs.
    """
    gates = x @ w_ih.T if bias is None else x @ w_ih.T + bias
    h, c = h.copy(), None if c is None else c.copy()
    hidden = len(w_hh) // {"lstm": 4, "gru": 3}.get(cell, 1)
    y = np.empty((len(gates), h.shape[1]), gates.dtype)
    h_before = np.empty_like(y) if keep else None
    extra = np.empty((len(gates), hidden), gates.dtype) if (keep and c is not None) or cell == "gru" else None
    full = None if w_hr is None else np.empty((len(gates), hidden), gates.dtype)
    for rows in _steps(batch_sizes, reverse):
        n = rows.stop - rows.start
        old, g = h[:n].copy(), gates[rows]
        product = old @ w_hh.T
        if cell == "gru":
            inner = product[:, 2 * hidden :] if b_hn is None else product[:, 2 * hidden :] + b_hn
            g[:, : 2 * hidden] = _sigmoid(g[:, : 2 * hidden] + product[:, : 2 * hidden])
            g[:, 2 * hidden :] = np.tanh(g[:, 2 * hidden :] + g[:, :hidden] * inner)
            new = g[:, 2 * hidden :] + g[:, hidden : 2 * hidden] * (old - g[:, 2 * hidden :])
            extra[rows] = inner
        elif cell == "lstm":
            g += product
            g[:, : 2 * hidden] = _sigmoid(g[:, : 2 * hidden])
            g[:, 2 * hidden : 3 * hidden] = np.tanh(g[:, 2 * hidden : 3 * hidden])
            g[:, 3 * hidden :] = _sigmoid(g[:, 3 * hidden :])
            i, f, fresh, o = np.split(g, 4, 1)
            if keep:
                extra[rows] = c[:n]
            c[:n] = f * c[:n] + i * fresh
            new = o * np.tanh(c[:n])
        else:
            g += product
            g[:] = np.tanh(g) if cell == "tanh" else np.maximum(g, 0)
            new = g
        if w_hr is not None:
            full[rows] = new
            new = new @ w_hr.T
        if keep:
            h_before[rows] = old
        h[:n] = y[rows] = new
    return y, h, c, (gates, h_before, extra, full)


def rnn_backward(cell, gy, gh, gc, saved, w_hh, w_hr, batch_sizes, reverse):
    """The gradients of `rnn_forward`.

    Args:
        gy, gh, gc: the gradients of the outputs and of the last states, or None for zeros.
        saved: what `rnn_forward` returned last.
    Returns:
        The gradients of the gates as far as they come from the input, and as far as they come from the hidden
        state (total, gates * hidden; the same array unless it is a GRU), of the first states h and c, and of
        the projection's output (None without one).
    """
    gates, h_before, extra, _ = saved
    hidden, batch = len(w_hh) // {"lstm": 4, "gru": 3}.get(cell, 1), int(batch_sizes[0])
    dh = np.zeros((batch, w_hh.shape[1]), gates.dtype) if gh is None else gh.copy()
    dc = None
    if cell == "lstm":
        dc = np.zeros((batch, hidden), gates.dtype) if gc is None else gc.copy()
    to_input = np.empty_like(gates)
    to_hidden = np.empty_like(gates) if cell == "gru" else to_input
    to_output = None if w_hr is None else np.empty_like(h_before)
    for rows in _steps(batch_sizes, not reverse):
        n = rows.stop - rows.start
        grad = dh[:n] if gy is None else dh[:n] + gy[rows]
        if w_hr is not None:
            to_output[rows] = grad
            grad = grad @ w_hr
        g, direct = gates[rows], 0
        if cell == "lstm":
            i, f, fresh, o = np.split(g, 4, 1)
            squashed = np.tanh(f * extra[rows] + i * fresh)
            state = dc[:n] + grad * o * (1 - squashed * squashed)
            parts = (
                state * fresh * i * (1 - i), state * extra[rows] * f * (1 - f), state * i * (1 - fresh * fresh),
                grad * squashed * o * (1 - o),
            )  # fmt: skip
            to_input[rows] = np.concatenate(parts, 1)
            dc[:n] = state * f
        elif cell == "gru":
            r, z, new = np.split(g, 3, 1)
            to_new = grad * (1 - z) * (1 - new * new)
            to_update = grad * (h_before[rows] - new) * z * (1 - z)
            to_reset = to_new * extra[rows] * r * (1 - r)
            to_input[rows] = np.concatenate((to_reset, to_update, to_new), 1)
            to_hidden[rows] = np.concatenate((to_reset, to_update, to_new * r), 1)
            direct = grad * z
        else:
            to_input[rows] = grad * (1 - g * g) if cell == "tanh" else np.where(g <= 0, 0, grad)
        dh[:n] = direct + to_hidden[rows] @ w_hh
    return to_input, to_hidden, dh, dc, to_output


__all__ = ["rnn_backward", "rnn_forward"]
