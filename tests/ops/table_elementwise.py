"""Arithmetic, comparison, and functions of one number."""

from tests.ops.table import B, C, I, Row, T

POSITIVE = {"low": 0.2, "high": 3.0}
INSIDE = {"low": -0.9, "high": 0.9}


def unary(name, low=-2.0, high=2.0, **options):
    """A function of one tensor."""
    return Row(name, lambda torch, x: getattr(torch, name)(x), (T((3, 4), low, high),), **options)


def binary(name, low=-2.0, high=2.0, **options):
    """A function of two tensors, which broadcast."""

    def call(torch, x, y):
        return getattr(torch, name)(x, y)

    return [
        Row(name, call, (T((3, 4), low, high), T((3, 4), low, high)), id="same", **options),
        Row(name, call, (T((2, 3, 4), low, high), T((3, 1), low, high)), id="broadcast", **options),
        Row(name, call, (T((3, 4), low, high), T((), low, high)), id="0-d", **options),
        Row(name, call, (T((0, 4), low, high), T((4,), low, high)), id="empty", fd=False, **options),
        Row(
            name, lambda torch, x: getattr(torch, name)(x, 2), (T((3, 4), low, high),), id="number", **options
        ),
    ]


def integers(name, low=1, *kinds):
    """The same on integers of several types, and on an integer with a float."""
    return [
        Row(name, lambda torch, x, y: getattr(torch, name)(x, y), (I((3, 4), 9, low, a), I((4,), 9, low, b)),
            grad=False, id=f"{a}-{b}")
        for a, b in (("int64", "int64"), ("int32", "int64"), ("uint8", "int8"), ("int16", "int32"))
    ]  # fmt: skip


def comparison(name):
    """A comparison, on floats, integers and a number."""

    def call(torch, x, y):
        return getattr(torch, name)(x, y)

    return [
        Row(name, call, (T((3, 4)), T((4,))), grad=False, id="float"),
        Row(name, call, (I((3, 4), 3), I((3, 4), 3)), grad=False, id="int"),
        Row(
            name, lambda torch, x: getattr(torch, name)(x, 1.5), (I((3, 4), 3),), grad=False, id="int-number"
        ),
        Row(name, call, (I((3, 4), 3, 0, "int32"), T((3, 4))), grad=False, id="mixed"),
        Row(
            name, lambda torch, x: getattr(x.clone(), name + "_")(1), (T((3, 4)),), grad=False, id="in-place"
        ),
    ]


MISMATCH = lambda name: (lambda torch: getattr(torch, name)(torch.zeros(2, 3), torch.zeros(4)),)
NOT_A_TENSOR = lambda name: (
    lambda torch: getattr(torch, name)("x"),
    lambda torch: getattr(torch, name)(None),
)

NO_NUMBER = lambda name: (lambda torch: getattr(torch, name)(torch.ones(2), 2),)

