"""Reading and writing at positions: brackets, index_*, gather, scatter, masks, searches, embedding."""

from tests.ops.functional import F
from tests.ops.table import I, Row, T


def each(name, inputs, calls, wrong=(), prefix="", **options):
    """One row per call; the calls that must fail go with the first."""
    return [
        Row(name, lambda torch, *xs, call=call: call(torch, *xs), inputs, id=f"{prefix}{i or ''}", tol=1e-12,
            wrong=() if i else wrong, **options)
        for i, call in enumerate(calls)
    ]  # fmt: skip


def ones(call):
    """A wrong call on a (2, 3, 4) tensor of ones."""
    return lambda torch: call(torch, torch.ones(2, 3, 4))


def long(torch, *numbers):
    """A vector of int64."""
    return torch.tensor(numbers, dtype=torch.int64)


def getting(*indices):
    """Rows that read `x[index]` from a (2, 3, 4) tensor."""
    return each(
        "index_select", (T((2, 3, 4)),), [lambda torch, x, i=i: x[i(torch)] for i in indices], prefix="get"
    )


def setting(*indices):
    """Rows that write a number and a tensor to `x[index]`."""

    def number(torch, x, y, i):
        x = x.clone()
        x[i(torch)] = 1.5
        return x

    def tensor(torch, x, y, i):
        x = x * 1
        x[i(torch)] = y * 2
        return x

    calls = [lambda torch, x, y, i=i, f=f: f(torch, x, y, i) for i in indices for f in (number, tensor)]
    return each("index_put", (T((2, 3, 4)), T((1,))), calls, prefix="set")


def scatters(name, *calls, **options):
    """Rows of a scattering op on a (3, 5) tensor and a (3, 4) source, with a (3, 4) index below 3."""
    return each(name, (T((3, 5)), T((3, 4)), I((3, 4), 3)), calls, **options)


def written(call, at, value):
    """A wrong assignment."""

    def wrong(torch):
        x = call(torch)
        x[at(torch)] = value(torch)

    return wrong


BASIC = [
    lambda t: 0, lambda t: -1, lambda t: slice(0, 1), lambda t: slice(None), lambda t: ..., lambda t: None,
    lambda t: (1, 2), lambda t: (slice(None), 1), lambda t: (..., 0), lambda t: (0, ..., 0),
          lambda t: (slice(None), None, 0),
    lambda t: (slice(None), slice(0, 3, 2), slice(1, None, 2)), lambda t: slice(5, 9), lambda t: t.tensor(1),
    lambda t: (),
]  # fmt: skip
ADVANCED = [
    lambda t: long(t, 1, 0), lambda t: [1, 0], lambda t: (slice(None), long(t, 2, 0)),
    lambda t: (long(t, 1, 0), long(t, 2, 0)), lambda t: (long(t, 1, 0), slice(None), long(t, 2, 0)),
    lambda t: (0, long(t, 1, 0), long(t, 2, 3)), lambda t: (slice(None), 1, long(t, 2, 0)),
    lambda t: (long(t, 1, 0), None, long(t, 2, 0)), lambda t: (..., long(t, -1, 0)),
          lambda t: (slice(0, 1), long(t, 2, 0)),
    lambda t: long(t, 1, 0).reshape(2, 1), lambda t: long(t), lambda t: t.tensor([True, False]),
    lambda t: (slice(None), t.tensor([True, False, True])), lambda t: t.arange(24).reshape(2, 3, 4) % 3 == 0,
    lambda t: (0, t.arange(12).reshape(3, 4) % 2 == 0), lambda t: True,
]  # fmt: skip
REPEATED = [
    lambda t: long(t, 1, 0, 1),
    lambda t: (long(t, 1, 1), slice(None), long(t, 2, 2)),
    lambda t: [[1, 0], [0, 0]][0],
]

