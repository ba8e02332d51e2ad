"""Views, other orders, parts, joining, splitting, repeating and padding."""

from tests.ops.functional import F
from tests.ops.table import C, I, Row, T


def cube(name, *calls, **options):
    """Rows of an op on a (2, 3, 4) tensor; each call takes it alone."""
    return each(name, (T((2, 3, 4)),), calls, **options)


def matrix(name, *calls, **options):
    """Rows of an op on a (3, 4) tensor."""
    return each(name, (T((3, 4)),), calls, **options)


def vector(name, *calls, **options):
    """Rows of an op on five numbers."""
    return each(name, (T((5,)),), calls, **options)


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


def pair(name, *calls, **options):
    """Rows of an op on two (2, 3, 4) tensors."""
    return each(name, (T((2, 3, 4)), T((2, 3, 4))), calls, **options)


def padded(mode, shape, *widths, **options):
    """Rows of one padding mode."""
    calls = [lambda torch, x, w=w: F(torch).pad(x, w, mode=mode) for w in widths]
    return each("pad", (T(shape),), calls, prefix=f"{mode}-{len(shape)}d-", **options)


VIEWS = [
    *cube("view", lambda torch, x: x.view(6, 4), lambda torch, x: x.view(-1),
          lambda torch, x: x.view((2, 1, 12)),
          lambda torch, x: x.view(size=(4, 6)), layouts=False,
          wrong=(ones(lambda torch, x: x.view(5)), ones(lambda torch, x: x.view(-1, -1)),
                 ones(lambda torch, x: x.view(-1, 5)), ones(lambda torch, x: x.view(-2, 3)),
                 ones(lambda torch, x: x.transpose(0, 1).view(6, 4)), ones(lambda torch, x: x.view(2.5, 4)),
                 lambda torch: torch.zeros(0).view(-1, 0),
                 ones(lambda torch, x: x[..., :3].view(torch.float64)))),
    *cube("view", lambda torch, x: [x.detach().view(d) for d in (torch.int32, torch.int16, torch.float16)],
          grad=False, layouts=False, prefix="dtype"),
    *cube("reshape", lambda torch, x: torch.reshape(x, (4, -1)), lambda torch, x: x.reshape(3, 8),
          lambda torch, x: x.transpose(0, 1).reshape(6, 4),
          lambda torch, x: x.expand(2, 2, 3, 4).reshape(4, 12),
          wrong=(ones(lambda torch, x: x.reshape(5)),)),
    Row("reshape", lambda torch, x: x.reshape(0, 5), (T((0, 3)),), id="empty"),
    Row("reshape", lambda torch, x: x.reshape(1, 1), (T(()),), id="number"),
    *cube("view_as", lambda torch, x: x.view_as(x.detach().reshape(4, 6)), layouts=False),
    *cube("reshape_as", lambda torch, x: x.reshape_as(x.detach().reshape(4, 6))),
    *cube("flatten", lambda torch, x: torch.flatten(x), lambda torch, x: x.flatten(1),
          lambda torch, x: x.flatten(start_dim=0, end_dim=1), lambda torch, x: x.permute(2, 0, 1).flatten(1),
          wrong=(ones(lambda torch, x: x.flatten(2, 1)), ones(lambda torch, x: x.flatten(5)))),
    Row("flatten", lambda torch, x: x.flatten(), (T(()),), id="number"),
    *cube("ravel", lambda torch, x: x.ravel(), lambda torch, x: x.transpose(0, 1).ravel()),
    *cube("unflatten", lambda torch, x: x.unflatten(-1, (2, -1)), layouts=False,
          wrong=(ones(lambda torch, x: x.unflatten(-1, (3, -1))),
          ones(lambda torch, x: x.unflatten(-1, (5, 2))))),
    *each("squeeze", (T((1, 3, 1)),), (lambda torch, x: torch.squeeze(x), lambda torch, x: x.squeeze(0),
          lambda torch, x: x.squeeze(1), lambda torch, x: x.squeeze((0, -1)),
          lambda torch, x: x.clone().squeeze_(), lambda torch, x: x.clone().squeeze_(-1)),
          wrong=(ones(lambda torch, x: x.squeeze(3)),)),
    *cube("unsqueeze", lambda torch, x: torch.unsqueeze(x, 0), lambda torch, x: x.unsqueeze(-1),
          lambda torch, x: x.unsqueeze(2), lambda torch, x: x.clone().unsqueeze_(1),
          wrong=(ones(lambda torch, x: x.unsqueeze(4)), ones(lambda torch, x: x.unsqueeze(-5)))),
    *cube("transpose", lambda torch, x: torch.transpose(x, 0, -1), lambda torch, x: x.mT,
          lambda torch, x: x.clone().transpose_(0, 1), lambda torch, x: x.transpose(dim0=1, dim1=2) * 2,
          wrong=(ones(lambda torch, x: x.transpose(3, 0)), lambda torch: torch.ones(2).mT)),
    *cube("swapaxes", lambda torch, x: torch.swapaxes(x, 0, 1)),
    *cube("swapdims", lambda torch, x: x.swapdims(0, 1)),
    *matrix("t", lambda torch, x: torch.t(x), lambda torch, x: x.T, lambda torch, x: x.H,
            lambda torch, x: x.clone().t_(), lambda torch, x: x[0].t(),
            wrong=(ones(lambda torch, x: x.t()),)),
    *cube("permute", lambda torch, x: torch.permute(x, (2, 0, 1)), lambda torch, x: x.permute(-1, 1, 0),
          lambda torch, x: x.permute(dims=(0, 2, 1)),
          wrong=(ones(lambda torch, x: x.permute(0, 1)), ones(lambda torch, x: x.permute(0, 1, 1)),
                 ones(lambda torch, x: x.permute(0, 1, 5)))),
    *cube("movedim", lambda torch, x: torch.movedim(x, 0, -1), lambda torch, x: x.movedim((0, 1), (2, 0)),
          wrong=(ones(lambda torch, x: x.movedim((0, 0), (1, 2))),
          ones(lambda torch, x: x.movedim((0,), (1, 2))))),
    *cube("moveaxis", lambda torch, x: x.moveaxis(2, 0)),
    *[Row(name, lambda torch, x, name=name: getattr(torch, name)(x), (T(shape),), id=str(len(shape)))
      for name in ("atleast_1d", "atleast_2d", "atleast_3d") for shape in ((), (3,), (2, 3), (1, 2, 3, 4))],
    Row("atleast_2d", lambda torch, x: torch.atleast_2d(x, x[0]), (T((3,)),), id="several"),
]  # fmt: skip