ROWS = [
    *binary("add", wrong=MISMATCH("add")),
    *binary("sub", wrong=(*MISMATCH("sub"), lambda torch: torch.tensor([True]) - torch.tensor([True]))),
    *binary("mul", wrong=MISMATCH("mul")),
    *binary("div", 0.5, 2.0, wrong=(lambda torch: torch.div(torch.ones(2), 2, rounding_mode="up"),)),
    *binary("pow", 0.5, 2.0, wrong=(lambda torch: torch.pow(torch.tensor([2]), -1),)),
    *[r for n in ("maximum", "minimum", "fmax", "fmin", "atan2") for r in binary(n, wrong=NO_NUMBER(n)) if r.id != "number"],
    *binary("remainder", 0.6, 3.0, grad2=False), *binary("fmod", 0.6, 3.0, grad2=False),
    *[r for r in binary("hypot") if r.id != "number"],
    *[r for name in ("add", "sub", "mul", "div", "floor_divide", "remainder", "fmod", "pow", "maximum")
      for r in integers(name)],
    Row("add", lambda torch, x, y: torch.add(x, y, alpha=3), (T((3, 4)), T((4,))), id="alpha"),
    Row("sub", lambda torch, x, y: torch.sub(x, y, alpha=3), (T((3, 4)), T((4,))), id="alpha"),
    Row("rsub", lambda torch, x: torch.rsub(x, 3, alpha=2), (T((3, 4)),)),
    Row("subtract", lambda torch, x, y: torch.subtract(x, y), (T((3, 4)), T((4,)))),
    Row("multiply", lambda torch, x, y: torch.multiply(x, y), (T((3, 4)), T((4,)))),
    Row("divide", lambda torch, x, y: torch.divide(x, y), (T((3, 4)), T((4,), 1, 2))),
    Row("true_divide", lambda torch, x, y: torch.true_divide(x, y), (I((3, 4)), I((4,), 9, 1)), grad=False),
    Row("floor_divide", lambda torch, x: torch.floor_divide(x, 0.7), (T((3, 4)),), grad=False, id="float"),
    Row("div", lambda torch, x: torch.div(x, 0.7, rounding_mode="trunc"), (T((3, 4)),), id="trunc"),
    Row("div", lambda torch, x: torch.div(x, 0.7, rounding_mode="floor"), (T((3, 4)),), id="floor"),
    Row("arctan2", lambda torch, x, y: torch.arctan2(x, y), (T((3,)), T((3,)))),
    *[Row("mul", lambda torch, x, y: x * y, (C((3, 4)), C((4,))), id="complex"),
      Row("div", lambda torch, x, y: x / y, (C((3, 4)), C((4,), 1, 2)), id="complex"),
      Row("mul", lambda torch, x, y: x * y, (T((3, 4)), C((4,))), id="real-complex")],
    *[Row(name, lambda torch, x, call=call: call(x), (T((3, 4), 0.5, 2.0),), id="operator",
          grad=name != "floor_divide") for name, call in {
        "add": lambda x: 1 + x, "sub": lambda x: 3 - x, "mul": lambda x: 2 * x, "div": lambda x: 2 / x,
        "pow": lambda x: 2 ** x, "remainder": lambda x: x % 0.4, "floor_divide": lambda x: x // 0.4}.items()],
    Row("pow", lambda torch, x: x**3, (T((3, 4)),), id="cube"),
    Row("pow", lambda torch, x: x**-1, (T((3, 4), 0.5, 2.0),), id="inverse"),
    Row("pow", lambda torch, x: x**0, (T((3, 4)),), id="zero"),
    # in-place forms, differentiated through
    Row("add", lambda torch, x, y: x.clone().add_(y, alpha=2), (T((3, 4)), T((4,))), id="in-place"),
    Row("sub", lambda torch, x, y: x.clone().sub_(y), (T((3, 4)), T((4,))), id="in-place"),
    Row("mul", lambda torch, x, y: x.clone().mul_(y), (T((3, 4)), T((3, 1))), id="in-place"),
    Row("sin", lambda torch, x: x.clone().sin_(), (T((3, 4)),), id="in-place"),
    Row("pow", lambda torch, x: x.clone().pow_(3), (T((3, 4)),), id="in-place"),
    Row("div", lambda torch, x: x.clone().div_(2), (T((3, 4)),), id="in-place",
        wrong=(lambda torch: torch.ones(3).add_(torch.ones(2, 3)), lambda torch: torch.tensor([1]).add_(1.5),
               lambda torch: torch.ones(3, requires_grad=True).add_(1),
               lambda torch: torch.ones(1).expand(3).add_(1))),
    Row("exp", lambda torch, x: x.clone().exp_(), (T((3, 4)),), id="in-place"),
    Row("sigmoid", lambda torch, x: x.clone().sigmoid_(), (T((3, 4)),), id="in-place"),
    # functions of one tensor
    unary("neg"), unary("negative"), unary("exp"), unary("exp2"), unary("expm1"),
    *[unary(n, **POSITIVE) for n in ("log", "log2", "log10", "log1p", "sqrt", "rsqrt", "reciprocal")],
    unary("square"), unary("sin"), unary("cos"), unary("tan", **INSIDE),
    *[unary(n, **INSIDE) for n in ("asin", "arcsin", "acos", "arccos", "atanh", "arctanh", "erfinv")],
    *[unary(n) for n in ("atan", "arctan", "sinh", "cosh", "asinh", "arcsinh", "tanh", "sigmoid", "erf", "erfc")],
    *[unary(n, 1.2, 3.0) for n in ("acosh", "arccosh")],
    unary("lgamma", 0.3, 3.0, tol=1e-8, tol32=1e-4, grad2=False), unary("digamma", 0.3, 3.0, tol=1e-8, tol32=1e-4, grad2=False),
    *[unary(n) for n in ("floor", "ceil", "trunc", "fix", "round", "sign", "frac", "abs", "absolute", "sgn", "relu")],
    Row("round", lambda torch, x: torch.round(x, decimals=1), (T((3, 4)),), id="decimals", tol32=1e-6),
    Row("abs", lambda torch, x: torch.abs(x), (C((3, 4)),), id="complex"),
    Row("sgn", lambda torch, x: torch.sgn(x), (C((3, 4)),), id="complex"),
    Row("exp", lambda torch, x: torch.exp(x), (C((3, 4)),), id="complex"),
    *[Row(n, lambda torch, x, n=n: getattr(torch, n)(x), (I((3, 4), 9, 1),), grad=False, id="int",
          wrong=NOT_A_TENSOR(n))
      for n in ("exp", "sqrt", "sigmoid", "neg", "abs", "square", "sin", "log1p", "relu", "sign", "reciprocal")],
    # comparison and logic
    *[r for n in ("eq", "ne", "lt", "le", "gt", "ge") for r in comparison(n)],
    *[Row(n, lambda torch, x, n=n: getattr(torch, n)(x, 1), (I((4,), 3),), grad=False)
      for n in ("not_equal", "less", "less_equal", "greater", "greater_equal")],
    *[Row(n, lambda torch, x, y, n=n: getattr(torch, n)(x, y), (I((3, 4), 2), B((4,))), grad=False)
      for n in ("logical_and", "logical_or", "logical_xor")],
    Row("logical_not", lambda torch, x: torch.logical_not(x), (I((3, 4), 2),), grad=False),
    *[Row(n, lambda torch, x, y, n=n: getattr(torch, n)(x, y), (I((3, 4), 9), I((4,), 4)), grad=False,
          wrong=(lambda torch, n=n: getattr(torch, n)(torch.ones(2), torch.ones(2)),))
      for n in ("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift")],
    Row("bitwise_not", lambda torch, x: (~x, torch.bitwise_not(x > 1)), (I((3, 4), 9),), grad=False),
    *[Row(n, lambda torch, x, n=n: getattr(torch, n)(torch.log(x) / 0), (T((3, 4), -1, 1),), grad=False)
      for n in ("isnan", "isinf", "isfinite")],
    Row("isclose", lambda torch, x, y: torch.isclose(x, x + y), (T((3, 4)), T((4,), 0, 1e-5)), grad=False),
    Row("allclose", lambda torch, x: torch.allclose(x, x + 1e-9), (T((3, 4)),), grad=False),
    Row("equal", lambda torch, x, y: (torch.equal(x, x), torch.equal(x, y)), (T((3,)), T((4,))), grad=False),
    Row("where", lambda torch, c, x, y: torch.where(c, x, y), (B((3, 4)), T((4,)), T((3, 1))),
        wrong=(lambda torch: torch.where(torch.ones(2), torch.ones(2), torch.ones(2)),)),
    Row("where", lambda torch, c, x: torch.where(c, x, 0), (B((3, 4)), T((3, 4))), id="number"),
    Row("where", lambda torch, c: torch.where(c), (B((3, 4)),), grad=False, id="indices"),
    Row("clamp", lambda torch, x: torch.clamp(x, -1, 1), (T((3, 4)),),
        wrong=(lambda torch: torch.clamp(torch.ones(2)),)),
    Row("clamp", lambda torch, x: torch.clamp(x, max=0.5), (T((3, 4)),), id="max"),
    Row("clamp", lambda torch, x, a, b: torch.clamp(x, a, b), (T((3, 4)), T((4,), -1, 0), T((3, 1), 0, 1)), id="tensors"),
    Row("clip", lambda torch, x: torch.clip(x, 2, 5), (I((3, 4)),), grad=False),
    Row("clamp_min", lambda torch, x: torch.clamp_min(x, 0.1), (T((3, 4)),)),
    Row("clamp_max", lambda torch, x: torch.clamp_max(x, 0.1), (T((3, 4)),)),
    Row("lerp", lambda torch, x, y: torch.lerp(x, y, 0.3), (T((3, 4)), T((4,)))),
    Row("lerp", lambda torch, x, y, w: torch.lerp(x, y, w), (T((3, 4)), T((3, 4)), T((3, 4), 0, 1)), id="tensor"),
    Row("addcmul", lambda torch, x, y, z: torch.addcmul(x, y, z, value=0.5), (T((3, 4)), T((4,)), T((3, 1)))),
    Row("addcdiv", lambda torch, x, y, z: torch.addcdiv(x, y, z, value=0.5), (T((3, 4)), T((4,)), T((3, 1), 1, 2)),
        wrong=(lambda torch: torch.addcdiv(torch.ones(1), torch.tensor([1]), torch.tensor([1])),)),
    Row("nan_to_num", lambda torch, x: torch.nan_to_num(x / 0, nan=1.0), (T((3, 4)),), grad=False),
    # conversion
    Row("to", lambda torch, x: x.to(torch.float32).to(torch.float64), (T((3, 4)),), tol=1e-6, fd=False,
        wrong=(lambda torch: torch.ones(1).to("nowhere"),
               lambda torch: torch.ones(1).to(colour=1))),
    Row("to", lambda torch, x: (x.int(), x.long(), x.bool(), x.half(), x.to("cpu", torch.float64)), (T((3, 4)),),
        grad=False, id="kinds", tol32=1e-3),
    Row("type_as", lambda torch, x, y: x.type_as(y), (T((3, 4)), I((1,))), grad=False),
    Row("clone", lambda torch, x: x.clone(), (T((3, 4)),)),
    Row("contiguous", lambda torch, x: x.t().contiguous(), (T((3, 4)),)),
]  # fmt: skip
