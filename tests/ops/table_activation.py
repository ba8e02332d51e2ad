"""Activation functions and dropout."""

from tests.ops.functional import F
from tests.ops.table import I, Row, T

X = (T((3, 4), -4.0, 4.0),)
LONG = lambda name: lambda torch: getattr(F(torch), name)(torch.tensor([1, 2]))
LEAF = lambda name: lambda torch: getattr(F(torch), name)(torch.ones(2, requires_grad=True), inplace=True)


def plain(name, *args, inputs=X, id="", **options):
    """A function of one tensor and some numbers."""
    return Row(name, lambda torch, x: getattr(F(torch), name)(x, *args), inputs, id=id, **options)


def in_place(name, *args, **options):
    """The same, overwriting something that was computed; the result and what is overwritten are compared."""

    def call(torch, x):
        y = x * 2
        return getattr(F(torch), name)(y, *args, inplace=True), y

    return Row(name, call, X, id="in-place", **options)


def family(name, *args, wrong=(), finite=False, **options):
    """A function with its edge cases: special values, no elements, a wrong type."""

    def special(torch):
        values = [0.0, -0.0, 1.0, -1.0, 3.0, -3.0, 6.0, 0.5, -0.5, 30.0, -30.0, 100.0, float("nan")]
        infinite = [] if finite else [float("inf"), float("-inf")]
        return getattr(F(torch), name)(torch.tensor(values + infinite), *args)

    return [
        plain(name, *args, wrong=(*wrong, lambda torch: getattr(F(torch), name)("x")), **options),
        plain(name, *args, inputs=(T((2, 3, 4, 5)),), id="4-D", **options),
        plain(name, *args, inputs=(T((0, 3)),), id="empty", fd=False, **options),
        plain(name, *args, inputs=(T(()),), id="0-d", layouts=False, **options),
        Row(name, special, grad=False, id="special", tol=1e-6, dtypes=("float32",)),
    ]


def _prelu(torch, x, w):
    return F(torch).prelu(x, w)


def _gumbel(torch, x):
    f = F(torch).gumbel_softmax
    hard = f(x, hard=True)
    return f(x).sum(-1), f(x, tau=0.5, dim=0).sum(0), hard.sum(-1), ((hard == 0) | (hard == 1)).all()


def _dropouts(name, shape):
    f = lambda torch: getattr(F(torch), name)
    return [
        Row(name, lambda torch, x: f(torch)(x, 0.5, False), (T(shape),), id="off"),
        Row(name, lambda torch, x: f(torch)(x, 0.0, True), (T(shape),), id="nothing"),
        Row(name, lambda torch, x: f(torch)(x, 1.0, True), (T(shape),), id="everything"),
    ]


