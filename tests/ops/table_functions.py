"""Functions of two numbers, parts replaced in copies, statistics, sampled functions."""

from tests.ops.table import B, C, I, Row, T
from tests.ops.table_elementwise import MISMATCH, NOT_A_TENSOR

M = T((3, 4))


def two(name, **options):
    """A function of two real tensors, which broadcast."""
    call = lambda torch, x, y: getattr(torch, name)(x, y)
    return [
        Row(name, call, (T((3, 4)), T((3, 4))), id="same", **options),
        Row(name, call, (T((2, 3, 4)), T((3, 1))), id="broadcast", wrong=MISMATCH(name), **options),
        Row(name, call, (T((3, 4)), T(())), id="0-d", **options),
        Row(name, call, (T((0, 4)), T((4,))), id="empty", **{"fd": False, **options}),
    ]


def one(name, *inputs, id="", **options):
    """A function of one tensor and its method."""
    return Row(name, lambda torch, x: getattr(torch, name)(x), inputs or (M,), id=id, **options)


def whole(name):
    """A function of two integer tensors."""
    call = lambda torch, x, y: getattr(torch, name)(x, y)
    return [
        Row(name, call, (I((3, 4), 30), I((4,), 30)), grad=False, id="int64"),
        Row(name, call, (I((3, 4), 30, 0, "uint8"), I((4,), 30, 0, "int32")), grad=False, id="mixed",
            wrong=(lambda torch: getattr(torch, name)(torch.ones(2), torch.ones(2)),)),
    ]  # fmt: skip


