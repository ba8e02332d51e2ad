"""Recurrent layers and cells: LSTM, GRU and the simple ones.

A layer in one direction is one node of the graph. What its gates get from the input is one matrix product for all
steps; the loop over time is a kernel. Sequences are rows of a matrix, step after step, with `batch_sizes` samples in
each step: that is a padded batch (steps, batch, features) as well as a packed one.
"""

from math import prod

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.backward import grad as gradients
from rushlight.autograd.node import Node
from rushlight.dtypes import SCALAR_NAMES
from rushlight.ops.common import MODE, Tensor, check_tensor, record, record_many, recording, wrap
from rushlight.ops.dropout import dropout as drop
from rushlight.ops.joining import cat, stack
from rushlight.ops.linear import linear
from rushlight.ops.registry import op

GATES = {"tanh": 1, "relu": 1, "lstm": 4, "gru": 3}


# -- one layer in one direction -------------------------------------------------------------------------


class RecurrentNode(Node):
    """A layer in one direction, or a cell; inputs are x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr.

    Outputs are (y, h, c), without y where it is a cell, and without c where it is no LSTM.
    """

    def backward(self, *grads):
        gy, gh, gc = self._by_name(grads)
        if MODE.enabled:
            return self._composed(grads)
        x, _, _, w_ih, w_hh, _, _, w_hr = self.unpack()
        arrays = [None if g is None else _wide(g._array) for g in (gy, gh, gc)]
        if arrays[0] is not None:
            arrays[0] = arrays[0].reshape(-1, arrays[0].shape[-1])
        w_in, w_state, w_out = (None if w is None else _wide(w._array) for w in (w_ih, w_hh, w_hr))
        to_input, to_hidden, dh, dc, to_output = K.rnn_backward(
            self.cell, *arrays, self.kept, w_state, w_out, self.batch_sizes, self.reverse
        )
        _, h_before, _, full = self.kept
        to_x, to_h, to_c, to_ih, to_hh, to_b_ih, to_b_hh, to_hr = (e is not None for e in self.edges)
        rows = _wide(x._array).reshape(-1, x._array.shape[-1])
        shared = to_hidden is to_input
        gx = gw_ih = gb = gw_hh = gb_hh = gw_hr = None
        if to_x:
            gx = K.linear_backward_input(to_input, w_in).reshape(x._array.shape)
        if to_ih or to_b_ih or (shared and to_b_hh):
            gw_ih, gb = K.linear_backward_weight(to_input, rows, to_b_ih or (shared and to_b_hh))
        if to_hh or (to_b_hh and not shared):
            gw_hh, gb_hh = K.linear_backward_weight(to_hidden, h_before, to_b_hh and not shared)
        if shared and to_b_hh:
            gb_hh = gb.copy() if to_b_ih else gb
        if to_hr:
            gw_hr = K.linear_backward_weight(to_output, full, False)[0]
        kind = x._array.dtype
        return tuple(
            wrap(g if g.dtype == kind else g.astype(kind)) if wanted else None
            for g, wanted in (
                (gx, to_x), (dh, to_h), (dc, to_c), (gw_ih, to_ih), (gw_hh, to_hh), (gb, to_b_ih), (gb_hh, to_b_hh),
                (gw_hr, to_hr),
            )
        )  # fmt: skip

    def _by_name(self, grads) -> tuple:
        """The gradients of y, h and c."""
        named = grads if self.with_y else (None, *grads)
        return (*named, None)[:3]

    def _composed(self, grads) -> tuple:
        """The gradients as a differentiable function: those of the layer composed of tensor operations.

        The inputs get new names first, since one may have been computed from another.
        """
        inputs = [
            t if e is None else t.view(t._array.shape) for t, e in zip(self.unpack(), self.edges, strict=True)
        ]
        outputs = _composed_layer(self.cell, *inputs, self.batch_sizes, self.reverse)
        outputs = [t for t in outputs if t is not None][0 if self.with_y else 1 :]
        pairs = [(t, g) for t, g in zip(outputs, grads, strict=True) if g is not None]
        wanted = [t for t, e in zip(inputs, self.edges, strict=True) if e is not None]
        found = iter(
            gradients(
                [t for t, _ in pairs], wanted, [g for _, g in pairs], create_graph=True, allow_unused=True
            )
        )
        return tuple(None if e is None else next(found) for e in self.edges)

    def release(self) -> None:
        super().release()
        self.kept = None


