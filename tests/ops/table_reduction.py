"""Reductions, extremes, running sums, softmax and sorting."""

import math

from tests.ops.table import B, C, I, Row, T

X = (T((3, 4)),)
CUBE = (T((2, 3, 4)),)
EMPTY = {"fd": False, "layouts": False}


def each(name, calls, inputs=X, **options):
    """One row per call; the calls take the tensor (or tensors) and nothing else."""
    return [
        Row(name, lambda torch, *xs, call=call: call(*xs), inputs, id=id, **options)
        for id, call in calls.items()
    ]


def reduction(name, wrong=(), several=True, number=True, **options):
    """A reduction over all elements, over one and several dimensions, of a number, and of nothing."""

    def f(x, *args, **kwargs):
        return getattr(x, name)(*args, **kwargs)

    calls = {
        "all": f,
        "dim": lambda x: f(x, 1),
        "negative": lambda x: f(x, -3),
        "keepdim": lambda x: f(x, 0, keepdim=True),
        "axis": lambda x: f(x, dim=-2),
    }
    if several:
        calls |= {
            "dims": lambda x: f(x, (0, 2)),
            "dims-keepdim": lambda x: f(x, [0, -1], keepdim=True),
        }
    out_of_range = (lambda torch: f(torch.zeros(2, 3), 2), lambda torch: f(torch.zeros(2, 3), -3))
    twice = (lambda torch: f(torch.zeros(2, 3), (0, 0)),) if several else ()
    return [
        *each(name, calls, CUBE, wrong=(*out_of_range, *twice, *wrong), **options),
        *each(name, {"0-d": lambda x: f(x, 0)} if number else {}, (T(()),), fd=False, grad2=False, **options),
        *each(name, {"4-D": lambda x: f(x, 1)}, (T((2, 3, 4, 5)),), **options),
    ]


def empty(name, calls, **options):
    """Tensors without elements."""
    return each(name, calls, (T((0, 3)),), **EMPTY, **options)


NOT_INT = lambda name: (lambda torch: getattr(torch, name)(torch.tensor([1, 2])),)
NOT_TENSOR = lambda name: (lambda torch: getattr(torch, name)([1.0], 0),)


def pair(name, wrong=(), **options):
    """An op along one dimension that gives values and indices."""

    def f(x, *args, **kwargs):
        return getattr(x, name)(*args, **kwargs)

    bad = (lambda torch: f(torch.zeros(2), 1), lambda torch: f(torch.zeros(2, 0), (0, 1)))
    return each(
        name,
        {
            "dim": lambda x: f(x, 1),
            "last": lambda x: f(x, -1),
            "first": lambda x: f(x, 0),
            "named": lambda x: (f(x, 1).values, f(x, 1).indices),
        },
        CUBE,
        wrong=(*bad, *wrong),
        **options,
    ) + each(name, {"0-d": lambda x: f(x, 0)}, (T(()),), fd=False, grad2=False, **options)


NAN = float("nan")


def special(name, call, dtypes=("float32",)):
    """A value on fixed numbers: equal ones, nan, infinities."""
    return Row(name, call, grad=False, dtypes=dtypes, id="special", tol=1e-6)


