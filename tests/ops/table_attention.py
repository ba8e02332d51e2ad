"""Attention."""

from tests.ops.functional import F
from tests.ops.table import B, Row, T


def _math(torch):
    """PyTorch's composed attention, which has second derivatives; ours are those of the one kernel."""
    return torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)


def _attend(torch, *args, **kwargs):
    with _math(torch):
        return F(torch).scaled_dot_product_attention(*args, **kwargs)


def _row(id, query, key, value, *more, mask=False, wrong=(), **options):
    def call(torch, q, k, v, *rest):
        torch.manual_seed(3)
        given = {"attn_mask": rest[0]} if mask else {}
        return _attend(torch, q, k, v, **given, **options)

    inputs = tuple(T(shape) for shape in (query, key, value))
    return Row("scaled_dot_product_attention", call, (*inputs, *more), id=id, wrong=wrong)


Q, K, V = (2, 3, 5, 4), (2, 3, 7, 4), (2, 3, 7, 4)


def _bad(**changes):
    """A call in which some arguments are replaced."""

    def call(torch):
        q = torch.ones(2, 3, 5, 4)
        given = {"query": q, "key": torch.ones(2, 3, 7, 4), "value": torch.ones(2, 3, 7, 4)}
        given.update({name: make(torch) for name, make in changes.items()})
        F(torch).scaled_dot_product_attention(**given)

    return call


WRONG = (
    _bad(query=lambda torch: 1),
    _bad(key=lambda torch: [1]),
    _bad(key=lambda torch: torch.ones(2, 3, 7, 3)),
    _bad(value=lambda torch: torch.ones(2, 3, 7, 4).double()),
    _bad(query=lambda torch: torch.ones(4)),
    _bad(key=lambda torch: torch.ones(2, 2, 7, 4), value=lambda torch: torch.ones(2, 2, 7, 4)),
    _bad(
        key=lambda torch: torch.ones(2, 2, 7, 4), value=lambda torch: torch.ones(2, 2, 7, 4),
        enable_gqa=lambda torch: True,
    ),
    _bad(attn_mask=lambda torch: torch.ones(5, 6)),
    _bad(attn_mask=lambda torch: torch.ones(5, 7).double()),
    _bad(attn_mask=lambda torch: torch.ones(5, 7).long()),
    _bad(attn_mask=lambda torch: torch.ones(7)),
    _bad(attn_mask=lambda torch: torch.ones(1, 2, 3, 5, 7)),
    _bad(dropout_p=lambda torch: 1.5),
    _bad(
        attn_mask=lambda torch: torch.ones(5, 7), is_causal=lambda torch: True, dropout_p=lambda torch: 0.1
    ),
    lambda torch: F(torch).scaled_dot_product_attention(*[torch.ones(2, 2)] * 3, None, 0.0, False, 0.5),
    lambda torch: F(torch).scaled_dot_product_attention(*[torch.ones(2, 2).long()] * 3),
)  # fmt: skip


def _nowhere(torch, q, k, v):
    """A mask with a row that allows nothing."""
    mask = torch.ones(5, 7).bool()
    mask[2] = False
    return _attend(torch, q, k, v, mask)


def _everything(torch, x, w, b, wo, bo):
    torch.manual_seed(4)
    forward = F(torch).multi_head_attention_forward
    return forward(x, x, x, 4, 2, w, b, None, None, False, 0.2, wo, bo, need_weights=False)


def _with_weights(torch, x, y, w, b, wo, bo, bias_k, bias_v):
    forward = F(torch).multi_head_attention_forward
    return forward(x, y, y, 4, 2, w, b, bias_k, bias_v, True, 0.0, wo, bo, average_attn_weights=False)


def _static(torch, x, w, b, wo, bo, k, v):
    forward = F(torch).multi_head_attention_forward
    return forward(
        x, x, x, 4, 2, w, b, None, None, False, 0.0, wo, bo, training=False, static_k=k, static_v=v
    )


PARAMETERS = (T((12, 4)), T((12,)), T((4, 4)), T((4,)))

ROWS = [
    _row("", Q, K, V, wrong=WRONG),
    _row("values-wider", Q, K, (2, 3, 7, 6)),
    _row("causal", Q, K, V, is_causal=True),
    _row("scale", Q, K, V, scale=0.3),
    _row("mask-bool", Q, K, V, B((5, 7)), mask=True),
    _row("mask-float", Q, K, V, T((2, 1, 5, 7), grad=False), mask=True),
    _row("mask-gradient", Q, K, V, T((3, 5, 7)), mask=True),
    _row("dropout", Q, K, V, dropout_p=0.3),
    _row("dropout-mask", Q, K, V, B((2, 1, 1, 7)), mask=True, dropout_p=0.3),
    _row("dropout-all", Q, K, V, dropout_p=1.0),
    _row("three", (3, 5, 4), (3, 7, 4), (3, 7, 2)),
    _row("two", (5, 4), (7, 4), (7, 2), scale=-1.0),
    _row("five", (2, 1, 3, 5, 4), (2, 1, 3, 7, 4), (2, 1, 3, 7, 4), B((3, 5, 7)), mask=True),
    _row("broadcast", Q, (1, 3, 7, 4), (1, 1, 7, 4)),
    _row("groups", (2, 6, 5, 4), K, V, enable_gqa=True),
    _row("groups-causal", (2, 4, 5, 4), (2, 2, 5, 4), (2, 1, 5, 4), enable_gqa=True, is_causal=True),
    _row("long", (1, 2, 70, 20), (1, 2, 133, 20), (1, 2, 133, 20)),
    _row("long-causal", (1, 2, 70, 18), (1, 2, 70, 18), (1, 2, 70, 18), is_causal=True, dropout_p=0.2),
    Row("scaled_dot_product_attention", _nowhere, (T(Q), T(K), T(V)), id="nowhere"),
    Row("multi_head_attention_forward", _everything, (T((3, 2, 4)), *PARAMETERS), id="dropout"),
    Row(
        "multi_head_attention_forward", _with_weights,
        (T((3, 2, 4)), T((5, 2, 4)), *PARAMETERS, T((1, 1, 4)), T((1, 1, 4))), id="biases",
    ),
    Row(
        "multi_head_attention_forward", _static, (T((3, 2, 4)), *PARAMETERS, T((4, 6, 2)), T((4, 6, 2))), id="static",
    ),
]  # fmt: skip