def _named(name: str) -> type[RecurrentNode]:
    """A node type with one of PyTorch's names, which composes most layers of other operations."""
    return type(name, (RecurrentNode,), {"__doc__": RecurrentNode.__doc__, "__module__": __name__})


_LSTM, _STACK, _CAT = _named("MkldnnRnnLayerBackward0"), _named("StackBackward0"), _named("CatBackward0")
_CELLS = {
    "lstm": _named("MulBackward0"), "gru": _named("AddBackward0"), "tanh": _named("TanhBackward0"),
    "relu": _named("ReluBackward0"),
}  # fmt: skip


def _wide(a: np.ndarray) -> np.ndarray:
    """The array, half precision as float32."""
    return a if a.dtype.char in "fd" else a.astype(np.float32)


def _joint_bias(cell: str, b_ih, b_hh, hidden: int) -> tuple:
    """The bias that belongs to the product with the input, and that inside a GRU's new gate; None for none."""
    if cell != "gru":
        if b_ih is None or b_hh is None:
            return (b_hh if b_ih is None else b_ih), None
        return K.add(b_ih, b_hh), None
    if b_hh is None:
        return b_ih, None
    joint = np.zeros_like(b_hh) if b_ih is None else b_ih.copy()
    gates = joint[: 2 * hidden]
    K.add(gates, b_hh[: 2 * hidden], out=gates)
    return joint, b_hh[2 * hidden :]