BRACKETS = [
    *getting(*BASIC, *ADVANCED, *REPEATED), *setting(*BASIC, *ADVANCED),
    Row("index_select", lambda torch, x: x[...], (T(()),), id="number",
        wrong=(ones(lambda torch, x: x[5]), ones(lambda torch, x: x[0, 5]),
              ones(lambda torch, x: x[0, 0, 0, 0]),
               ones(lambda torch, x: x[::-1]), ones(lambda torch, x: x[long(torch, 5)]),
               ones(lambda torch, x: x[1.5]),
               ones(lambda torch, x: x[torch.tensor([True, False, True])]),
               ones(lambda torch, x: x[torch.ones(2)]),
               ones(lambda torch, x: x[[0, 1], [0, 1, 2]]), lambda torch: torch.tensor(1)[0])),
    Row("index_put", lambda torch, x: x * 1, (T(()),), id="wrong",
        wrong=(written(lambda t: t.ones(3), lambda t: 7, lambda t: 1),
               written(lambda t: t.ones(3), lambda t: 0, lambda t: [1]),
               written(lambda t: t.ones(3), lambda t: 0, lambda t: "a"),
               written(lambda t: t.ones(3), lambda t: slice(2), lambda t: t.ones(3)),
               written(lambda t: t.ones(3), lambda t: [0], lambda t: t.ones(2)),
               written(lambda t: t.ones(3), lambda t: [0], lambda t: t.ones(1, dtype=t.int64)),
               written(lambda t: t.ones(3).long(), lambda t: 0, lambda t: float("nan")),
               written(lambda t: t.ones(3).long(), lambda t: 0, lambda t: 1j),
               written(lambda t: t.ones(3, requires_grad=True), lambda t: 0, lambda t: 1))),
]  # fmt: skip


def view_written(torch, x, y):
    """A view and its base after both were written to."""
    base = x * 1
    view = base[1]
    view[0] = y * 2
    view.mul_(3)
    base[:, 1] = y
    return base, view


VIEWS = [
    Row("index_put", view_written, (T((2, 3, 4)), T((4,))), id="views"),
    Row("index_put", lambda torch, x, y: x.clone().copy_(y), (T((2, 3)), T((3,))), id="copy"),
    Row("index_put", lambda torch, x: torch.zeros(2, 3).copy_(x), (T((2, 3)),),
          id="copy-cast", fd=False, tol=1e-6),
    Row("index_put", lambda torch, x: (x * 1).fill_(2.0), (T((2, 3)),), id="fill", grad2=False),
    Row("index_put", lambda torch, x, y: (x * 1).fill_(y), (T((2, 3)), T(())), id="fill-tensor"),
    Row("index_put", lambda torch, x: (x * 1).zero_() + x, (T((2, 3)),), id="zero"),
    Row("fill", lambda torch, x: torch.fill(x, 2.0) + x, (T((2, 3)),)),
]  # fmt: skip

