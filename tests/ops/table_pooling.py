"""Pooling of every kind."""

from tests.ops.functional import F
from tests.ops.table import I, Row, T


def pool(name, shape, *args, id="", inputs=None, **options):
    """One pooling of an input of this shape."""
    settings = {
        k: options.pop(k)
        for k in tuple(options)
        if k not in ("grad", "grad2", "fd", "wrong", "tol32", "dtypes")
    }

    def call(torch, x):
        return getattr(F(torch), name)(x, *args, **settings)

    return Row(name, call, inputs or (T(shape),), id=id, **options)


def calls(name, *cases):
    """Calls that must fail: a shape, and the arguments."""
    return tuple(
        lambda torch, shape=shape, args=args: getattr(F(torch), name)(torch.zeros(shape), *args)
        for shape, *args in cases
    )


X = (1, 3, 5, 5)
SPATIAL = {1: (9,), 2: (7, 8), 3: (5, 6, 4)}


def max_pools(n):
    """Largest elements over n dimensions."""
    name, batch, one = f"max_pool{n}d", (2, 3, *SPATIAL[n]), (3, *SPATIAL[n])
    return [
        pool(name, batch, 2, id="plain"), pool(name, one, 3, 1, 1, id="unbatched"),
        pool(name, batch, 2, 3, 1, id="padding", ceil_mode=True),
        pool(name, batch, 2, 2, 0, 2, id="dilation"),
        pool(name, batch, 2, id="indices", return_indices=True, stride=[2] * n),
        pool(name, one, (3, 2, 2)[:n], id="unbatched-indices", return_indices=True),
        pool(name, (0, 3, *SPATIAL[n]), 2, id="empty", fd=False),
    ]  # fmt: skip


def avg_pools(n):
    """Means over n dimensions."""
    name, batch, one = f"avg_pool{n}d", (2, 3, *SPATIAL[n]), (3, *SPATIAL[n])
    return [
        pool(name, batch, 2, id="plain"), pool(name, one, 3, 1, 1, id="unbatched"),
        pool(name, batch, 3, 2, 1, id="ceil", ceil_mode=True, count_include_pad=True),
        pool(name, batch, 3, 2, 1, id="exclude", ceil_mode=True, count_include_pad=False),
        pool(name, (0, 3, *SPATIAL[n]), 2, id="empty", fd=False),
    ]  # fmt: skip


def adaptive_pools(n):
    """As many windows as wanted."""
    batch, one, sizes = (2, 3, *SPATIAL[n]), (3, *SPATIAL[n]), (4, 3, 2)[:n]
    rows = []
    for kind in ("avg", "max"):
        name = f"adaptive_{kind}_pool{n}d"
        rows += [
            pool(name, batch, sizes if n > 1 else 4, id="plain"), pool(name, one, 3, id="unbatched"),
            pool(name, batch, 1, id="one"), pool(name, batch, list(sizes), id="list"),
            pool(name, batch, (*SPATIAL[n],) if n == 1 else (None, *sizes[1:]), id="same"),
            pool(name, (0, 3, *SPATIAL[n]), 2, id="empty", fd=False),
        ]  # fmt: skip
    rows.append(pool(f"adaptive_max_pool{n}d", batch, 3, id="indices", return_indices=True))
    return rows


def unpool(n):
    """Values put back where a pooling found them."""
    name, shape = f"max_unpool{n}d", (2, 2, *(4, 6, 4)[:n])

    def call(torch, x, **settings):
        values, indices = getattr(F(torch), f"max_pool{n}d")(x, 2, return_indices=True)
        return getattr(F(torch), name)(values, indices, 2, **settings)

    size = tuple(s + 1 for s in shape[2:])
    return [
        Row(name, call, (T(shape),), id="plain"), Row(name, call, (T(shape[1:]),), id="unbatched"),
        Row(name, lambda torch, x: call(torch, x, output_size=size), (T(shape),), id="size"),
    ]  # fmt: skip


def fractional(n):
    """Windows at random places: given numbers, then PyTorch's random stream."""
    name, shape = f"fractional_max_pool{n}d", (2, 3, *SPATIAL[n])
    samples = T((2, 3, n), 0.0, 1.0, grad=False)

    def given(torch, x, numbers):
        return getattr(F(torch), name)(
            x, 2, output_size=(3, 3, 2)[:n], return_indices=True, _random_samples=numbers
        )

    def drawn(torch, x):
        torch.manual_seed(3)
        found = getattr(F(torch), name)(x, (2, 3, 2)[:n], output_ratio=(0.5, 0.4, 0.5)[:n])
        return found, getattr(F(torch), name + "_with_indices")(x, 1, (2, 3, 1)[:n])

    return [
        Row(name, given, (T(shape), samples), id="given"),
        Row(name, drawn, (T(shape),), fd=False, layouts=False, id="drawn"),
        Row(name, drawn, (T(shape[1:]),), fd=False, layouts=False, id="unbatched"),
        pool(name, shape, 1, 2, grad=False, id="wrong", wrong=calls(
            name, (shape, 2), (shape, 9, 3), ((5, *shape), 2, 2), (shape, 2, (2, 2, 2, 2)))),
    ]  # fmt: skip