def _layer(cell: str, inputs, batch_sizes, reverse: bool, node_type, with_y: bool) -> tuple:
    """One layer in one direction; see `RecurrentNode` for inputs and outputs."""
    x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr = (None if t is None else _wide(t._array) for t in inputs)
    kind, rows = inputs[0]._array.dtype, x.reshape(-1, x.shape[-1])
    bias, b_hn = _joint_bias(cell, b_ih, b_hh, len(w_hh) // GATES[cell])
    wanted = MODE.enabled and recording(*inputs)
    y, last_h, last_c, kept = K.rnn_forward(
        cell, rows, w_ih, bias, h, c, w_hh, b_hn, w_hr, batch_sizes, reverse, wanted
    )
    arrays = [y.reshape(*x.shape[:-1], y.shape[-1])] if with_y else []
    arrays += [last_h] if last_c is None else [last_h, last_c]
    if kind != y.dtype:
        arrays = [a.astype(kind) for a in arrays]
    if not wanted:
        return tuple(wrap(a) for a in arrays)
    fields = {"cell": cell, "batch_sizes": batch_sizes, "reverse": reverse, "kept": kept, "with_y": with_y}
    if len(arrays) == 1:
        return (record(arrays[0], node_type, inputs, *inputs, **fields),)
    return record_many(arrays, node_type, inputs, *inputs, **fields)


def _composed_layer(cell, x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr, batch_sizes, reverse) -> tuple:
    """(y, h, c) of a layer, step by step, of operations that record themselves."""
    parts = linear(x.reshape(-1, x.shape[-1]), w_ih, b_ih).split(batch_sizes.tolist())
    outputs: list = [None] * len(parts)
    for t in reversed(range(len(parts))) if reverse else range(len(parts)):
        n = len(parts[t])
        state, memory = h[:n], None if c is None else c[:n]
        new, memory = _composed_step(cell, parts[t], linear(state, w_hh, b_hh), state, memory)
        if w_hr is not None:
            new = linear(new, w_hr)
        outputs[t] = new
        h = new if n == len(h) else cat((new, h[n:]))
        if c is not None:
            c = memory if n == len(c) else cat((memory, c[n:]))
    return cat(outputs).reshape(*x.shape[:-1], -1), h, c


def _composed_step(cell, from_input, from_hidden, h, c) -> tuple:
    """The new states h and c of one step."""
    if cell == "gru":
        (reset, update, new), (hr, hz, hn) = from_input.chunk(3, 1), from_hidden.chunk(3, 1)
        fresh = (new + (reset + hr).sigmoid() * hn).tanh()
        return fresh + (update + hz).sigmoid() * (h - fresh), None
    gates = from_input + from_hidden
    if cell != "lstm":
        return (gates.tanh() if cell == "tanh" else gates.relu()), None
    i, f, g, o = gates.chunk(4, 1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


# -- checks ---------------------------------------------------------------------------------------------


def _check_shapes(name: str, cell: str, x, h, c, w_ih, w_hh, biases, w_hr) -> None:
    """That the tensors of one layer go together."""
    sizes = [None if t is None else t._array.shape for t in (x, h, c, w_ih, w_hh, w_hr)]
    x_size, h_size, c_size, ih_size, hh_size, hr_size = sizes
    rows, hidden = hh_size[0], hh_size[0] // GATES[cell]
    if x_size[-1] != ih_size[-1]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({prod(x_size[:-1])}x{x_size[-1]} and "
            f"{ih_size[-1]}x{ih_size[0]}): {name} expected input [..., {ih_size[-1]}], got {list(x_size)}"
        )
    if h_size[-1] != hh_size[-1]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({h_size[0]}x{h_size[-1]} and {hh_size[-1]}x{rows}): {name} "
            f"expected a hidden state of {hh_size[-1]} features, got {list(h_size)}"
        )
    for what, found, wanted in (
        ("weight_ih", ih_size[0], rows), ("weight_hh", rows, hidden * GATES[cell]),
        ("a cell state", c_size and c_size[-1], c_size and hidden),
        ("a projection", hr_size, hr_size and (h_size[-1], hidden)),
        ("a hidden state", h_size[-1], h_size[-1] if hr_size else hidden),
        *[("a bias", b._array.shape, (rows,)) for b in biases if b is not None],
    ):  # fmt: skip
        if found != wanted:
            raise RuntimeError(
                f"{name}: expected {what} of {wanted}, got {found}, for weight_hh {list(hh_size)}"
            )
    _check_types(x, h, c, w_ih, w_hh, *biases, w_hr)


def _check_types(x, *others) -> None:
    kind = x._array.dtype
    for other in others:
        if other is not None and other._array.dtype != kind:
            raise RuntimeError(
                f"expected m1 and m2 to have the same dtype, but got: {_c_name(x)} != {_c_name(other)}; convert the "
                f"input, x.to({other.dtype})"
            )
    if not x.dtype.is_floating_point:
        raise RuntimeError(f"recurrent layers expect floating-point tensors, got {x.dtype}: x.float()")


def _c_name(t: Tensor) -> str:
    name = SCALAR_NAMES[t.dtype]
    return f"c10::{name}" if name in ("BFloat16", "Half") else name.lower()


def check_batch_sizes(name: str, batch_sizes: Tensor, data: Tensor) -> np.ndarray:
    """How many samples have each step of packed data, in memory of its own."""
    sizes = np.array(check_tensor(name, batch_sizes, "batch_sizes")._array)
    if sizes.ndim != 1 or sizes.dtype != np.int64:
        raise RuntimeError(
            f"'lengths' argument should be a 1D CPU int64 tensor, but got {sizes.ndim}D cpu "
            f"{SCALAR_NAMES[batch_sizes.dtype]} tensor: {name} expected the batch_sizes of a PackedSequence"
        )
    if not sizes.size or sizes[-1] <= 0 or (sizes[1:] > sizes[:-1]).any() or sizes.sum() != len(data._array):
        raise RuntimeError(
            f"{name}: expected batch_sizes to be positive, to decrease, and to add up to the {len(data._array)} rows of "
            f"data, got {sizes.tolist()[:20]}; pack_padded_sequence and pack_sequence make them"
        )
    return sizes


# -- whole networks -------------------------------------------------------------------------------------


def _layers(name, cell, x, batch_sizes, h, c, params, bias, num_layers, p, train, both, node_type) -> tuple:
    """Layers upon one another, each in one or two directions: the output and the last states."""
    directions = 2 if both else 1
    each = 2 + 2 * bias
    count = num_layers * directions
    if cell == "lstm" and count and len(params) == count * (each + 1):
        each += 1
    if len(params) != count * each:
        raise RuntimeError(
            f"got an incorrect number of RNN parameters: {name} expected {each} for each of {num_layers} layers in "
            f"{directions} directions, got {len(params)}"
        )
    for state in (h,) if c is None else (h, c):
        if state.shape[0] < count:
            raise RuntimeError(
                f"Expected more hidden states in stacked_rnn: {count} for {num_layers} layers in {directions} "
                f"directions, got {state.shape[0]}"
            )
        if state.shape[0] > count:
            raise RuntimeError(
                f"Too many hidden states in stacked_rnn: {name} has {count}, got {list(state.shape)}"
            )
    h_parts, c_parts = h.unbind(0), (None,) * count if c is None else c.unbind(0)
    last_h, last_c = [], []
    for layer in range(num_layers):
        outputs = []
        for direction in range(directions):
            at = layer * directions + direction
            w_ih, w_hh, *rest = params[at * each : (at + 1) * each]
            b_ih, b_hh = rest[:2] if bias else (None, None)
            w_hr = rest[-1] if len(rest) % 2 else None
            state, memory = _of_batch(h_parts[at], batch_sizes), _of_batch(c_parts[at], batch_sizes)
            _check_shapes(name, cell, x, state, memory, w_ih, w_hh, (b_ih, b_hh), w_hr)
            inputs = (x, state, memory, w_ih, w_hh, b_ih, b_hh, w_hr)
            y, *last = _layer(cell, inputs, batch_sizes, direction == 1, node_type, True)
            outputs.append(y)
            last_h.append(last[0])
            last_c += last[1:]
        x = cat(outputs, -1) if both else outputs[0]
        if p and train and layer < num_layers - 1:
            x = drop(x, p, train)
    return (x, stack(last_h), stack(last_c)) if last_c else (x, stack(last_h))


def _of_batch(state, batch_sizes):
    """A first state for the whole batch: repeated, where there is one for all."""
    batch = int(batch_sizes[0])
    if state is None or state.shape[0] == batch:
        return state
    if state.shape[0] != 1:
        raise RuntimeError(f"expected hidden states for a batch of {batch}, got one for {state.shape[0]}")
    return state.expand(batch, -1)


def _network(name: str, cell: str, args: tuple, kwargs: dict):
    """`lstm`, `gru` ... in both forms: of a padded and of a packed batch."""
    packed, call = _arguments(name, cell, args, kwargs)
    x, hx, params = call["data" if packed else "input"], call["hx"], list(call["params"])
    if cell == "lstm":
        if len(hx) != 2:
            raise RuntimeError(f"lstm expects two hidden states, got {len(hx)}")
        h, c = hx
    else:
        h, c = hx, None
    settings = (params, bool(call["has_biases"]), call["num_layers"], call["dropout"], call["train"])
    both = call["bidirectional"]
    if packed:
        sizes = check_batch_sizes(name, call["batch_sizes"], x)
        if x._array.ndim != 2:
            raise RuntimeError(f"{name}: expected packed data with 2 dimensions, got {x._array.ndim}")
        return _layers(name, cell, x, sizes, h, c, *settings, both, _CAT)
    single = x._array.ndim == 2  # one sample
    if single:
        x, h, c = x.unsqueeze(1), h.unsqueeze(1), None if c is None else c.unsqueeze(1)
    elif call["batch_first"]:
        x = x.transpose(0, 1)
    if x._array.ndim != 3:
        raise RuntimeError(f"{name}: expected input with 3 dimensions, got {x._array.ndim}")
    steps, batch = x._array.shape[:2]
    if not steps:
        raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
    node_type = _LSTM if cell == "lstm" and x._array.dtype == np.float32 else _STACK
    y, *last = _layers(name, cell, x, np.full(steps, batch), h, c, *settings, both, node_type)
    if single:
        return (y.squeeze(1), *[t.squeeze(1) for t in last])
    return (y.transpose(0, 1) if call["batch_first"] else y, *last)


_SETTINGS = ("hx", "params", "has_biases", "num_layers", "dropout", "train", "bidirectional")


def _arguments(name: str, cell: str, args: tuple, kwargs: dict) -> tuple[bool, dict]:
    """Whether the batch is packed, and the arguments by name."""
    place = 1 if cell == "lstm" else 2
    packed = (
        "data" in kwargs or "batch_sizes" in kwargs or (len(args) > place and isinstance(args[place], Tensor))
    )
    names = ("data", "batch_sizes", *_SETTINGS) if packed else ("input", *_SETTINGS, "batch_first")
    call = dict(zip(names, args, strict=False))
    states = call.get("hx", kwargs.get("hx"))
    fits = isinstance(states, tuple | list) if cell == "lstm" else isinstance(states, Tensor)
    if len(args) > len(names) or call.keys() & kwargs.keys() or {*call, *kwargs} != {*names} or not fits:
        hx = "tuple of Tensors hx" if cell == "lstm" else "Tensor hx"
        rest = "tuple of Tensors params, bool has_biases, int num_layers, float dropout, bool train, bool bidirectional"
        got = ", ".join(
            [type(a).__name__ for a in args] + [f"{k}={type(v).__name__}" for k, v in kwargs.items()]
        )
        raise TypeError(
            f"{name}() received an invalid combination of arguments - got ({got}), but expected one of:\n"
            f" * (Tensor data, Tensor batch_sizes, {hx}, {rest})\n * (Tensor input, {hx}, {rest}, bool batch_first)\n"
        )
    call.update(kwargs)
    check_tensor(name, call[names[0]], names[0])
    return packed, call


@op(method=False)
def lstm(*args, **kwargs):
    """A stack of LSTM layers; `torch.nn.LSTM` is the usual way to it.

    Args: (input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first), or for a packed
        batch (data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional).
        input: (steps, batch, features), or (batch, steps, features) where `batch_first`.
        hx: the first hidden and cell states, (layers * directions, batch, hidden) each.
        params: for each layer and direction w_ih, w_hh, then b_ih, b_hh where `has_biases`, then the projection if any.
        dropout: with which probability elements between layers are dropped while `train`.
    Returns:
        The outputs, and the last hidden and cell states.
    Raises:
        RuntimeError: sizes or types do not go together.

    Source: Hochreiter and Schmidhuber, Long Short-Term Memory, 1997; Gers et al., 2000 (forget gates).

    >>> import rushlight as torch
    >>> hx, params = (torch.zeros(1, 1, 2), torch.zeros(1, 1, 2)), (torch.zeros(8, 3), torch.zeros(8, 2))
    >>> torch.lstm(torch.ones(4, 1, 3), hx, params, False, 1, 0.0, False, False, False)[0].shape
    torch.Size([4, 1, 2])
    """
    return _network("lstm", "lstm", args, kwargs)


def _simple(name: str, cell: str, gates: int, source: str):
    """`gru`, `rnn_tanh` or `rnn_relu`."""

    def network(*args, **kwargs):
        return _network(name, cell, args, kwargs)

    network.__name__ = network.__qualname__ = name
    network.__doc__ = f"""A stack of {source} layers; `torch.nn.{"GRU" if cell == "gru" else "RNN"}` is the usual way to it.

    Args: (input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first), or for a packed
        batch (data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional). See `lstm`;
        there is no cell state.
    Returns:
        The outputs, and the last hidden states.
    Raises:
        RuntimeError: sizes or types do not go together.

    >>> import rushlight as torch
    >>> params = torch.zeros({2 * gates}, 3), torch.zeros({2 * gates}, 2)
    >>> torch.{name}(torch.ones(4, 1, 3), torch.zeros(1, 1, 2), params, False, 1, 0.0, False, False, False)[0].shape
    torch.Size([4, 1, 2])
    """
    return op(method=False)(network)


gru = _simple("gru", "gru", 3, "GRU (Cho et al., 2014)")
rnn_tanh = _simple("rnn_tanh", "tanh", 1, "simple recurrent (Elman, 1990)")
rnn_relu = _simple("rnn_relu", "relu", 1, "simple recurrent, rectified")


# -- cells ----------------------------------------------------------------------------------------------


def _cell(name: str, cell: str, input, h, c, w_ih, w_hh, b_ih, b_hh) -> tuple:
    """One step of one layer: the new states."""
    for what, t in (("input", input), ("hx", h), ("w_ih", w_ih), ("w_hh", w_hh)):
        check_tensor(name, t, what)
    if input._array.ndim < 2 or h._array.ndim < 2:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [-1, 0], but got 1): {name} takes batches, input "
            f"(batch, features) and hidden states (batch, hidden), got {list(input.shape)} and {list(h.shape)}"
        )
    (batch, features), size = input._array.shape[:2], w_hh._array.shape[-1]
    if features != w_ih._array.shape[-1]:
        raise RuntimeError(
            f"input has inconsistent input_size: got {features} expected {w_ih._array.shape[-1]}"
        )
    for number, state in enumerate((h,) if c is None else (h, c)):
        rows, width = state._array.shape[:2]
        if rows != batch:
            raise RuntimeError(f"Input batch size {batch} doesn't match hidden{number} batch size {rows}")
        if width != size:
            raise RuntimeError(f"hidden{number} has inconsistent hidden_size: got {width}, expected {size}")
    _check_types(input, h, c, w_ih, w_hh, b_ih, b_hh)
    wide = GATES[cell] * size
    for what, w in (("weight_ih", w_ih), ("weight_hh", w_hh)):
        if w._array.shape[0] != wide:
            raise RuntimeError(
                f"{what} first dim must be {GATES[cell]} * hidden_size = {wide}, but got {w._array.shape[0]}"
            )
    for b in (b_ih, b_hh):
        if b is not None and b._array.shape != (wide,):
            raise RuntimeError(
                f"The expanded size of the tensor ({wide}) must match the existing size ({b._array.shape[-1]}) at "
                f"non-singleton dimension 1: {name} expected biases of {wide} elements"
            )
    inputs = (input, h, c, w_ih, w_hh, b_ih, b_hh, None)
    return _layer(cell, inputs, np.array((batch,)), False, _CELLS[cell], False)