PARTS = [
    *each("expand", (T((2, 1, 4)),), (lambda torch, x: x.expand(2, 3, 4),
          lambda torch, x: x.expand((5, -1, 3, -1)),
          lambda torch, x: x.expand(size=(2, 1, 4)) * 2, lambda torch, x: x[0].expand(3, 4)),
          wrong=(ones(lambda torch, x: x.expand(2, 3, 5)), ones(lambda torch, x: x.expand(3, 4)),
                 ones(lambda torch, x: x.expand(-1, 2, 3, 4)))),
    Row("expand", lambda torch, x: x.expand(3), (T(()),), id="number"),
    *matrix("expand_as", lambda torch, x: x.expand_as(x.new_zeros(2, 3, 4))),
    *matrix("broadcast_to", lambda torch, x: torch.broadcast_to(x, (2, 3, 4))),
    Row("broadcast_tensors", lambda torch, x, y: torch.broadcast_tensors(x, y), (T((3, 1)), T((2, 1, 4))),
        wrong=(lambda torch: torch.broadcast_tensors(torch.ones(2), torch.ones(3)),)),
    Row("broadcast_shapes", lambda torch: list(torch.broadcast_shapes((2, 1), (3,), 1)), grad=False,
        wrong=(lambda torch: torch.broadcast_shapes((2,), (3,)),)),
    *cube("select", lambda torch, x: torch.select(x, 1, -1), lambda torch, x: x.select(dim=-1, index=0),
          wrong=(ones(lambda torch, x: x.select(0, 5)), ones(lambda torch, x: x.select(5, 0)),
                 lambda torch: torch.tensor(1).select(0, 0))),
    *cube("narrow", lambda torch, x: torch.narrow(x, 1, 1, 2), lambda torch, x: x.narrow(-1, -2, 2),
          wrong=(ones(lambda torch, x: x.narrow(1, 2, 2)), ones(lambda torch, x: x.narrow(1, 0, -1)))),
    *cube("diagonal", lambda torch, x: torch.diagonal(x), lambda torch, x: x.diagonal(1, 1, 2),
          lambda torch, x: x.diagonal(offset=-1, dim1=-1, dim2=0), lambda torch, x: x.diagonal(9),
          wrong=(ones(lambda torch, x: x.diagonal(0, 1, 1)),)),
    *cube("select", lambda torch, x: x.unfold(1, 2, 1), lambda torch, x: x.unfold(-1, 2, 2), prefix="unfold",
          wrong=(ones(lambda torch, x: x.unfold(1, 4, 1)), ones(lambda torch, x: x.unfold(1, 2, 0)))),
    *vector("as_strided", lambda torch, x: torch.as_strided(x, (2, 2), (1, 2)), layouts=False,
            wrong=(lambda torch: torch.ones(5).as_strided((3, 3), (2, 2)),
                   lambda torch: torch.ones(5).as_strided((3,), (-1,)))),
    *vector("as_strided", lambda torch, x: (x * 2).as_strided((3, 3), (1, 1)), layouts=False,
          prefix="overlap"),
]  # fmt: skip