LINES = [
    *each("index_select", (T((2, 3, 4)),), (lambda torch, x: torch.index_select(x, 0, long(torch, 1, 0, 1)),
          lambda torch, x: x.index_select(dim=-1, index=long(torch, 3, 0)),
          lambda torch, x: x.index_select(1, long(torch)),
          lambda torch, x: x.index_select(1, torch.tensor(2, dtype=torch.int32))),
          wrong=(ones(lambda torch, x: x.index_select(0, long(torch, -1))),
          ones(lambda torch, x: x.index_select(3, long(torch, 0))),
                 ones(lambda torch, x: x.index_select(0, torch.ones(1))),
                 ones(lambda torch, x: x.index_select(0, long(torch, 0).reshape(1, 1))))),
    *each("index_add", (T((2, 3, 4)), T((2, 2, 4))), (
          lambda torch, x, y: torch.index_add(x, 1, long(torch, 2, 2), y),
          lambda torch, x, y: x.index_add(1, long(torch, 2, 0), y, alpha=3),
          lambda torch, x, y: x.clone().index_add_(1, long(torch, 0, 0), y),
          lambda torch, x, y: (x * 1)[:, 1:].index_add_(1, long(torch, 0, 0), y)),
          wrong=(ones(lambda torch, x: x.index_add(1, long(torch, 5), x[:, :1])),
                 ones(lambda torch, x: x.index_add(0, long(torch, 0), x)),
                 ones(lambda torch, x: x.index_add(0, long(torch, 0), x[:1].double())))),
    Row("index_add", lambda torch, x, y: x.index_add(0, long(torch, 4, 1, 4), y), (T((5,)), T((3,))),
          id="vector"),
    *each("index_copy", (T((2, 3, 4)), T((2, 2, 4))), (
          lambda torch, x, y: torch.index_copy(x, 1, long(torch, 2, 0), y),
          lambda torch, x, y: x.clone().index_copy_(1, long(torch, 2, 0), y)),
          wrong=(ones(lambda torch, x: x.index_copy(0, long(torch, 0), x[:1].double())),)),
    *each("index_fill", (T((2, 3, 4)), T(())), (
          lambda torch, x, y: torch.index_fill(x, 1, long(torch, 2, 0), 3.0) + y,
          lambda torch, x, y: x.index_fill(1, long(torch, 2, 0), y),
          lambda torch, x, y: x.clone().index_fill_(1, long(torch, 2, 0), y)),
          wrong=(ones(lambda torch, x: x.index_fill(0, long(torch, 0), torch.ones(2))),)),
    *each("index_put", (T((2, 3, 4)), T((4,))), (
          lambda torch, x, y: torch.index_put(x, (long(torch, 1, 0), long(torch, 1, 1)), y),
          lambda torch, x, y: x.index_put((long(torch, 1, 1), long(torch, 1, 1)), y, accumulate=True),
          lambda torch, x, y: x.clone().index_put_((long(torch, 1, 1),), y, True)),
          wrong=(ones(lambda torch, x: x.index_put((long(torch, 0),), torch.ones(4).double())),
                 ones(lambda torch, x: x.index_put((long(torch, 9),), torch.ones(4))),
                 ones(lambda torch, x: x.index_put((long(torch, 0),), torch.ones(5))))),
    *each("take", (T((2, 3, 4)),), (lambda torch, x: torch.take(x, long(torch, 0, 5, 5, -1)),),
          wrong=(ones(lambda torch, x: x.take(long(torch, 24))),
          ones(lambda torch, x: x.take(torch.ones(1))))),
    *each("put", (T((2, 3, 4)), T((2,))), (
          lambda torch, x, y: x.put(long(torch, 0, 5), y),
          lambda torch, x, y: x.put(long(torch, 5, 5), y, accumulate=True),
          lambda torch, x, y: x.clone().put_(long(torch, 0, 5), y)),
          wrong=(ones(lambda torch, x: x.put(long(torch, 0, 1), torch.ones(3))),)),
]  # fmt: skip