def _special(torch):
    x = torch.tensor([[[1.0, float("nan"), 3.0, float("-inf"), float("-inf"), float("inf"), 2.0, 2.0]]])
    x4 = x.reshape(1, 1, 2, 4)
    f = F(torch)
    return (
        f.max_pool1d(x, 2),
        f.max_pool2d(x4, 2, return_indices=True),
        f.avg_pool1d(x, 2),
        f.adaptive_max_pool2d(x4, 2),
    )


def _indices(torch, *values):
    return torch.tensor(values).reshape(1, 1, 1, -1)


ROWS = [
    *[row for n in (1, 2, 3) for make in (max_pools, avg_pools, adaptive_pools, unpool) for row in make(n)],
    *[Row(f"max_pool{n}d_with_indices",
          lambda torch, x, n=n: getattr(F(torch), f"max_pool{n}d_with_indices")(x, 2),
          (T((2, 3, *SPATIAL[n])),)) for n in (1, 2, 3)],
    *[Row(f"adaptive_max_pool{n}d_with_indices",
          lambda torch, x, n=n: getattr(F(torch), f"adaptive_max_pool{n}d_with_indices")(x, 2),
          (T((2, 3, *SPATIAL[n])),)) for n in (1, 2, 3)],
    *fractional(2), *fractional(3),
    *[Row(f"fractional_max_pool{n}d_with_indices", lambda torch, x, r, n=n: getattr(F(torch),
        f"fractional_max_pool{n}d_with_indices")(x, 2, 2, _random_samples=r),
        (T((2, 3, *SPATIAL[n])), T((2, 3, n), 0.0, 1.0, grad=False))) for n in (2, 3)],
    Row("max_pool2d", _special, grad=False, id="special", dtypes=("float32",), tol=1e-6),
    pool("max_pool2d", (), 2, id="int", inputs=(I((1, 2, 4, 4)),), grad=False),
    pool("avg_pool2d", (2, 3, 6, 6), 3, 2, 1, False, True, 4, id="divisor"),
    pool("avg_pool3d", (1, 2, 4, 4, 4), 2, id="divisor", divisor_override=3),
    pool("avg_pool2d", (2, 3, 6, 7), (3, 2), (2, 1), (1, 0), id="tuples"),
    pool("max_pool2d", X, 2, id="wrong", wrong=calls(
        "max_pool2d", (X, 6), ((5, 5), 2), (X, 2, 2, 2), (X, 0), (X, 2, 0), (X, 2, 2, 0, 0), (X, (2, 2, 2)),
        ((1, 0, 5, 5), 2), ((1, 3, 0, 5), 2), (X, "2"))),
    pool("max_pool1d", (1, 3, 5), 2, id="wrong", wrong=(
        *calls("max_pool1d", ((5,), 2), ((1, 3, 5), 9), ((1, 3, 5), 2, 2, 2), ((1, 3, 5), 0), ((1, 3, 5), 2,
            0)),
        lambda torch: F(torch).max_pool1d(torch.zeros(1, 3, 5).long(), 2),
        lambda torch: F(torch).max_pool2d(torch.zeros(1, 3, 5) > 0, 2))),
    pool("avg_pool2d", X, 2, id="wrong", wrong=(
        *calls("avg_pool2d", (X, 6), (X, 2, 2, 2), (X, 2, 0), (X, 2, None, 0, False, True, 0)),
        *calls("avg_pool1d", ((5,), 2), ((1, 3, 5), 7)), *calls("avg_pool3d", ((1, 3, 5, 5, 5), 7)))),
    pool("adaptive_avg_pool2d", X, 2, id="wrong", wrong=(
        *calls("adaptive_avg_pool2d", ((5, 5), 2), (X, (2,)), (X, (2, 2, 2)), (X, -1), ((1, 3, 0, 5), 2)),
        *calls("adaptive_max_pool2d", ((5, 5), 2), ((1, 3, 0, 5), 2)),
        lambda torch: F(torch).adaptive_avg_pool2d(torch.zeros(X).long(), 2))),
    pool("adaptive_avg_pool2d", X, 0, id="none", grad=False),
    Row("max_unpool2d", lambda torch, x: F(torch).max_unpool2d(x, _indices(torch, 0, 3), 2), (T((1, 1, 1,
        2)),), id="wrong",
        wrong=(lambda torch: F(torch).max_unpool2d(torch.zeros(1, 1, 1, 2), _indices(torch, 0, 99), 2),
               lambda torch: F(torch).max_unpool2d(torch.zeros(1, 1, 1, 2), _indices(torch, 0, 1, 2), 2),
               lambda torch: F(torch).max_unpool2d(torch.zeros(1, 1, 1, 2), _indices(torch, 0, 1).int(), 2),
               lambda torch: F(torch).max_unpool2d(torch.zeros(1, 1, 1, 2), _indices(torch, 0, 1), 2, None, 0,
                   (9, 9)))),
    # p-norms
    *[pool(f"lp_pool{n}d", (2, 3, *SPATIAL[n]), 2.0, 2, id="plain", inputs=(T((2, 3, *SPATIAL[n]), 0.2,
        2.0),))
      for n in (1, 2, 3)],
    pool("lp_pool2d", (), 3, (2, 3), 1, True, id="cubes", inputs=(T((2, 3, 7, 8), 0.2, 2.0),)),
    pool("lp_pool1d", (), 1, 3, id="unbatched", inputs=(T((3, 9), 0.2, 2.0),)),
]  # fmt: skip