COMPLEX = [
    Row("view_as_real", lambda torch, z: torch.view_as_real(z), (C((2, 3)),),
        wrong=(lambda torch: torch.view_as_real(torch.ones(2)),)),
    Row("view_as_complex", lambda torch, x: torch.view_as_complex(x), (T((3, 2)),), layouts=False,
        wrong=(lambda torch: torch.view_as_complex(torch.ones(3)),
               lambda torch: torch.view_as_complex(torch.ones(2, 2).t()))),
    Row("real", lambda torch, z: (torch.real(z), z.real), (C((2, 3)),)),
    Row("real", lambda torch, x: torch.real(x) * 2, (T((2, 3)),), id="of-real"),
    Row("imag", lambda torch, z: (torch.imag(z), z.imag), (C((2, 3)),),
          wrong=(lambda torch: torch.ones(2).imag,)),
    Row("conj", lambda torch, z: torch.conj(z) * z, (C((2, 3)),)),
    Row("conj_physical", lambda torch, z: torch.conj_physical(z), (C((2, 3)),)),
    Row("conj_physical", lambda torch, z: z.clone().conj_physical_(), (C((2, 3)),), id="in-place"),
    Row("resolve_conj", lambda torch, z: torch.resolve_conj(z.conj()), (C((2, 3)),)),
    Row("resolve_neg", lambda torch, x: torch.resolve_neg(x) * 2, (T((2, 3)),)),
    Row("is_conj", lambda torch, x: torch.is_conj(x), (T((2, 3)),), grad=False),
    Row("is_neg", lambda torch, x: torch.is_neg(x), (T((2, 3)),), grad=False),
    Row("adjoint", lambda torch, z: (torch.adjoint(z), z.mH), (C((2, 3, 4)),),
        wrong=(lambda torch: torch.adjoint(torch.ones(2)),)),
]  # fmt: skip