SCATTER = [
    *scatters("gather", lambda torch, x, y, i: torch.gather(x, 1, i) * y,
          lambda torch, x, y, i: x.gather(0, i) * y,
              lambda torch, x, y, i: x.gather(dim=-1, index=i[:2, :1]) * y[:2, :1],
              lambda torch, x, y, i: x[0].gather(0, i[0]) * y[0],
              wrong=(ones(lambda torch, x: x.gather(0, torch.full((1, 2, 3), 7))),
                     ones(lambda torch, x: x.gather(0, torch.full((1, 2, 3), -1))),
                     ones(lambda torch, x: x.gather(0, long(torch, 0))),
                     ones(lambda torch, x: x.gather(0, torch.ones(1, 1, 1))),
                     ones(lambda torch, x: x.gather(0, torch.zeros(1, 5, 3, dtype=torch.int64))))),
    Row("gather", lambda torch, x: x.gather(0, torch.tensor(0)), (T(()),), id="number"),
    *scatters("scatter", lambda torch, x, y, i: torch.scatter(x, 1, i[:, :1], y[:, :1]),
              lambda torch, x, y, i: x.scatter(1, i, 2.5) * y[0, 0],
              lambda torch, x, y, i: x.scatter(1, i, value=2.5) * y[0, 0],
              lambda torch, x, y, i: x.clone().scatter_(1, i[:, :1], y[:, :1]),
              lambda torch, x, y, i: x.clone().scatter_(1, i, 1) * y[0, 0],
              wrong=(ones(lambda torch, x: x.scatter(0, torch.full((1, 1, 1), 9), x)),
                     ones(lambda torch, x: x.scatter(0, long(torch, 0).view(1, 1, 1), x.double())),
                     ones(lambda torch, x: x.scatter(0, torch.zeros(3, 4, 1, dtype=torch.int64), x)))),
    *scatters("scatter", lambda torch, x, y, i: x.detach().scatter(1, i, 2.5, reduce="multiply"),
          grad=False, prefix="reduce"),
    *scatters("scatter_add", lambda torch, x, y, i: torch.scatter_add(x, 1, i, y),
          lambda torch, x, y, i: x.scatter_add(0, i, y),
              lambda torch, x, y, i: x.clone().scatter_add_(1, i, y),
              lambda torch, x, y, i: (x * 1).t().scatter_add_(0, i.t(), y.t()),
              wrong=(ones(lambda torch, x: x.scatter_add(0, long(torch, 0).view(1, 1, 1), x.double())),)),
    *[r for how in ("sum", "prod", "mean", "amax", "amin") for own in (True, False) for r in scatters(
        "scatter_reduce",
        lambda torch, x, y, i, how=how, own=own: x.scatter_reduce(1, i, y, how, include_self=own),
        prefix=f"{how}-{own}")],
    *scatters("scatter_reduce", lambda torch, x, y, i: x.clone().scatter_reduce_(0, i, y, "amax"),
          prefix="in-place",
              wrong=(ones(lambda torch, x: x.scatter_reduce(0, long(torch, 0).view(1, 1, 1), x, "other")),)),
    Row("scatter_reduce", lambda torch, i: torch.full((3, 5), 7).scatter_reduce(1, i, i * 3, "mean"),
        (I((3, 4), 5),),
        grad=False, id="integers"),
    Row("take_along_dim", lambda torch, x, i: torch.take_along_dim(x, i, 1), (T((3, 5)), I((3, 2), 5)),
        wrong=(ones(lambda torch, x: x.take_along_dim(long(torch, 0), 1)),
              ones(lambda torch, x: x.take_along_dim(torch.ones(1))))),
    Row("take_along_dim", lambda torch, x, i: x.take_along_dim(i, dim=1), (T((3, 5)), I((1, 2), 5)),
          id="broadcast"),
    Row("take_along_dim", lambda torch, x, i: x.take_along_dim(i), (T((3, 5)), I((4,), 15)), id="flat"),
]  # fmt: skip

MASKS = [
    *each("masked_fill", (T((2, 3, 4)), T(())), (
          lambda torch, x, y: torch.masked_fill(x, x > 0, 1.5) * y,
          lambda torch, x, y: x.masked_fill(x > 0, y),
          lambda torch, x, y: x.masked_fill(x[0] > 0, y), lambda torch, x, y: x[0].masked_fill(x > 0, y),
          lambda torch, x, y: (x * 1).masked_fill_(x > 0, y),
          lambda torch, x, y: (x * 1).masked_fill_(x[0, 0] > 0, 2) * y),
          wrong=(ones(lambda torch, x: x.masked_fill(x, 1)),
          ones(lambda torch, x: x.masked_fill(x > 0, torch.ones(1))),
                 ones(lambda torch, x: x.masked_fill(torch.ones(3) > 0, 1)),
                 ones(lambda torch, x: x[0].masked_fill_(x > 0, 1)))),
    *each("masked_select", (T((2, 3, 4)),), (
          lambda torch, x: torch.masked_select(x, x > 0), lambda torch, x: x.masked_select(x[0] > 0),
          lambda torch, x: x[0].masked_select(x.detach() > 0)),
          wrong=(ones(lambda torch, x: x.masked_select(x)),)),
    *each("masked_scatter", (T((2, 3, 4)), T((24,))), (
          lambda torch, x, y: torch.masked_scatter(x, x > 0, y),
          lambda torch, x, y: x.masked_scatter(x[0] > 0, y),
          lambda torch, x, y: (x * 1).masked_scatter_(x > 0, y)),
          wrong=(ones(lambda torch, x: x.masked_scatter(x > 0, x[0])),
          ones(lambda torch, x: x.masked_scatter(x > 0, x.double())))),
]  # fmt: skip

