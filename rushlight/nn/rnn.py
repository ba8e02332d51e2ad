"""Recurrent layers and cells: RNN, LSTM, GRU."""

import math
import numbers
import warnings

from rushlight.amp.switch import STATE
from rushlight.nn import init
from rushlight.nn.module import Module
from rushlight.nn.parameter import Parameter
from rushlight.nn.utils.rnn import PackedSequence
from rushlight.ops import recurrent
from rushlight.ops.creation import empty
from rushlight.tensor import Tensor

_FUNCTIONS = {
    "RNN_TANH": recurrent.rnn_tanh, "RNN_RELU": recurrent.rnn_relu, "LSTM": recurrent.lstm, "GRU": recurrent.gru,
}  # fmt: skip
_GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}
_NO_PROJECTION = "proj_size argument is only supported for LSTM, not RNN or GRU"


def _draw(module: Module) -> None:
    """New values for all parameters, uniformly from ±1/sqrt(hidden_size)."""
    bound = 1 / math.sqrt(module.hidden_size) if module.hidden_size > 0 else 0
    for weight in module.parameters():
        init.uniform_(weight, -bound, bound)


class RNNBase(Module):
    """What RNN, LSTM and GRU share: their parameters, and the checks of their inputs.

    Args:
        mode: "RNN_TANH", "RNN_RELU", "LSTM" or "GRU".
        input_size: features of the input.
        hidden_size: features of the hidden state.
        num_layers: how many layers, each working on the outputs of the one before.
        bias: whether there are biases.
        batch_first: whether input and output are (batch, steps, features) instead of (steps, batch, features).
        dropout: with which probability elements between layers are dropped in training.
        bidirectional: whether a second layer goes from the end to the beginning; its outputs come last.
        proj_size: features that an LSTM's hidden state is projected to, or 0 for none.
        device, dtype: where and of which type the parameters are.
    Attributes: for layer k `weight_ih_lk`, `weight_hh_lk`, `bias_ih_lk`, `bias_hh_lk` and `weight_hr_lk` (the
        projection), with `_reverse` for the second direction, all drawn uniformly from ±1/sqrt(hidden_size).
    Raises:
        ValueError: a size is not positive, or dropout no probability. TypeError: an argument has another type.
    """

    __constants__ = (
        "mode", "input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional",
        "proj_size",
    )  # fmt: skip

    def __init__(
        self, mode, input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0,
        bidirectional=False, proj_size=0, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._check_arguments(dropout)
        self._name_weights()
        directions = 2 if bidirectional else 1
        rows, state = _GATES[mode] * hidden_size, proj_size or hidden_size
        for number, names in enumerate(self._all_weights):
            features = input_size if number < directions else state * directions
            shapes = [(rows, features), (rows, state), *[(rows,)] * (2 * bias), (proj_size, hidden_size)]
            for name, shape in zip(names, shapes, strict=False):
                setattr(self, name, Parameter(empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    def _check_arguments(self, dropout) -> None:
        if not isinstance(dropout, numbers.Number) or not 0 <= dropout <= 1 or isinstance(dropout, bool):
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an element being "
                f"zeroed, got {dropout!r}"
            )
        if dropout > 0 and self.num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
                f"num_layers greater than 1, but got dropout={dropout} and num_layers={self.num_layers}",
                stacklevel=4,
            )
        for name, kind in (
            ("bias", bool), ("batch_first", bool), ("input_size", int), ("hidden_size", int), ("num_layers", int),
        ):  # fmt: skip
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise TypeError(f"{name} should be of type {kind.__name__}, got: {type(value).__name__}")
            if kind is int and value <= 0:
                raise ValueError(f"{name} must be greater than zero, got {value}")
        if self.proj_size < 0:
            raise ValueError(
                f"proj_size should be a positive integer or zero to disable projections, got {self.proj_size}"
            )
        if self.proj_size >= self.hidden_size:
            raise ValueError(
                f"proj_size has to be smaller than hidden_size, got {self.proj_size} and {self.hidden_size}"
            )
        if self.mode not in _GATES:
            raise ValueError(f"Unrecognized RNN mode: {self.mode}, expected one of {', '.join(_GATES)}")

    def _name_weights(self) -> None:
        """The names of the parameters: a list for each layer and direction."""
        kinds = ["weight_ih", "weight_hh"]
        kinds += ["bias_ih", "bias_hh"] if self.bias else []
        kinds += ["weight_hr"] if self.proj_size > 0 else []
        suffixes = ("", "_reverse") if self.bidirectional else ("",)
        self._all_weights = [
            [f"{kind}_l{layer}{suffix}" for kind in kinds]
            for layer in range(self.num_layers)
            for suffix in suffixes
        ]
        self._flat_weights_names = [name for names in self._all_weights for name in names]

    @property
    def all_weights(self) -> list:
        """The parameters: a list for each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    @property
    def _flat_weights(self) -> list:
        """The parameters in order; looked up anew, so that one that was replaced is not missed."""
        known = self._parameters
        return [
            known[name] if name in known else getattr(self, name, None) for name in self._flat_weights_names
        ]

    @_flat_weights.setter
    def _flat_weights(self, weights) -> None:
        """Programs that replace parameters assign the list as well."""

    def flatten_parameters(self) -> None:
        """Does nothing: on the CPU the parameters need not lie side by side."""

    def reset_parameters(self) -> None:
        """Draw new values, uniformly from ±1/sqrt(hidden_size)."""
        _draw(self)

    def check_input(self, input, batch_sizes) -> None:
        """Raise an error if this layer can't work on the input.

        Raises:
            ValueError: its type is not the parameters'. RuntimeError: its shape does not fit.
        """
        kind = self._flat_weights[0].dtype
        if input.dtype != kind and not STATE.enabled.get("cpu"):
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({kind}). Convert input: "
                f"input.to({kind}), or convert model: model.to({input.dtype})"
            )
        dims = 3 if batch_sizes is None else 2
        if input.dim() != dims:
            raise RuntimeError(f"input must have {dims} dimensions, got {input.dim()}")
        if input.size(-1) != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.size(-1)}"
                f"{self._hint(input)}"
            )

    def _hint(self, input) -> str:
        """The likely fix of an input whose last dimension is wrong."""
        if input.dim() == 3 and input.size(1) == self.input_size:
            return f": the input is {list(input.shape)}; transpose it first, input.mT"
        return (
            f": the input is {list(input.shape)}; make the layer with input_size={input.size(-1)}, or change the "
            "input's last dimension"
        )

    def _batch(self, input, batch_sizes) -> int:
        if batch_sizes is not None:
            return int(batch_sizes[0])
        return input.size(0 if self.batch_first else 1)

    def get_expected_hidden_size(self, input, batch_sizes) -> tuple:
        """The shape that the hidden state must have: (layers * directions, batch, features)."""
        count = self.num_layers * (2 if self.bidirectional else 1)
        return count, self._batch(input, batch_sizes), self.proj_size or self.hidden_size

    def check_hidden_size(self, hx, expected_hidden_size, msg="Expected hidden size {}, got {}") -> None:
        """Raise a RuntimeError if the hidden state has another shape."""
        if hx.size() != expected_hidden_size:
            raise RuntimeError(msg.format(expected_hidden_size, list(hx.size())))

    def check_forward_args(self, input, hidden, batch_sizes) -> None:
        """Raise an error if input or hidden state don't fit."""
        self.check_input(input, batch_sizes)
        self.check_hidden_size(hidden, self.get_expected_hidden_size(input, batch_sizes))

    def permute_hidden(self, hx, permutation):
        """The hidden state with its samples in another order; as it is where that is None."""
        return hx if permutation is None else hx.index_select(1, permutation)

    def _check_dims(self, input, hx) -> None:
        """That the hidden state has a batch dimension exactly if the input has one."""
        if input.dim() not in (2, 3):
            what = f"{input.dim()}D tensor" if self.mode.startswith("RNN") else f"{input.dim()}D"
            name = self.mode.removesuffix("_TANH").removesuffix("_RELU")
            raise ValueError(f"{name}: Expected input to be 2D or 3D, got {what} instead")
        if hx is not None and hx.dim() != input.dim():
            which = "unbatched 2-D" if input.dim() == 2 else "batched 3-D"
            raise RuntimeError(
                f"For {which} input, hx should also be {input.dim()}-D but got {hx.dim()}-D tensor"
            )

    def _zeros(self, input, batch_sizes):
        """The hidden state that stands for None."""
        return input.new_zeros(RNNBase.get_expected_hidden_size(self, input, batch_sizes))

    def _map(self, function, hx):
        """A function of each of the states."""
        return function(hx)

    def _run(self, input, hx):
        """Input and state, packed or padded, through all layers."""
        batch_sizes = order = back = None
        packed, single, batch_dim = isinstance(input, PackedSequence), False, 0 if self.batch_first else 1
        data = input
        if packed:
            data, batch_sizes, order, back = input
        else:
            self._check_dims(data, hx)
            single = data.dim() == 2
            if single:
                data = data.unsqueeze(batch_dim)
                hx = None if hx is None else self._map(lambda t: t.unsqueeze(1), hx)
        hx = self._zeros(data, batch_sizes) if hx is None else self.permute_hidden(hx, order)
        self.check_forward_args(data, hx, batch_sizes)
        weights = self._flat_weights
        if weights[0].dtype != data.dtype:  # under autocast
            weights, hx = [w.to(data.dtype) for w in weights], self._map(lambda t: t.to(data.dtype), hx)
        settings = (hx, weights, self.bias, self.num_layers, self.dropout, self.training)
        if packed:
            output, *last = _FUNCTIONS[self.mode](data, batch_sizes, *settings, self.bidirectional)
        else:
            output, *last = _FUNCTIONS[self.mode](data, *settings, self.bidirectional, self.batch_first)
        last = tuple(last) if self.mode == "LSTM" else last[0]
        if packed:
            return PackedSequence(output, batch_sizes, order, back), self.permute_hidden(last, back)
        if single:
            return output.squeeze(batch_dim), self._map(lambda t: t.squeeze(1), last)
        return output, last

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        for name, usual in (
            ("proj_size", 0), ("num_layers", 1), ("bias", True), ("batch_first", False), ("dropout", 0),
            ("bidirectional", False),
        ):  # fmt: skip
            value = getattr(self, name)
            if value != usual:
                text += f", {name}={value}"
        return text

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_flat_weights": self._flat_weights}  # which PyTorch keeps, and looks for

    def __setstate__(self, state):
        super().__setstate__(state)
        for name in ("_flat_weights", "all_weights"):
            self.__dict__.pop(name, None)
        self.__dict__.setdefault("proj_size", 0)
        self._name_weights()


class RNN(RNNBase):
    """A simple recurrent network: h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu.

    Args:
        input_size: features of the input.
        hidden_size: features of the hidden state.
        num_layers: how many layers, each working on the outputs of the one before.
        nonlinearity: "tanh" or "relu".
        bias, batch_first, dropout, bidirectional, device, dtype: see `RNNBase`.
    Returns, when called with an input (steps, batch, features) and the first hidden state (layers * directions,
        batch, hidden) or None for zeros: the outputs of the last layer at all steps, and the last hidden states
        of all layers. An input without batch dimension, and a `PackedSequence`, give results of their kind.
    Raises:
        ValueError, RuntimeError: the input's shape or type does not fit.

    Source: Elman, Finding Structure in Time, 1990.

    >>> import rushlight as torch
    >>> output, last = torch.nn.RNN(10, 20, num_layers=2)(torch.zeros(5, 3, 10))
    >>> output.shape, last.shape
    (torch.Size([5, 3, 20]), torch.Size([2, 3, 20]))
    """

    def __init__(self, *args, **kwargs):
        if "proj_size" in kwargs:
            raise ValueError(_NO_PROJECTION)
        if len(args) > 3:
            nonlinearity, args = args[3], args[:3] + args[4:]
        else:
            nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(f"RNN_{nonlinearity.upper()}", *args, **kwargs)
        self.nonlinearity = nonlinearity

    def forward(self, input, hx=None):
        return self._run(input, hx)


class LSTM(RNNBase):
    """Long short-term memory: a cell state that gates write to, forget and read.

    i, f, o = sigmoid and g = tanh of (W_ih x + b_ih + W_hh h + b_hh); c' = f c + i g; h' = o tanh(c').

    Args:
        input_size: features of the input.
        hidden_size: features of the cell state, and of the hidden state unless that is projected.
        num_layers: how many layers, each working on the outputs of the one before.
        bias, batch_first, dropout, bidirectional, proj_size, device, dtype: see `RNNBase`.
    Returns, when called with an input (steps, batch, features) and the first hidden and cell states (layers *
        directions, batch, hidden) or None for zeros: the outputs of the last layer at all steps, and the last
        hidden and cell states of all layers. An input without batch dimension, and a `PackedSequence`, give
        results of their kind.
    Raises:
        ValueError, RuntimeError: the input's shape or type does not fit.

    Source: Hochreiter and Schmidhuber, Long Short-Term Memory, 1997; Gers et al., 2000 (forget gates); Sak et al.,
    2014 (projection).

    >>> import rushlight as torch
    >>> output, (h, c) = torch.nn.LSTM(10, 20, batch_first=True)(torch.zeros(3, 5, 10))
    >>> output.shape, h.shape, c.shape
    (torch.Size([3, 5, 20]), torch.Size([1, 3, 20]), torch.Size([1, 3, 20]))
    """

    def __init__(self, *args, **kwargs):
        super().__init__("LSTM", *args, **kwargs)

    def get_expected_cell_size(self, input, batch_sizes) -> tuple:
        """The shape that the cell state must have: (layers * directions, batch, hidden)."""
        return *self.get_expected_hidden_size(input, batch_sizes)[:2], self.hidden_size

    def check_forward_args(self, input, hidden, batch_sizes) -> None:
        """Raise an error if input or states don't fit."""
        self.check_input(input, batch_sizes)
        expected = self.get_expected_hidden_size(input, batch_sizes)
        self.check_hidden_size(hidden[0], expected, "Expected hidden[0] size {}, got {}")
        expected = self.get_expected_cell_size(input, batch_sizes)
        self.check_hidden_size(hidden[1], expected, "Expected hidden[1] size {}, got {}")

    def permute_hidden(self, hx, permutation):
        """The states with their samples in another order; as they are where that is None."""
        return hx if permutation is None else tuple(t.index_select(1, permutation) for t in hx)

    def _check_dims(self, input, hx) -> None:
        if hx is None or input.dim() not in (2, 3):
            return super()._check_dims(input, None)
        if hx[0].dim() != input.dim() or hx[1].dim() != input.dim():
            which = "unbatched 2-D" if input.dim() == 2 else "batched 3-D"
            raise RuntimeError(
                f"For {which} input, hx and cx should also be {input.dim()}-D but got ({hx[0].dim()}-D, "
                f"{hx[1].dim()}-D) tensors"
            )

    def _zeros(self, input, batch_sizes):
        cells = LSTM.get_expected_cell_size(self, input, batch_sizes)
        return super()._zeros(input, batch_sizes), input.new_zeros(cells)

    def _map(self, function, hx):
        return tuple(function(t) for t in hx)

    def forward(self, input, hx=None):
        if isinstance(hx, Tensor):
            # PyTorch looks for its second element first, except where the input is packed.
            error = IndexError if len(hx) < 2 and isinstance(input, Tensor) else TypeError
            raise error(f"LSTM: expected hx to be the tuple (h_0, c_0), got one tensor {list(hx.shape)}")
        return self._run(input, hx)


class GRU(RNNBase):
    """Gated recurrent units: h' = (1 - z) n + z h.

    r, z = sigmoid of (W_ih x + b_ih + W_hh h + b_hh); n = tanh(W_in x + b_in + r (W_hn h + b_hn)).

    Args:
        input_size: features of the input.
        hidden_size: features of the hidden state.
        num_layers: how many layers, each working on the outputs of the one before.
        bias, batch_first, dropout, bidirectional, device, dtype: see `RNNBase`.
    Returns, when called with an input (steps, batch, features) and the first hidden state (layers * directions,
        batch, hidden) or None for zeros: the outputs of the last layer at all steps, and the last hidden states
        of all layers. An input without batch dimension, and a `PackedSequence`, give results of their kind.
    Raises:
        ValueError, RuntimeError: the input's shape or type does not fit.

    Source: Cho et al., Learning Phrase Representations using RNN Encoder-Decoder, 2014.

    >>> import rushlight as torch
    >>> output, last = torch.nn.GRU(10, 20, bidirectional=True)(torch.zeros(5, 3, 10))
    >>> output.shape, last.shape
    (torch.Size([5, 3, 40]), torch.Size([2, 3, 20]))
    """

    def __init__(self, *args, **kwargs):
        if "proj_size" in kwargs:
            raise ValueError(_NO_PROJECTION)
        super().__init__("GRU", *args, **kwargs)

    def forward(self, input, hx=None):
        return self._run(input, hx)


# -- cells ----------------------------------------------------------------------------------------------


class RNNCellBase(Module):
    """What the cells share: their parameters.

    Args:
        input_size: features of the input.
        hidden_size: features of the hidden state.
        bias: whether there are biases.
        num_chunks: the number of gates.
        device, dtype: where and of which type the parameters are.
    Attributes: `weight_ih` (gates * hidden, input), `weight_hh` (gates * hidden, hidden), `bias_ih` and `bias_hh`
        (gates * hidden,), all drawn uniformly from ±1/sqrt(hidden_size).
    """

    __constants__ = ("input_size", "hidden_size", "bias")

    def __init__(self, input_size, hidden_size, bias, num_chunks, device=None, dtype=None):
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = num_chunks * hidden_size
        self.weight_ih = Parameter(empty((rows, input_size), device=device, dtype=dtype))
        self.weight_hh = Parameter(empty((rows, hidden_size), device=device, dtype=dtype))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(
                name, Parameter(empty(rows, device=device, dtype=dtype)) if bias else None
            )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new values, uniformly from ±1/sqrt(hidden_size)."""
        _draw(self)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if self.__dict__.get("nonlinearity", "tanh") != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text

    def _weights(self) -> tuple:
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh

    def _check(self, input, states, names) -> None:
        """That input and states are single samples or batches."""
        name = type(self).__name__
        for what, t in (("input", input), *zip(names, states, strict=False)):
            if t.dim() not in (1, 2):
                raise ValueError(f"{name}: Expected {what} to be 1D or 2D, got {t.dim()}D instead")

    def _step(self, function, input, hx):
        """One step of a cell with one state."""
        self._check(input, () if hx is None else (hx,), ("hidden",))
        single = input.dim() == 1
        if single:
            input, hx = input.unsqueeze(0), None if hx is None else hx.unsqueeze(0)
        if hx is None:
            hx = input.new_zeros(input.size(0), self.hidden_size)
        result = function(input, hx, *self._weights())
        return result.squeeze(0) if single else result


class RNNCell(RNNCellBase):
    """One step of an `RNN`: h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu.

    Args:
        input_size: features of the input.
        hidden_size: features of the hidden state.
        bias: whether there are biases.
        nonlinearity: "tanh" or "relu".
        device, dtype: where and of which type the parameters are.
    Returns, when called with an input (batch, features) and a hidden state (batch, hidden) or None for zeros: the new
        hidden state. Both may lack the batch dimension.
    Raises:
        ValueError, RuntimeError: shapes or types do not fit.

    >>> import rushlight as torch
    >>> torch.nn.RNNCell(10, 20)(torch.zeros(3, 10)).shape
    torch.Size([3, 20])
    """

    __constants__ = ("input_size", "hidden_size", "bias", "nonlinearity")

    def __init__(self, input_size, hidden_size, bias=True, nonlinearity="tanh", device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input, hx=None):
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        tanh = self.nonlinearity == "tanh"
        return self._step(recurrent.rnn_tanh_cell if tanh else recurrent.rnn_relu_cell, input, hx)


class LSTMCell(RNNCellBase):
    """One step of an `LSTM`.

    Args:
        input_size: features of the input.
        hidden_size: features of the hidden and the cell state.
        bias: whether there are biases.
        device, dtype: where and of which type the parameters are.
    Returns, when called with an input (batch, features) and the hidden and cell states (batch, hidden) or None for
        zeros: the new hidden and cell states. All may lack the batch dimension.
    Raises:
        ValueError, RuntimeError: shapes or types do not fit.

    >>> import rushlight as torch
    >>> h, c = torch.nn.LSTMCell(10, 20)(torch.zeros(3, 10))
    >>> h.shape, c.shape
    (torch.Size([3, 20]), torch.Size([3, 20]))
    """

    def __init__(self, input_size, hidden_size, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input, hx=None):
        self._check(input, hx or (), ("hx[0]", "hx[1]"))
        single = input.dim() == 1
        if single:
            input, hx = input.unsqueeze(0), hx and tuple(t.unsqueeze(0) for t in hx)
        if hx is None:
            hx = (input.new_zeros(input.size(0), self.hidden_size),) * 2
        h, c = recurrent.lstm_cell(input, hx, *self._weights())
        return (h.squeeze(0), c.squeeze(0)) if single else (h, c)


class GRUCell(RNNCellBase):
    """One step of a `GRU`.

    Args:
        input_size: features of the input.
        hidden_size: features of the hidden state.
        bias: whether there are biases.
        device, dtype: where and of which type the parameters are.
    Returns, when called with an input (batch, features) and a hidden state (batch, hidden) or None for zeros: the new
        hidden state. Both may lack the batch dimension.
    Raises:
        ValueError, RuntimeError: shapes or types do not fit.

    >>> import rushlight as torch
    >>> torch.nn.GRUCell(10, 20)(torch.zeros(3, 10)).shape
    torch.Size([3, 20])
    """

    def __init__(self, input_size, hidden_size, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input, hx=None):
        return self._step(recurrent.gru_cell, input, hx)


__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNBase", "RNNCell", "RNNCellBase"]