JOINING = [
    *pair("cat", lambda torch, x, y: torch.cat([x, y]), lambda torch, x, y: torch.cat((x, y), dim=-1),
          lambda torch, x, y: torch.cat([x, y[:, :1], x], 1), lambda torch, x, y: torch.cat([x, y], axis=1),
          lambda torch, x, y: torch.cat([x, x.new_zeros(0), y], 1),
          lambda torch, x, y: torch.cat([x.transpose(1, 2), y.transpose(1, 2)], 1),
          wrong=(lambda torch: torch.cat([]), lambda torch: torch.cat([torch.tensor(1), torch.tensor(2)]),
                 lambda torch: torch.cat([torch.ones(2, 3), torch.ones(3)]),
                 lambda torch: torch.cat([torch.ones(2, 3), torch.ones(2, 2)]),
                 lambda torch: torch.cat([torch.ones(2), 1]), lambda torch: torch.cat(torch.ones(2, 2)),
                 lambda torch: torch.cat([torch.ones(2), torch.ones(2)], 1))),
    *pair("cat", lambda torch, x, y: torch.cat([x, y.detach()], 2), prefix="detached", fd=False),
    Row("cat", lambda torch, x, i: torch.cat([x, i]), (T((2, 3)), I((1, 3))), id="types"),
    Row("cat", lambda torch, x, y: torch.cat([x, y], 1), (T((2, 3, 4, 5)), T((2, 1, 4, 5))), id="4d"),
    *pair("concat", lambda torch, x, y: torch.concat([x, y])),
    *pair("concatenate", lambda torch, x, y: torch.concatenate([x, y], 1)),
    *pair("stack", lambda torch, x, y: torch.stack([x, y]), lambda torch, x, y: torch.stack((x, y), dim=-1),
          lambda torch, x, y: torch.stack([x, y, x], 1),
          wrong=(lambda torch: torch.stack([]), lambda torch: torch.stack([torch.ones(2), torch.ones(3)]),
                 lambda torch: torch.stack([torch.ones(2)], 3))),
    *[Row(name, lambda torch, x, y, name=name: getattr(torch, name)([x, y]), (T(shape), T(shape)),
          id=str(len(shape)))
      for name in ("hstack", "vstack", "row_stack", "dstack", "column_stack")
      for shape in ((), (3,), (2, 3), (2, 3, 4))],
    Row("block_diag", lambda torch, x, y, z: torch.block_diag(x, y, z), (T((2, 3)), T((2,)), T(())),
        wrong=(lambda torch: torch.block_diag(torch.ones(2, 2, 2)),)),
    Row("meshgrid", lambda torch, x, y: torch.meshgrid(x, y, indexing="ij"), (T((2,)), T((3,))),
        wrong=(lambda torch: torch.meshgrid(torch.ones(2, 2), indexing="ij"),
               lambda torch: torch.meshgrid(torch.ones(2), indexing="zz"))),
    Row("meshgrid", lambda torch, x, y, z: torch.meshgrid([x, y, z], indexing="xy"),
          (T((2,)), T((3,)), T(())), id="xy"),
    Row("cartesian_prod", lambda torch, x, y: torch.cartesian_prod(x, y), (T((2,)), T((3,))),
        wrong=(lambda torch: torch.cartesian_prod(torch.ones(2, 2)),)),
    Row("combinations", lambda torch, x: torch.combinations(x), (T((4,)),)),
    Row("combinations", lambda torch, x: torch.combinations(x, 3, with_replacement=True), (T((3,)),),
          id="replaced"),
]  # fmt: skip

SPLITTING = [
    *vector("split", lambda torch, x: torch.split(x, 2), lambda torch, x: x.split([2, 3]),
            lambda torch, x: x.split(split_size=4), lambda torch, x: x.split((1, 4))[1],
            wrong=(lambda torch: torch.ones(5).split([2, 2]), lambda torch: torch.ones(5).split(0),
                   lambda torch: torch.tensor(1).split(1))),
    *cube("split", lambda torch, x: torch.split(x, 2, dim=1)),
    *vector("split_with_sizes", lambda torch, x: torch.split_with_sizes(x, [2, 3])),
    *cube("chunk", lambda torch, x: torch.chunk(x, 2), lambda torch, x: x.chunk(3, 2),
          lambda torch, x: x.chunk(9, -1)[3],
          wrong=(ones(lambda torch, x: x.chunk(0)),)),
    *vector("tensor_split", lambda torch, x: torch.tensor_split(x, 3),
          lambda torch, x: x.tensor_split((1, 3)),
            lambda torch, x: x.tensor_split([3, 1]), lambda torch, x: x.tensor_split(torch.tensor([1, 2])),
            wrong=(lambda torch: torch.ones(5).tensor_split(0),)),
    *cube("hsplit", lambda torch, x: torch.hsplit(x, [1]), lambda torch, x: x[0, 0].hsplit(2),
          wrong=(ones(lambda torch, x: x.hsplit(2)),)),
    *cube("vsplit", lambda torch, x: x.vsplit(2), wrong=(lambda torch: torch.ones(3).vsplit(3),)),
    *cube("dsplit", lambda torch, x: x.dsplit(2)),
    *cube("unbind", lambda torch, x: torch.unbind(x), lambda torch, x: x.unbind(-1),
          lambda torch, x: x.unbind(1)[2],
          lambda torch, x: [a * 2 for a in x], wrong=(lambda torch: torch.tensor(1).unbind(),)),
]  # fmt: skip