NUMBERS = (I((3, 4), 4),)
SEARCHES = [
    *each("nonzero", NUMBERS, (lambda torch, i: torch.nonzero(i), lambda torch, i: i.nonzero(as_tuple=True),
          lambda torch, i: torch.tensor(1).nonzero(),
          lambda torch, i: torch.tensor(0).nonzero(as_tuple=True)), grad=False),
    *each("argwhere", NUMBERS, (lambda torch, i: torch.argwhere(i),), grad=False),
    *each("unique", NUMBERS, (lambda torch, i: torch.unique(i), lambda torch, i: i.unique(return_counts=True),
          lambda torch, i: torch.unique(i, return_inverse=True, return_counts=True),
          lambda torch, i: torch.unique(i % 2, dim=1, return_inverse=True, return_counts=True),
          lambda torch, i: torch.unique(torch.tensor([1.0, float("nan"), float("nan")]))), grad=False),
    *each("unique_consecutive", NUMBERS, (
          lambda torch, i: torch.unique_consecutive(i // 2, return_inverse=True),
          lambda torch, i: (i % 2).unique_consecutive(return_counts=True),
          lambda torch, i: torch.unique_consecutive(i // 4, dim=0, return_inverse=True, return_counts=True)),
          grad=False),
]  # fmt: skip

EMBEDDING = [
    *each("embedding", (I((2, 3), 5), T((5, 4))), (
          lambda torch, i, w: F(torch).embedding(i, w), lambda torch, i, w: F(torch).embedding(i[0, 0], w)),
          wrong=(lambda torch: F(torch).embedding(long(torch, 3), torch.ones(3, 2)),
                 lambda torch: F(torch).embedding(long(torch, -1), torch.ones(3, 2)),
                 lambda torch: F(torch).embedding(torch.ones(1), torch.ones(3, 2)))),
    *each("embedding", (I((2, 3), 5), T((5, 4))), (
          lambda torch, i, w: F(torch).embedding(i, w, padding_idx=2),
          lambda torch, i, w: F(torch).embedding(i.int(), w, padding_idx=-1)), prefix="padding", fd=False),
    # PyTorch's second derivative forgets the division by the frequency.
    Row("embedding", lambda torch, i, w: F(torch).embedding(i, w, scale_grad_by_freq=True), (I((2, 3), 5),
          T((5, 4))),
        id="frequency", fd=False, grad2=False),
    Row("embedding", lambda torch, i, w: F(torch).embedding(i, w.clone(), max_norm=1.0), (I((2, 3), 5),
          T((5, 4))),
        id="norm", grad=False),
    *each("one_hot", (I((2, 3), 4),), (lambda torch, i: F(torch).one_hot(i, 4),
          lambda torch, i: F(torch).one_hot(i)),
          grad=False, wrong=(lambda torch: F(torch).one_hot(long(torch, 3), 2),
          lambda torch: F(torch).one_hot(long(torch, -1)),
                 lambda torch: F(torch).one_hot(torch.ones(1)))),
]  # fmt: skip

ROWS = BRACKETS + VIEWS + LINES + SCATTER + MASKS + SEARCHES + EMBEDDING