ROWS = [
    # sums and means
    *reduction("sum", wrong=NOT_TENSOR("sum")),
    *reduction("mean", wrong=NOT_INT("mean")),
    *reduction("nansum"),
    *reduction("nanmean", wrong=NOT_INT("nanmean")),
    *empty("sum", {"empty": lambda x: (x.sum(), x.sum(0), x.sum(1))}),
    *empty("mean", {"empty": lambda x: (x.mean(), x.mean(0), x.mean(1))}, grad=False),
    Row(
        "sum",
        lambda torch, x: (x.sum(), x.sum(0), torch.sum(x, (0, 1), dtype=torch.float32)),
        (I((3, 4)),),
        grad=False,
        id="int",
    ),
    Row(
        "sum",
        lambda torch, x: (x.sum(), x.sum(1, dtype=torch.int32), x.sum(dim=[])),
        (B((3, 4)),),
        grad=False,
        id="bool",
    ),
    Row("sum", lambda torch, x: torch.sum(x, dim=None, keepdim=True), X, id="keepdim"),
    Row("sum", lambda torch, x: x.sum(axis=0, keepdims=True), X, id="names"),
    Row("sum", lambda torch, x: x.float().sum(dtype=torch.float64), X, id="dtype", tol=1e-6, fd=False),
    Row("sum", lambda torch, x: (x.sum(0), x.sum()), (C((3, 4)),), id="complex"),
    Row("sum", lambda torch, x: torch.sum(x, 0, out=torch.empty(4, dtype=x.dtype)), X, grad=False, id="out"),
    Row("mean", lambda torch, x: x.mean(dtype=torch.float64), (I((3, 4)),), grad=False, id="dtype"),
    Row("mean", lambda torch, x: (x.mean(0), x.mean()), (C((3, 4)),), id="complex"),
    special(
        "nansum", lambda torch: (torch.tensor([1.0, NAN, 2.0]).nansum(), torch.tensor([[1, 2]]).nansum(0))
    ),
    special("nanmean", lambda torch: torch.tensor([[1.0, NAN], [3.0, 4.0]]).nanmean(1)),
    # products
    *reduction("prod", several=False, wrong=(lambda torch: torch.zeros(2).prod((0,)),)),
    Row("prod", lambda torch, x: (x * torch.tensor([0.0, 1, 1, 1]).to(x.dtype)).prod(1), X, id="zero"),
    Row("prod", lambda torch, x: (x * torch.tensor([0.0, 1, 0, 1]).to(x.dtype)).prod(1), X, id="zeros"),
    Row("prod", lambda torch, x: (x * torch.tensor([0.0, 1, 1, 1]).to(x.dtype))[0].prod(), X, id="zero-all"),
    Row(
        "prod",
        lambda torch, x: (x.prod(), x.prod(0), x.int().prod(1), x.prod(dtype=torch.float32)),
        (I((3, 4), 4, 1),),
        grad=False,
        id="int",
    ),
    *empty("prod", {"empty": lambda x: (x.prod(), x.prod(0), x.prod(1))}, grad=False),
    # variances
    *reduction("var", wrong=NOT_INT("var"), number=False),
    *reduction("std", wrong=NOT_INT("std"), number=False),
    *[
        Row(
            name,
            lambda torch, x, name=name: (
                getattr(x, name)(False),
                getattr(x, name)(0, False, True),
                getattr(x, name)(1, correction=0),
                getattr(x, name)(correction=2),
            ),
            X,
            id="correction",
        )
        for name in ("var", "std")
    ],
    *[
        Row(
            name,
            lambda torch, x, name=name: (
                getattr(torch, name)(x),
                getattr(torch, name)(x, 0),
                getattr(torch, name)(x, (0, 1), correction=0, keepdim=True),
            ),
            X,
            wrong=NOT_INT(name),
        )
        for name in ("var_mean", "std_mean")
    ],
    Row("var", lambda torch, x: (x.var(0), x.std()), (C((3, 4)),), grad=False, id="complex"),
    # truth
    *[
        Row(
            name,
            lambda torch, x, name=name: (
                getattr(x, name)(),
                getattr(x, name)(0),
                getattr(x, name)((0, 1)),
                getattr(torch, name)(x.byte(), 1, True),
                getattr(x, name)(axis=0),
            ),
            (I((3, 4), 2),),
            grad=False,
            wrong=(lambda torch, name=name: getattr(torch.ones(2), name)(2),),
        )
        for name in ("all", "any")
    ],
    Row(
        "count_nonzero",
        lambda torch, x: (x.count_nonzero(), x.count_nonzero(0), x.count_nonzero((0, 1))),
        (I((3, 4), 2),),
        grad=False,
        wrong=(lambda torch: torch.ones(2).count_nonzero(1),),
    ),
    # logsumexp and softmax
    *[r for r in reduction("logsumexp") if r.id != "all"],
    Row("logsumexp", lambda torch, x: torch.logsumexp(x, 1), (I((3, 4)),), grad=False, id="int"),
    special(
        "logsumexp",
        lambda torch: torch.tensor([[math.inf, 1.0], [-math.inf, -math.inf], [1e3, 1e3]]).logsumexp(1),
    ),
    *empty("logsumexp", {"empty": lambda x: (x.logsumexp(0), x.logsumexp(1))}, grad=False),
    *[
        r
        for name in ("softmax", "log_softmax")
        for r in [
            *each(
                name,
                {
                    "0": lambda x, name=name: getattr(x, name)(0),
                    "1": lambda x, name=name: getattr(x, name)(1),
                    "-1": lambda x, name=name: getattr(x, name)(-1),
                },
                CUBE,
                wrong=(
                    lambda torch, name=name: getattr(torch.ones(2), name)(1),
                    lambda torch, name=name: getattr(torch.ones(2).long(), name)(0),
                    lambda torch, name=name: getattr(torch, name)("x", 0),
                ),
            ),
            Row(name, lambda torch, x, name=name: getattr(torch, name)(x, 1), (T((2, 3, 4, 5)),), id="4-D"),
            Row(
                name,
                lambda torch, x, name=name: getattr(torch, name)(x, 0, dtype=torch.float64),
                (I((3, 4)),),
                grad=False,
                id="dtype",
            ),
            Row(
                name,
                lambda torch, x, name=name: getattr(torch, name)(x, 0),
                (T(()),),
                id="0-d",
                fd=False,
                grad2=False,
            ),
            special(
                name,
                lambda torch, name=name: getattr(
                    torch.tensor([[1e4, -1e4, 0.0], [-math.inf, 1.0, 2.0]]), name
                )(1),
            ),
            *empty(name, {"empty": lambda x, name=name: getattr(x, name)(1)}, grad=False),
        ]
    ],
    # largest and smallest
    *[
        r
        for name in ("max", "min")
        for r in [
            *pair(
                name,
                wrong=(
                    lambda torch, name=name: getattr(torch.zeros(0), name)(),
                    lambda torch, name=name: getattr(torch.zeros(0, 2), name)(0),
                    lambda torch, name=name: getattr(torch.ones(2), name)(0, 2),
                ),
            ),
            *each(
                name,
                {
                    "all": lambda x, name=name: getattr(x, name)(),
                    "keepdim": lambda x, name=name: getattr(x, name)(0, True),
                },
            ),
            Row(
                name,
                lambda torch, x, y, name=name: (getattr(torch, name)(x, y), getattr(x, name)(other=y)),
                (T((3, 4)), T((4,))),
                id="other",
                wrong=(lambda torch, name=name: getattr(torch, name)(torch.ones(2), torch.ones(3)),),
            ),
            Row(name, lambda torch, x, name=name: getattr(x * 0, name)() + x.sum(), X, id="ties"),
            Row(
                name,
                lambda torch, x, name=name: (
                    getattr(x, name)(),
                    getattr(x, name)(1),
                    getattr(x > 3, name)(0),
                ),
                (I((3, 4)),),
                grad=False,
                id="int",
            ),
            special(
                name,
                lambda torch, name=name: (
                    getattr(torch.tensor([1.0, NAN, 2.0]), name)(),
                    getattr(torch.tensor([[1.0, NAN], [3.0, 3.0]]), name)(1),
                ),
            ),
        ]
    ],
    *[
        r
        for name in ("amax", "amin")
        for r in [
            *reduction(name, wrong=(lambda torch, name=name: getattr(torch.zeros(0), name)(),)),
            Row(
                name,
                lambda torch, x, name=name: getattr(
                    (x > 0).to(x.dtype) * x.detach().sign() + x - x.detach(), name
                )(0),
                X,
                id="ties",
                fd=False,
            ),
        ]
    ],
    *each(
        "aminmax",
        {
            "all": lambda x: x.aminmax(),
            "dim": lambda x: x.aminmax(dim=1),
            "keepdim": lambda x: x.aminmax(dim=0, keepdim=True).max,
        },
        wrong=(lambda torch: torch.zeros(0).aminmax(),),
    ),
    *[
        Row(
            name,
            lambda torch, x, name=name: (
                getattr(x, name)(),
                getattr(x, name)(1),
                getattr(x, name)(0, True),
                getattr(x, name)(keepdim=True),
            ),
            X,
            grad=False,
            wrong=(
                lambda torch, name=name: getattr(torch.ones(2), name)(1),
                lambda torch, name=name: getattr(torch.ones(0), name)(),
                lambda torch, name=name: getattr(torch.ones(2).bool(), name)(),
                lambda torch, name=name: getattr(torch.ones(0, 2), name)(0),
            ),
        )
        for name in ("argmax", "argmin")
    ],
    *[
        Row(
            name,
            lambda torch, x, name=name: (getattr(x, name)(), getattr(x, name)(1)),
            (T((2, 3, 4, 5)),),
            grad=False,
            id="4-D",
        )
        for name in ("argmax", "argmin")
    ],
    *[
        special(
            name,
            lambda torch, name=name: (
                getattr(torch.tensor([1.0, NAN, 2.0]), name)(),
                getattr(torch.tensor([[2, 2], [1, 1]]), name)(1),
            ),
        )
        for name in ("argmax", "argmin")
    ],
    # medians
    *[
        r
        for name in ("median", "nanmedian")
        for r in [
            *pair(name),
            *each(
                name,
                {
                    "all": lambda x, name=name: getattr(x, name)(),
                    "keepdim": lambda x, name=name: getattr(x, name)(0, True),
                },
            ),
            special(
                name,
                lambda torch, name=name: (
                    getattr(torch.tensor([[1.0, NAN, 3.0, 2.0], [1.0, 5.0, 3.0, 2.0]]), name)(1),
                    getattr(torch.tensor([4.0, NAN, 3.0]), name)(),
                    getattr(torch.tensor([3, 1, 2, 5]), name)(),
                ),
            ),
        ]
    ],
    *each(
        "mode",
        {"last": lambda x: x.round().mode(), "dim": lambda x: x.round().mode(0, True)},
        (I((3, 5), 3, 0, "float64"),),
        grad=False,
        dtypes=("float64",),
    ),
    *each("mode", {"gradient": lambda x: x.mode(0)}, X, wrong=(lambda torch: torch.zeros(0, 2).mode(0),)),
    # so far
    *[
        r
        for name in ("cummax", "cummin")
        for r in [
            *pair(name)[:3],
            special(
                name, lambda torch, name=name: getattr(torch.tensor([1.0, 1.0, 3.0, NAN, 2.0, NAN]), name)(0)
            ),
            Row(
                name,
                lambda torch, x, name=name: getattr(torch, name)(x, 0),
                (I((6,), 3),),
                grad=False,
                id="int",
            ),
        ]
    ],
    *[
        r
        for name in ("cumsum", "cumprod", "logcumsumexp")
        for r in [
            *each(
                name,
                {
                    "0": lambda x, name=name: getattr(x, name)(0),
                    "-1": lambda x, name=name: getattr(x, name)(-1),
                },
                CUBE,
                wrong=(
                    lambda torch, name=name: getattr(torch.ones(2), name)(1),
                    lambda torch, name=name: getattr(torch.ones(2), name)(),
                ),
            ),
            Row(
                name,
                lambda torch, x, name=name: getattr(x, name)(0),
                (T(()),),
                id="0-d",
                fd=False,
                grad2=False,
            ),
            *empty(name, {"empty": lambda x, name=name: getattr(x, name)(0)}, grad=False),
        ]
    ],
    Row(
        "cumsum",
        lambda torch, x: (
            x.cumsum(0),
            x.int().cumsum(1),
            (x > 1).cumsum(0),
            x.cumsum(0, dtype=torch.float32),
        ),
        (I((3, 4)),),
        grad=False,
        id="int",
    ),
    Row("cumsum", lambda torch, x: x.clone().cumsum_(0), X, id="in-place"),
    Row("cumprod", lambda torch, x: (x * torch.tensor([1.0, 0, 1, 1]).to(x.dtype)).cumprod(1), X, id="zero"),
    Row("cumprod", lambda torch, x: (x * torch.tensor([0.0, 1, 0, 1]).to(x.dtype)).cumprod(1), X, id="zeros"),
    Row("logcumsumexp", lambda torch, x: torch.logcumsumexp(x * 200, 0), X, id="large", tol=1e-8),
    *each(
        "diff",
        {
            "once": lambda x: x.diff(),
            "twice": lambda x: x.diff(2, 0),
            "none": lambda x: x.diff(0),
            "many": lambda x: x.diff(9),
            "joined": lambda x: x.diff(dim=0, prepend=x[:1], append=x[:2]),
        },
        wrong=(lambda torch: torch.tensor(1.0).diff(), lambda torch: torch.ones(2).diff(-1)),
    ),
    Row("diff", lambda torch, x: (x > 4).diff(), (I((9,)),), grad=False, id="bool"),
    # order
    *pair("sort"),
    *each(
        "sort",
        {
            "descending": lambda x: x.sort(0, True),
            "stable": lambda x: x.sort(dim=1, stable=True, descending=True),
        },
    ),
    special(
        "sort",
        lambda torch: [
            torch.sort(torch.tensor([2.0, NAN, 1.0, 2.0, 1.0]), descending=d, stable=True)
            for d in (False, True)
        ],
    ),
    Row(
        "argsort",
        lambda torch, x: (x.argsort(), x.argsort(0), torch.argsort(x, 1, True), x.argsort(stable=True)),
        X,
        grad=False,
        wrong=(lambda torch: torch.ones(2).argsort(1),),
    ),
    *each("msort", {"": lambda x: x.msort()}),
    *each(
        "topk",
        {
            "last": lambda x: x.topk(2),
            "smallest": lambda x: x.topk(2, 0, largest=False),
            "one": lambda x: x.topk(1, 1),
            "none": lambda x: x.topk(0).values.sum() + x.sum(),
        },
        wrong=(
            lambda torch: torch.ones(2).topk(3),
            lambda torch: torch.ones(2).topk(-1),
            lambda torch: torch.ones(2).topk(1, 1),
            lambda torch: torch.ones(2).bool().topk(1),
        ),
    ),
    *each(
        "topk",
        {"wide": lambda x: x.topk(3), "wide-smallest": lambda x: x.topk(3, largest=False)},
        (T((3, 50)),),
    ),
    *each(
        "kthvalue",
        {"last": lambda x: x.kthvalue(2), "first": lambda x: x.kthvalue(3, 0, True)},
        wrong=(
            lambda torch: torch.ones(2).kthvalue(3),
            lambda torch: torch.ones(2).kthvalue(0),
            lambda torch: torch.ones(2, 0).kthvalue(1, 1),
        ),
    ),
    *each(
        "quantile",
        {
            "all": lambda x: x.quantile(0.3),
            "dim": lambda x: x.quantile(0.5, 1),
            "keepdim": lambda x: x.quantile(0.9, 0, True),
            "keep-all": lambda x: x.quantile(0.9, keepdim=True),
        },
        wrong=(
            lambda torch: torch.ones(2).quantile(1.5),
            lambda torch: torch.tensor([1]).quantile(0.5),
            lambda torch: torch.ones(0).quantile(0.5),
            lambda torch: torch.ones(2).quantile(0.5, interpolation="x"),
        ),
    ),
    Row(
        "quantile",
        lambda torch, x: x.quantile(torch.tensor([0.0, 0.4, 1.0]).to(x.dtype), 1),
        CUBE,
        id="several",
    ),
    *each(
        "quantile",
        {
            how: lambda x, how=how: x.quantile(0.37, 1, interpolation=how)
            for how in ("linear", "lower", "higher", "midpoint", "nearest")
        },
    ),
    *each("nanquantile", {"": lambda x: x.nanquantile(0.5, 1)}),
    special(
        "nanquantile",
        lambda torch: (
            torch.tensor([[1.0, NAN, 3.0], [NAN, NAN, NAN]]).nanquantile(0.5, 1),
            torch.tensor([1.0, NAN, 3.0]).quantile(0.5),
        ),
    ),
    Row(
        "searchsorted",
        lambda torch, x, y: (
            torch.searchsorted(x[0].sort().values, y),
            torch.searchsorted(x.sort(1).values, y, right=True),
            torch.searchsorted(x[0].sort().values, 0.5, side="right", out_int32=True),
            torch.searchsorted(x, y, sorter=x.argsort(1)),
        ),
        (T((3, 4)), T((3, 2))),
        grad=False,
        wrong=(
            lambda torch: torch.searchsorted(torch.ones(2, 3), torch.ones(2)),
            lambda torch: torch.searchsorted(torch.ones(2), torch.ones(2), side="up"),
        ),
    ),
    Row(
        "bucketize",
        lambda torch, x, y: (
            torch.bucketize(x, y.sort().values),
            torch.bucketize(1.0, y.sort().values, right=True),
        ),
        (T((3, 4)), T((5,))),
        grad=False,
        wrong=(lambda torch: torch.bucketize(torch.ones(2), torch.ones(2, 2)),),
    ),
    Row(
        "bincount",
        lambda torch, x, w: (x.bincount(), x.bincount(w), torch.bincount(x, minlength=20)),
        (I((9,)), T((9,))),
        grad=False,
        wrong=(
            lambda torch: torch.bincount(torch.tensor([-1])),
            lambda torch: torch.bincount(torch.ones(2)),
            lambda torch: torch.bincount(torch.tensor([[1]])),
        ),
    ),
    Row(
        "histc",
        lambda torch, x: (x.histc(), x.histc(5), x.histc(4, -1, 1), (x * 0).histc(3)),
        (T((30,)),),
        grad=False,
        wrong=(
            lambda torch: torch.tensor([1]).histc(),
            lambda torch: torch.ones(2).histc(4, 1, 0),
            lambda torch: torch.ones(2).histc(0),
        ),
    ),
    Row(
        "isin",
        lambda torch, x, y: (torch.isin(x, y), torch.isin(x, 3), torch.isin(x, y, invert=True)),
        (I((3, 4)), I((3,))),
        grad=False,
    ),
]
