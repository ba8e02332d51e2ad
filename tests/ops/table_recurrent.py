"""Recurrent networks, cells, and packed sequences."""

import warnings

from tests.ops.table import Row, T

GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
STEPS, BATCH, FEATURES, HIDDEN = 4, 3, 2, 3


def weights(name, layers=1, both=False, bias=True, projected=0):
    """The shapes of the parameters, as inputs."""
    rows, state, shapes = GATES[name] * HIDDEN, projected or HIDDEN, []
    for layer in range(layers):
        features = FEATURES if layer == 0 else state * (2 if both else 1)
        for _ in range(2 if both else 1):
            shapes += [(rows, features), (rows, state), *[(rows,)] * (2 * bias)]
            shapes += [(projected, HIDDEN)] if projected else []
    return tuple(T(shape, -1.0, 1.0) for shape in shapes)


def network(name, layers=1, both=False, bias=True, batch_first=False, packed=False, projected=0):
    """One call of a network, padded or packed."""
    count = layers * (2 if both else 1)
    states = (T((count, BATCH, projected or HIDDEN)), T((count, BATCH, HIDDEN)))[: 2 if name == "lstm" else 1]

    def call(torch, x, *rest):
        hx, params = rest[: len(states)], rest[len(states) :]
        hx = hx if name == "lstm" else hx[0]
        settings = (hx, params, bias, layers, 0.0, True, both)
        if packed:
            return getattr(torch, name)(x, torch.tensor([3, 3, 1]), *settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's oneDNN has no projections
            return getattr(torch, name)(x, *settings, batch_first)

    shape = (BATCH, STEPS, FEATURES) if batch_first else (STEPS, BATCH, FEATURES)
    x = T((7, FEATURES) if packed else shape)
    flags = {
        "both": both,
        "no-bias": not bias,
        "batch-first": batch_first,
        "packed": packed,
        "projected": projected,
    }
    id = "-".join([f"{layers}-layers", *[flag for flag, on in flags.items() if on]])
    return Row(
        name,
        call,
        (x, *states, *weights(name, layers, both, bias, projected)),
        id=id,
        tol32=1e-4,
        wrong=WRONG[name],
    )


def cell(name, bias=True):
    """One call of a cell."""
    kind = name.removesuffix("_cell")
    states = (T((BATCH, HIDDEN)),) * (2 if kind == "lstm" else 1)

    def call(torch, x, *rest):
        hx = rest[: len(states)]
        return getattr(torch, name)(x, hx if kind == "lstm" else hx[0], *rest[len(states) :])

    inputs = (T((BATCH, FEATURES)), *states, *weights(kind, bias=bias))
    return Row(name, call, inputs, id="bias" if bias else "no-bias", tol32=1e-4, wrong=WRONG_CELLS[kind])


def _wrong(name):
    """Calls that fail: of the input, the states, the parameters."""
    rows = GATES[name] * 4

    def call(torch, x=(2, 1, 3), h=(1, 1, 4), params=((rows, 3), (rows, 4)), bias=False, kind=None):
        zeros = lambda size: torch.zeros(size, dtype=kind and getattr(torch, kind))
        hx = (zeros(h), zeros(h)) if name == "lstm" else zeros(h)
        return getattr(torch, name)(
            zeros(x), hx, [torch.zeros(p) for p in params], bias, 1, 0.0, False, False, False
        )

    cases = ({"bias": True}, {"x": (0, 1, 3)}, {"params": ()})
    if name != "lstm":  # PyTorch's own LSTM reads past the end of arrays instead
        cases += ({"h": (1, 1, 5)}, {"params": ((rows, 5), (rows, 4))}, {"h": (2, 1, 4)}, {"kind": "float64"})
    calls = [lambda torch, case=case: call(torch, **case) for case in cases]
    return (*calls, lambda torch: getattr(torch, name)(), lambda torch: getattr(torch, name)(torch.zeros(1)))


def _wrong_cell(name):
    """Calls of a cell that fail."""
    rows = GATES[name] * 4

    def call(torch, x=(2, 3), h=(2, 4), w_ih=(rows, 3), b=None, kind=None):
        zeros = lambda size: torch.zeros(size, dtype=kind and getattr(torch, kind))
        hx = (zeros(h), zeros(h)) if name == "lstm" else zeros(h)
        biases = () if b is None else (zeros(b), zeros(b))
        return getattr(torch, f"{name}_cell")(zeros(x), hx, torch.zeros(w_ih), torch.zeros(rows, 4), *biases)

    cases = (
        {"x": (2, 4)},
        {"h": (2, 5)},
        {"h": (3, 4)},
        {"x": (3,), "h": (4,)},
        {"kind": "float64"},
        {"b": 5},
    )
    return tuple(lambda torch, case=case: call(torch, **case) for case in cases)


WRONG = {name: _wrong(name) for name in GATES}
WRONG_CELLS = {name: _wrong_cell(name) for name in GATES}
ROWS = [
    *[network(name) for name in GATES],
    *[network(name, packed=True, both=True) for name in GATES],
    network("lstm", layers=2, both=True, batch_first=True), network("gru", layers=2, both=True, bias=False),
    network("rnn_tanh", layers=2, both=True), network("lstm", layers=2, both=True, projected=2),
    network("lstm", bias=False, packed=True, projected=2), network("gru", bias=False, batch_first=True),
    *[cell(f"{name}_cell", bias) for name in GATES for bias in (True, False)],
]  # fmt: skip