@op(method=False)
def lstm_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """One step of an LSTM.

    Args:
        input: (batch, features).
        hx: the hidden and the cell state, (batch, hidden) each.
        w_ih: (4 * hidden, features), for the in, forget, cell and out gates. w_hh: (4 * hidden, hidden).
        b_ih, b_hh: (4 * hidden,), or None.
    Returns:
        The new hidden and cell states.
    Raises:
        RuntimeError: sizes or types do not go together.

    >>> import rushlight as torch
    >>> hx = torch.zeros(1, 2), torch.ones(1, 2)
    >>> torch.lstm_cell(torch.ones(1, 3), hx, torch.zeros(8, 3), torch.zeros(8, 2))[1]
    tensor([[0.5000, 0.5000]])
    """
    if len(hx) != 2:
        raise RuntimeError(f"lstm_cell expects two hidden states, got {len(hx)}")
    return _cell("lstm_cell", "lstm", input, *hx, w_ih, w_hh, b_ih, b_hh)


def _simple_cell(name: str, cell: str, gates: int, source: str, value: str):
    """`gru_cell`, `rnn_tanh_cell` or `rnn_relu_cell`."""

    def step(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
        return _cell(name, cell, input, hx, None, w_ih, w_hh, b_ih, b_hh)[0]

    rows = "hidden" if gates == 1 else f"{gates} * hidden"
    step.__name__ = step.__qualname__ = name
    step.__doc__ = f"""One step of {source}.

    Args:
        input: (batch, features).
        hx: (batch, hidden), the hidden state.
        w_ih: ({rows}, features). w_hh: ({rows}, hidden).
        b_ih, b_hh: ({rows},), or None.
    Returns:
        The new hidden state.
    Raises:
        RuntimeError: sizes or types do not go together.

    >>> import rushlight as torch
    >>> torch.{name}(torch.ones(1, 3), torch.ones(1, 2), torch.zeros({2 * gates}, 3), torch.zeros({2 * gates}, 2))
    tensor([[{value}, {value}]])
    """
    return op(method=False)(step)


gru_cell = _simple_cell("gru_cell", "gru", 3, "a GRU, with reset, update and new gates", "0.5000")
rnn_tanh_cell = _simple_cell("rnn_tanh_cell", "tanh", 1, "a simple recurrent layer", "0.")
rnn_relu_cell = _simple_cell("rnn_relu_cell", "relu", 1, "a simple recurrent layer, rectified", "0.")