REARRANGING = [
    *cube("repeat", lambda torch, x: x.repeat(2, 1, 3), lambda torch, x: x.repeat((2, 1, 1, 2)),
          lambda torch, x: x.transpose(0, 2).repeat(1, 2, 1), wrong=(ones(lambda torch, x: x.repeat(2)),)),
    Row("repeat", lambda torch, x: x.repeat(3), (T(()),), id="number"),
    *cube("tile", lambda torch, x: torch.tile(x, (2,)), lambda torch, x: x.tile(2, 1, 1, 1)),
    *cube("repeat_interleave", lambda torch, x: torch.repeat_interleave(x, 2),
          lambda torch, x: x.repeat_interleave(2, dim=-1),
          lambda torch, x: x.repeat_interleave(torch.tensor([1, 0, 2]), 1),
          wrong=(ones(lambda torch, x: x.repeat_interleave(-1, 0)),
                 ones(lambda torch, x: x.repeat_interleave(torch.tensor([1, 2, 3]), 0)))),
    Row("repeat_interleave", lambda torch, i: torch.repeat_interleave(i), (I((4,)),), id="counts",
          grad=False),
    *cube("roll", lambda torch, x: torch.roll(x, 1), lambda torch, x: x.roll((1, -2), (0, 2)),
          lambda torch, x: x.roll(5, dims=1), wrong=(ones(lambda torch, x: x.roll(1, (0, 1))),)),
    *cube("flip", lambda torch, x: torch.flip(x, (0, 2)), lambda torch, x: x.flip(-1),
          lambda torch, x: x.flip(0, 1),
          wrong=(ones(lambda torch, x: x.flip(0, 0)), ones(lambda torch, x: x.flip(3)))),
    *cube("fliplr", lambda torch, x: torch.fliplr(x), wrong=(lambda torch: torch.ones(2).fliplr(),)),
    *cube("flipud", lambda torch, x: torch.flipud(x)),
    *[r for k in (0, 1, 2, 3, -1) for r in cube("rot90", lambda torch, x, k=k: torch.rot90(x, k, (1, 2)))],
    *matrix("rot90", lambda torch, x: x.rot90(1, [1, 0]),
          wrong=(lambda torch: torch.ones(2, 2).rot90(1, (1, 1)),)),
    *cube("tril", lambda torch, x: torch.tril(x), lambda torch, x: x.tril(diagonal=1),
          lambda torch, x: x.clone().tril_(), wrong=(lambda torch: torch.ones(2).tril(),)),
    *cube("triu", lambda torch, x: torch.triu(x, -1), lambda torch, x: x.clone().triu_(1)),
    *matrix("diag_embed", lambda torch, x: torch.diag_embed(x), lambda torch, x: x.diag_embed(-1, 0, 2)),
    *matrix("diag", lambda torch, x: torch.diag(x), lambda torch, x: x.diag(-1),
          lambda torch, x: x[0].diag(1),
            wrong=(ones(lambda torch, x: x.diag()),)),
    *matrix("diagflat", lambda torch, x: torch.diagflat(x, 1)),
]  # fmt: skip

PADDING = [
    *cube("constant_pad_nd", lambda torch, x: torch.constant_pad_nd(x, (1, 2), 3.0)),
    *padded("constant", (2, 3, 4), (1, 2), (1, 0, 2, 1), (-1, 1), (1, 1, -1, 0, 2, 2), (),
            wrong=(lambda torch: F(torch).pad(torch.ones(2), (1,)),
            lambda torch: F(torch).pad(torch.ones(2), (1,) * 4),
                   lambda torch: F(torch).pad(torch.ones(2), (-2, -2)),
                   lambda torch: F(torch).pad(torch.ones(2, 2), (1, 1), mode="other"))),
    *padded("constant", (2, 3, 4, 5), (1, 2, 0, 1)),
    *[r for mode in ("reflect", "replicate", "circular") for r in (
        *padded(mode, (2, 4), (2, 1)), *padded(mode, (2, 3, 4), (1, 3), (0, 2)),
        *padded(mode, (2, 3, 4, 5), (1, 2, 0, 1), (-1, 2, 1, 1)),
              *padded(mode, (2, 3, 4, 3, 4), (1, 2, 0, 1, 2, 1)))],
    *padded("replicate", (2, 3), (5, 4)),
    Row("pad", lambda torch, x: F(torch).pad(x, (1, 1), value=2.5), (T((2, 3)),), id="value",
        wrong=(lambda torch: F(torch).pad(torch.ones(2, 3), (3, 0), mode="reflect"),
               lambda torch: F(torch).pad(torch.ones(2, 3), (4, 0), mode="circular"),
               lambda torch: F(torch).pad(torch.ones(3), (1, 1), mode="reflect"),
               lambda torch: F(torch).pad(torch.ones(2, 3), (1, 1), mode="reflect", value=1.0))),
]  # fmt: skip

ROWS = VIEWS + PARTS + COMPLEX + JOINING + SPLITTING + REARRANGING + PADDING