ROWS = [
    *two("copysign", fd=False, grad2=False),
    Row("copysign", lambda torch, x: torch.copysign(x, -1), (I((3,)),), grad=False, id="int-number"),
    *two("logaddexp"),
    *two("logaddexp2", grad2=True),
    Row("logaddexp", lambda torch, x, y: torch.logaddexp(x, y), (C((3,)), C((3,))), id="complex", fd=False, layouts=False),
    *two("heaviside", grad=False),
    *two("nextafter", grad=False),
    *whole("gcd"),
    *whole("lcm"),
    Row("ldexp", lambda torch, x, n: torch.ldexp(x, n), (M, I((4,), 5)), wrong=NOT_A_TENSOR("ldexp")),
    Row("float_power", lambda torch, x: torch.float_power(x, 3), (T((3, 4), 0.2, 2),)),
    Row("float_power", lambda torch, x: torch.float_power(2.0, x), (I((3,), 4),), grad=False, id="number-base"),
    one("deg2rad"),
    one("rad2deg"),
    one("deg2rad", I((3,)), id="int", grad=False),
    one("positive", wrong=(lambda torch: torch.positive(torch.tensor([True])),)),
    one("isreal", C((3,)), grad=False),
    one("isposinf", grad=False),
    one("isneginf", grad=False),
    one("signbit", grad=False),
    one("signbit", I((3,), 5, -5), id="int", grad=False),
    one("angle", C((3, 4)), fd=False),
    one("angle", M, id="real"),
    one("angle", I((3,), 5, -5), id="int", grad=False),
    Row("frexp", lambda torch, x: torch.frexp(x), (T((3, 4), 0.3, 2),), fd=False),
    Row("select_scatter", lambda torch, x, s: torch.select_scatter(x, s, 1, -1), (M, T((3,))),
        wrong=(lambda torch: torch.select_scatter(torch.ones(2, 2), torch.ones(3), 0, 0),)),
    Row("slice_scatter", lambda torch, x, s: torch.slice_scatter(x, s, 1, 0, 4, 2), (M, T((3, 2))),
        wrong=(lambda torch: torch.slice_scatter(torch.ones(2, 2), torch.ones(3, 2)),)),
    Row("diagonal_scatter", lambda torch, x, s: torch.diagonal_scatter(x, s, 1), (M, T((3,))),
        wrong=(lambda torch: torch.diagonal_scatter(torch.ones(2, 2), torch.ones(3)),)),
    # PyTorch's gradient of the input ignores the offset, and differs from finite differences; ours doesn't.
    Row("as_strided_scatter", lambda torch, x, s: torch.as_strided_scatter(x, s, (2, 2), (4, 1), 1), (M, T((2, 2))),
        grad=False, layouts=False),
    Row("narrow_copy", lambda torch, x: x.narrow_copy(1, 1, 2), (M,)),
    Row("unsafe_chunk", lambda torch, x: torch.unsafe_chunk(x, 3, 1), (M,)),
    Row("unsafe_split", lambda torch, x: torch.unsafe_split(x, 3, 1), (M,)),
    Row("unsafe_split_with_sizes", lambda torch, x: torch.unsafe_split_with_sizes(x, [1, 3], 1), (M,)),
    # PyTorch has no second derivative of it, and multiplies groups in bfloat16 only.
    Row("segment_reduce", lambda torch, x: torch.segment_reduce(x, "mean", lengths=torch.tensor([1, 2])), (M,),
        grad2=False),
    Row("grouped_mm", lambda torch, x, w: torch.nn.functional.grouped_mm(x.bfloat16(), w.bfloat16()).float(),
        (T((2, 3, 8)), T((2, 8, 8))), tol=2e-2, tol32=2e-2, fd=False, grad2=False, layouts=False),
    Row("index_reduce", lambda torch, x, i, s: x.index_reduce(0, i, s, "prod"), (M, I((2,), 3), T((2, 4))), id="prod",
        wrong=(lambda torch: torch.ones(2).index_reduce(0, torch.tensor([0]), torch.ones(1), "sum"),)),
    Row("index_reduce", lambda torch, x, i, s: x.index_reduce(1, i, s, "mean", include_self=False),
        (M, I((2,), 4), T((3, 2))), id="mean"),
    Row("index_reduce", lambda torch, x, i, s: x.clone().index_reduce_(0, i, s, "amax"), (M, I((2,), 3), T((2, 4))),
        id="in-place"),
    Row("nonzero_static", lambda torch, x: torch.nonzero_static(x, size=5, fill_value=7), (I((3, 4), 2),), grad=False,
        layouts=False, wrong=(lambda torch: torch.nonzero_static(torch.ones(2), size=-1),)),
    Row("unravel_index", lambda torch, x: torch.unravel_index(x, (3, 4)), (I((5,), 12),), grad=False,
        wrong=(lambda torch: torch.unravel_index(torch.tensor([1.0]), (3, 4)),)),
    Row("empty_permuted", lambda torch: torch.empty_permuted((2, 3, 4), (0, 2, 1)).fill_(1), (), grad=False),
    one("cov", M, tol=1e-8),
    Row("cov", lambda torch, x, f, a: torch.cov(x, correction=0, fweights=f, aweights=a), (M, I((4,), 4, 1), T((4,), 0.1, 1, False)),
        id="weights", wrong=(lambda torch: torch.cov(torch.ones(2, 2, 2)), lambda torch: torch.cov(torch.ones(2, 2), fweights=torch.ones(3)))),
    one("cov", T((5,)), id="one"),
    one("corrcoef", M, wrong=(lambda torch: torch.corrcoef(torch.ones(2, 2, 2)),)),
    Row("histogram", lambda torch, x: torch.histogram(x, 4, range=(-1.0, 1.0)), (T((30,), grad=False),), grad=False,
        wrong=(lambda torch: torch.histogram(torch.ones(2), 0), lambda torch: torch.histogram(torch.ones(2).long(), 2))),
    Row("histogram", lambda torch, x, w: torch.histogram(x, torch.tensor([-2.0, 0.0, 2.0], dtype=x.dtype), weight=w, density=True),
        (T((30,), grad=False), T((30,), 0, 1, False)), grad=False, id="edges"),
    Row("histogramdd", lambda torch, x: torch.histogramdd(x, [3, 2]), (T((20, 2), grad=False),), grad=False,
        wrong=(lambda torch: torch.histogramdd(torch.ones(2), [1]),)),
    Row("trapezoid", lambda torch, y, x: torch.trapezoid(y, x), (M, T((4,)))),
    Row("trapz", lambda torch, y: torch.trapz(y), (M,)),
    Row("trapezoid", lambda torch, y: torch.trapezoid(y, dx=0.5, dim=0), (M,), id="dx"),
    Row("cumulative_trapezoid", lambda torch, y, x: torch.cumulative_trapezoid(y, x), (M, T((3, 4)))),
    Row("gradient", lambda torch, x: torch.gradient(x, spacing=0.5, edge_order=2), (T((4, 4)),),
        wrong=(lambda torch: torch.gradient(torch.ones(1)), lambda torch: torch.gradient(torch.ones(3), edge_order=3))),
    Row("gradient", lambda torch, x, at: torch.gradient(x, spacing=(at,), dim=1), (M, T((4,), 1, 3)), id="uneven"),
    Row("renorm", lambda torch, x: torch.renorm(x, 2, 0, 1.0), (M,),
        wrong=(lambda torch: torch.renorm(torch.ones(2), 2, 0, 1), lambda torch: torch.renorm(torch.ones(2, 2), 0, 0, 1))),
    Row("masked_scatter", lambda torch, x, m, s: x.masked_scatter(m, s), (T((4,)), B((3, 4)), T((12,))), id="expanded"),
    Row("quantile", lambda torch, x, q: torch.quantile(x, q, dim=1), (M, T((2,), 0.1, 0.9)), id="shares"),
    Row("take_along_dim", lambda torch, x: x.take_along_dim(torch.tensor([[-1, 0]]), 1), (M,), id="negative"),
    Row("conv_transpose2d", lambda torch, x, w: torch.conv_transpose2d(x, w, None, (3, 2), (1, 2), (2, 3), 2, (4, 4)),
        (T((1, 2, 4, 4)), T((2, 2, 4, 5))), id="large-output-padding"),
]  # fmt: skip
ROWS += [
    Row("is_same_size", lambda torch, x, y: torch.is_same_size(x, y), (M, M), grad=False),
    Row("is_nonzero", lambda torch, x: torch.is_nonzero(x), (T((1,)),), grad=False,
        wrong=(lambda torch: torch.is_nonzero(torch.ones(2)),)),
    Row("is_inference", lambda torch, x: torch.is_inference(x), (M,), grad=False),
]  # fmt: skip
ROWS += [
    Row("addmm", lambda torch, a, x, y: torch.addmm(a, x, y, beta=0.6 + 0.2j, alpha=0.1 + 0.3j), (C((2, 4)), C((2, 3)), C((3, 4))),
        id="complex-factors", fd=False, layouts=False),
    Row("addmv", lambda torch, a, x, y: torch.addmv(a, x, y, beta=0.5, alpha=2.5), (I((2,)), I((2, 3)), I((3,))),
        id="int", grad=False),
    Row("addbmm", lambda torch, a, x, y: torch.addbmm(a, x, y), (I((2, 2), 9, 0, "int32"), I((2, 2, 3), 9, 0, "int32"),
        I((2, 3, 2), 9, 0, "int32")), id="int32", grad=False),
    Row("addr", lambda torch, a, x, y: torch.addr(a, x, y), (B((2, 3)), B((2,)), B((3,))), id="bool", grad=False),
    Row("linspace", lambda torch: torch.linspace(0, 7, 50, dtype=torch.int64), (), id="int", grad=False),
    Row("logspace", lambda torch: torch.logspace(0, 1.2, 2, dtype=torch.int64), (), id="int", grad=False),
]  # fmt: skip
ROWS += [
    Row("vander", lambda torch, x: torch.vander(x), (T((4,)),), grad=False, wrong=(lambda torch: torch.vander(torch.ones(2, 2)),)),
    Row("vander", lambda torch, x: torch.vander(x, 3, increasing=True), (I((4,)),), id="increasing", grad=False),
]  # fmt: skip