ROWS = [
    *family("hardtanh", wrong=(lambda torch: F(torch).hardtanh(torch.ones(2), 1, -1),
                               lambda torch: F(torch).hardtanh(torch.tensor([True])),
                               lambda torch: F(torch).hardtanh(torch.ones(2).byte()), LEAF("hardtanh"))),
    plain("hardtanh", -2, 0.5, id="bounds"), in_place("hardtanh", -0.5, 1),
    plain("hardtanh", inputs=(I((3, 4), 3, -3),), grad=False, id="int"),
    *family("relu6", wrong=(lambda torch: F(torch).relu6(torch.tensor([True])), LEAF("relu6"))),
        in_place("relu6"),
    plain("relu6", inputs=(I((3, 4), 9, -3),), grad=False, id="int"),
    *family("threshold", 0.5, 9), in_place("threshold", -0.1, 2),
    plain("threshold", 1, 7, inputs=(I((3, 4), 3, -3),), grad=False, id="int"),
    *family("leaky_relu", wrong=(LONG("leaky_relu"), LEAF("leaky_relu"))), plain("leaky_relu", 0.3,
        id="slope"),
    in_place("leaky_relu", 0.2),
    *family("elu", wrong=(LONG("elu"), LEAF("elu"))), plain("elu", 0.3, id="alpha"), in_place("elu"),
    *family("celu", wrong=(LONG("celu"), lambda torch: F(torch).celu(torch.ones(2), 0))),
    plain("celu", 2.5, id="alpha"), in_place("celu", 0.75),
    *family("selu", wrong=(LONG("selu"),)), in_place("selu"),
    *family("gelu", finite=True, wrong=(LONG("gelu"), lambda torch: F(torch).gelu(torch.ones(2),
        approximate="x"))),
    Row("gelu", lambda torch, x: F(torch).gelu(x, approximate="tanh"), X, id="tanh"),
    *family("silu", wrong=(LONG("silu"), LEAF("silu"))), in_place("silu"),
    *family("mish", wrong=(LONG("mish"),)), in_place("mish"),
    *family("softplus", wrong=(LONG("softplus"),)), plain("softplus", 2.0, 1.0, id="beta"),
    *family("logsigmoid", wrong=(LONG("logsigmoid"),)),
    *family("softsign"), plain("softsign", inputs=(I((3,)),), grad=False, id="int"),
    *family("tanhshrink"), plain("tanhshrink", inputs=(I((3,)),), grad=False, id="int"),
    # PyTorch divides by 6 in float32, and has no second derivative
    *family("hardsigmoid", wrong=(LONG("hardsigmoid"),), tol=1e-7, grad2=False), in_place("hardsigmoid",
        tol=1e-7, grad2=False),
    *family("hardswish", wrong=(LONG("hardswish"),)), in_place("hardswish"),
    *family("softshrink", wrong=(LONG("softshrink"), lambda torch: F(torch).softshrink(torch.ones(2), -1))),
    *family("hardshrink", wrong=(LONG("hardshrink"),)), plain("hardshrink", 1.5, id="lambd"),
    plain("rrelu", 0.1, 0.5, wrong=(lambda torch: F(torch).rrelu(torch.ones(2), 0.5, 0.1, True),)),
    Row("rrelu", lambda torch, x: F(torch).rrelu(x, training=True), (T((3, 4), 0.1, 2.0),), id="training",
        grad2=False),
    # learnt slopes
    Row("prelu", _prelu, (T((2, 3, 4)), T((3,))), wrong=(
        lambda torch: F(torch).prelu(torch.ones(2, 3), torch.ones(2)),
        lambda torch: F(torch).prelu(torch.ones(2, 3), torch.ones(3, 1)),
        lambda torch: F(torch).prelu(torch.ones(2, 3), torch.ones(3).double()))),
    Row("prelu", _prelu, (T((2, 3)), T((1,))), id="one"),
    Row("prelu", _prelu, (T((3,)), T((1,))), id="1-D"),
    Row("prelu", _prelu, (T((2, 3)), T(())), id="scalar"),
    Row("prelu", _prelu, (T((2, 3, 4, 5)), T((3,))), id="4-D"),
    Row("prelu", _prelu, (T((0, 3)), T((3,))), id="empty", fd=False),
    # gates and random choices
    plain("glu", wrong=(lambda torch: F(torch).glu(torch.ones(2, 3)),
        lambda torch: F(torch).glu(torch.tensor(1.0)),
                        lambda torch: F(torch).glu(torch.ones(2, 2), 3), LONG("glu"))),
    plain("glu", 0, inputs=(T((4, 3)),), id="dim"), plain("glu", 1, inputs=(T((2, 4, 3, 3)),), id="4-D"),
    Row("gumbel_softmax", _gumbel, (T((3, 4)),), grad=False, tol=1e-6),
    *_dropouts("dropout", (3, 4)), *_dropouts("alpha_dropout", (3, 4)), *_dropouts("feature_alpha_dropout",
        (3, 4, 2)),
    *_dropouts("dropout1d", (2, 3, 4)), *_dropouts("dropout2d", (2, 3, 2, 2)), *_dropouts("dropout3d", (2, 3,
        2, 2, 2)),
    Row("dropout1d", lambda torch, x: F(torch).dropout1d(x, 1.0), (T((3, 4)),), id="unbatched",
        wrong=(lambda torch: F(torch).dropout1d(torch.ones(3)), lambda torch: F(torch).dropout2d(torch.ones(3,
            2, 2), 2))),
    Row("dropout3d", lambda torch, x: F(torch).dropout3d(x, 1.0), (T((3, 2, 2, 2)),), id="unbatched"),
    Row("feature_dropout", lambda torch, x: torch.feature_dropout(x, 1.0, True), (T((2, 3, 2)),)),
    Row("dropout", lambda torch, x: F(torch).dropout((x * 2), 1.0, True, True), (T((3, 4)),), id="in-place",
        wrong=(
        lambda torch: F(torch).dropout(torch.ones(2), 1.5), lambda torch: F(torch).dropout(torch.ones(2),
            -0.1),
        lambda torch: F(torch).dropout(torch.tensor([1, 2])), LEAF("dropout"),
        lambda torch: F(torch).feature_alpha_dropout(torch.ones(3), training=True))),
]  # fmt: skip
