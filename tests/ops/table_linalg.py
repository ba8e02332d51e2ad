"""Products of matrices and vectors, linear layers, einsum, norms and distances."""

import math
import warnings

from tests.ops.functional import F
from tests.ops.table import C, I, Row, T


def each(name, calls, inputs, **options):
    """One row per call; the calls take the framework's module and the tensors."""
    return [Row(name, call, inputs, id=id, **options) for id, call in calls.items()]


def matmul(*shapes, **options):
    """A product of tensors of these shapes."""
    return Row(
        "matmul",
        lambda torch, x, y: x @ y,
        tuple(T(s) for s in shapes),
        id="x".join(map(str, shapes)),
        **options,
    )


def quietly(call):
    """A call of a deprecated function, without its warning."""

    def quiet(*args):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call(*args)

    return quiet


def fails(call):
    """Calls that must fail for these pairs of shapes."""
    return lambda *shapes: tuple(lambda torch, s=s: call(torch, *(torch.ones(n) for n in s)) for s in shapes)


PAIR = (T((3, 4)), T((4, 5)))
LINEAR = lambda torch, x, w, b: F(torch).linear(x, w, b)

ROWS = [
    matmul(
        (3, 4),
        (4, 5),
        wrong=(
            *fails(lambda torch, x, y: x @ y)(
                ((3, 4), (3, 4)),
                ((3, 4), (3,)),
                ((3,), (4, 5)),
                ((), (3,)),
                ((2, 3, 4), (2, 3, 4)),
                ((2, 3, 4), (3, 4, 3)),
                ((3,), (4,)),
                ((2, 3, 4), (5, 4)),
            ),
            lambda torch: torch.ones(2, 2) @ torch.ones(2, 2).double(),
            lambda torch: torch.ones(2, 2) @ 2,
            lambda torch: 2 @ torch.ones(2, 2),
            lambda torch: torch.matmul(torch.ones(2, 2), [1]),
            lambda torch: torch.ones(2, 2).bool() @ torch.ones(2, 2).bool(),
            lambda torch: torch.ones(2, 2, 2) @ torch.ones(2, 2, 2).double(),
        ),
    ),
    matmul((3, 4), (4,)),
    matmul((4,), (4, 5)),
    matmul((4,), (4,)),
    matmul((2, 3, 4), (4, 5)),
    matmul((2, 3, 4), (4,)),
    matmul((2, 3, 4), (2, 4, 5)),
    matmul((3, 4), (2, 4, 5)),
    matmul((4,), (2, 4, 5)),
    matmul((2, 1, 3, 4), (5, 4, 2)),
    matmul((2, 3, 4, 5), (2, 1, 5, 2)),
    matmul((0, 4), (4, 5), fd=False),
    matmul((3, 0), (0, 5), fd=False),
    matmul((1, 1), (1, 1)),
    matmul((64, 70), (70, 33), fd=False),
    Row("matmul", lambda torch, x: x.t() @ x, (T((3, 4)),), id="transposed"),
    Row("matmul", lambda torch, x, y: x @ y, (C((3, 4)), C((4, 2))), id="complex"),
    Row(
        "matmul",
        lambda torch, x, y: (x @ y, x @ y[:, 0], x[0] @ y, x.int() @ y.int()),
        (I((3, 4)), I((4, 2))),
        grad=False,
        id="int",
    ),
    Row(
        "matmul",
        lambda torch, x, y: (x.half() @ y.half(), x.bfloat16() @ y.bfloat16()),
        PAIR,
        grad=False,
        id="half",
        tol=1e-2,
        tol32=1e-2,
    ),
    Row(
        "mm",
        lambda torch, x, y: torch.mm(x, y),
        PAIR,
        wrong=(
            *fails(lambda torch, x, y: torch.mm(x, y))(((3, 4), (3, 4)), ((3, 4), (4,)), ((2, 3, 4), (4, 5))),
            lambda torch: torch.mm(torch.ones(2, 2), 2),
        ),
    ),
    Row(
        "mm",
        lambda torch, x, y: torch.mm(x, y, out=torch.empty(3, 5, dtype=x.dtype)),
        PAIR,
        grad=False,
        id="out",
    ),
    Row(
        "bmm",
        lambda torch, x, y: x.bmm(y),
        (T((2, 3, 4)), T((2, 4, 5))),
        wrong=(
            *fails(lambda torch, x, y: torch.bmm(x, y))(
                ((3, 4), (4, 5)), ((2, 3, 4), (2, 3, 4)), ((2, 3, 4), (1, 4, 3))
            ),
            lambda torch: torch.bmm(torch.ones(1, 2, 2), torch.ones(1, 2, 2).double()),
        ),
    ),
    Row(
        "mv",
        lambda torch, x, y: x.mv(y),
        (T((3, 4)), T((4,))),
        wrong=fails(lambda torch, x, y: torch.mv(x, y))(((3, 4), (3,)), ((3, 4), (4, 1)), ((4,), (4,))),
    ),
    Row(
        "dot",
        lambda torch, x, y: x.dot(y),
        (T((4,)), T((4,))),
        wrong=(
            *fails(lambda torch, x, y: torch.dot(x, y))(((3, 4), (3,)), ((3,), (4,))),
            lambda torch: torch.dot(torch.ones(2), torch.ones(2).double()),
        ),
    ),
    Row("dot", lambda torch, x, y: x.dot(y), (C((4,)), C((4,))), id="complex"),
    Row("vdot", lambda torch, x, y: torch.vdot(x, y), (C((4,)), C((4,)))),
    *each(
        "inner",
        {
            "vectors": lambda torch, x, y: torch.inner(x[0], y[0]),
            "matrices": lambda torch, x, y: x.inner(y),
            "number": lambda torch, x, y: torch.inner(x, y[0, 0]),
        },
        (T((3, 4)), T((2, 4))),
        wrong=fails(lambda torch, x, y: torch.inner(x, y))(((3, 4), (3,))),
    ),
    Row(
        "outer",
        lambda torch, x, y: x.outer(y),
        (T((3,)), T((4,))),
        wrong=fails(lambda torch, x, y: torch.outer(x, y))(((3, 4), (3,)), ((3,), (4, 1))),
    ),
    Row("ger", lambda torch, x, y: torch.ger(x, y), (T((3,)), T((4,)))),
    # added products
    *each(
        "addmm",
        {
            "vector": lambda torch, b, x, y: torch.addmm(b, x, y),
            "scaled": lambda torch, b, x, y: torch.addmm(b, x, y, beta=0.5, alpha=2),
            "zero": lambda torch, b, x, y: torch.addmm(b, x, y, beta=0),
        },
        (T((5,)), *PAIR),
    ),
    Row(
        "addmm",
        lambda torch, b, x, y: b.clone().addmm_(x, y, alpha=0.5),
        (T((3, 5)), *PAIR),
        id="in-place",
        wrong=(
            *fails(lambda torch, b, x, y: torch.addmm(b, x, y))(
                ((2,), (3, 4), (4, 5)),
                ((5,), (3, 4), (3, 4)),
                ((5,), (3, 4), (4,)),
                ((1, 3, 5), (3, 4), (4, 5)),
            ),
            lambda torch: torch.addmm(torch.ones(2).double(), torch.ones(2, 2), torch.ones(2, 2)),
            lambda torch: torch.addmm(torch.ones(2, 2), torch.ones(2, 2)),
        ),
    ),
    Row(
        "addmm",
        lambda torch, b, x, y: torch.addmm(b, x, y, beta=2, alpha=3),
        (I((5,)), I((3, 4)), I((4, 5))),
        grad=False,
        id="int",
    ),
    *each(
        "baddbmm",
        {"": lambda torch, b, x, y: torch.baddbmm(b, x, y, beta=2, alpha=0.5)},
        (T((3, 5)), T((2, 3, 4)), T((2, 4, 5))),
        wrong=fails(lambda torch, b, x, y: torch.baddbmm(b, x, y))(
            ((5,), (2, 3, 4), (2, 3, 4)), ((5,), (2, 3, 4), (3, 4))
        ),
    ),
    *each(
        "addbmm",
        {"": lambda torch, b, x, y: torch.addbmm(b, x, y, beta=2, alpha=0.5)},
        (T((3, 5)), T((2, 3, 4)), T((2, 4, 5))),
        wrong=fails(lambda torch, b, x, y: torch.addbmm(b, x, y))(
            ((5,), (2, 3, 4), (2, 3, 4)), ((5,), (2, 3, 4), (3, 4))
        ),
    ),
    *each(
        "addmv",
        {"": lambda torch, b, x, y: torch.addmv(b, x, y, beta=2, alpha=0.5)},
        (T((3,)), T((3, 4)), T((4,))),
        wrong=fails(lambda torch, b, x, y: torch.addmv(b, x, y))(((4,), (3, 4), (4,)), ((3,), (3, 4), (3,))),
    ),
    *each(
        "addr",
        {"": lambda torch, b, x, y: torch.addr(b, x, y, beta=2, alpha=0.5)},
        (T((3, 4)), T((3,)), T((4,))),
        wrong=fails(lambda torch, b, x, y: torch.addr(b, x, y))(((3, 4), (4,), (4,)), ((3, 4), (3, 4), (4,))),
    ),
    # linear layers
    Row(
        "linear",
        LINEAR,
        (T((3, 4)), T((5, 4)), T((5,))),
        wrong=(
            *fails(LINEAR)(
                ((3, 4), (5, 3), (5,)),
                ((3, 4), (5, 4), (4,)),
                ((3, 4), (2, 5, 4), (5,)),
                ((), (5, 4), (5,)),
                ((3, 4), (4,), ()),
            ),
            lambda torch: F(torch).linear(torch.ones(3, 4), torch.ones(5, 4).double()),
            lambda torch: F(torch).linear(torch.ones(3, 4), torch.ones(5, 4), torch.ones(5).double()),
            lambda torch: F(torch).linear([1.0], torch.ones(5, 1)),
            lambda torch: F(torch).linear(torch.ones(2, 4).long(), torch.ones(5, 4)),
        ),
    ),
    Row("linear", LINEAR, (T((2, 3, 4)), T((5, 4)), T((5,))), id="3-D"),
    Row("linear", LINEAR, (T((2, 3, 2, 4)), T((5, 4)), T((5,))), id="4-D"),
    Row("linear", LINEAR, (T((4,)), T((5, 4)), T((5,))), id="1-D"),
    Row("linear", LINEAR, (T((0, 4)), T((5, 4)), T((5,))), id="empty", fd=False),
    Row("linear", LINEAR, (T((32, 40)), T((20, 40)), T((20,))), id="larger", fd=False),
    Row("linear", LINEAR, (T((3, 4)), T((5, 4)), T((5,), grad=False)), id="fixed-bias"),
    Row("linear", LINEAR, (T((3, 4)), T((5, 4), grad=False), T((5,))), id="fixed-weight"),
    Row("linear", LINEAR, (T((3, 4), grad=False), T((5, 4)), T((5,))), id="first-layer"),
    Row("linear", LINEAR, (T((3, 4)), T((5, 4)), T((3, 1))), id="broadcast-bias"),
    *each(
        "linear",
        {
            "no-bias": lambda torch, x, w: F(torch).linear(x, w),
            "vector": lambda torch, x, w: F(torch).linear(x, w[0]),
            "1-D": lambda torch, x, w: F(torch).linear(x[0], w),
            "transposed": lambda torch, x, w: F(torch).linear(x, w.t()[:4].t()),
            "3-D": lambda torch, x, w: F(torch).linear(x.unsqueeze(0), w),
        },
        (T((3, 4)), T((5, 4))),
    ),
    Row("linear", LINEAR, (C((3, 4)), C((5, 4)), C((5,))), id="complex"),
    Row(
        "bilinear",
        lambda torch, x, y, w, b: F(torch).bilinear(x, y, w, b),
        (T((3, 4)), T((3, 2)), T((5, 4, 2)), T((5,))),
        wrong=fails(lambda torch, x, y, w: F(torch).bilinear(x, y, w))(
            ((3, 4), (3, 2), (5, 4, 3)), ((3, 4), (2, 2), (5, 4, 2))
        ),
    ),
    # sums of products
    *[
        Row(
            "einsum",
            lambda torch, *xs, eq=eq: torch.einsum(eq, *xs),
            tuple(T(s) for s in shapes),
            id=eq.replace(" ", ""),
        )
        for eq, *shapes in (
            ("ij,jk->ik", (3, 4), (4, 5)),
            ("ij,jk", (3, 4), (4, 5)),
            ("ij->ji", (3, 4)),
            ("ij->", (3, 4)),
            ("ii", (3, 3)),
            ("ii->i", (3, 3)),
            ("iij->j", (3, 3, 2)),
            ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)),
            ("i,j->ij", (3,), (4,)),
            ("ij,ij->", (3, 4), (3, 4)),
            ("...ij,...jk->...ik", (2, 3, 4), (4, 5)),
            ("...i->...", (2, 3)),
            ("i...,i->...", (3, 2), (3,)),
            ("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)),
            ("bn,anm,bm->ba", (2, 3), (4, 3, 5), (2, 5)),
            ("bi,bj", (2, 3), (2, 4)),
            ("ab,bc->ac", (1, 3), (3, 2)),
            ("ab,ab->ab", (3, 1), (3, 4)),
            (" i j , j k -> k i ", (2, 3), (3, 4)),
            ("zyx,yx->zy", (2, 3, 4), (3, 4)),
            ("i->", (3,)),
            ("...,...->...", (2, 3), (3,)),
            ("ba", (2, 3)),
            ("aB,Bc", (2, 3), (3, 4)),
        )
    ],
    *each(
        "einsum",
        {
            "lists": lambda torch, x, y: torch.einsum(x, [0, 1], y, [1, 2], [0, 2]),
            "lists-implicit": lambda torch, x, y: torch.einsum(x, [0, 1], y, [1, 2]),
            "lists-ellipsis": lambda torch, x, y: torch.einsum(x, [..., 0], [0, ...]),
            "sequence": lambda torch, x, y: torch.einsum("ij,jk", [x, y]),
        },
        (T((3, 4)), T((4, 5))),
        wrong=(
            lambda torch: torch.einsum("ij,jk", torch.ones(2, 3), torch.ones(2, 3)),
            lambda torch: torch.einsum("ij"),
            lambda torch: torch.einsum("ij,k", torch.ones(2, 3)),
            lambda torch: torch.einsum("ijk", torch.ones(2, 3)),
            lambda torch: torch.einsum("i1", torch.ones(2, 3)),
            lambda torch: torch.einsum("ij->ik", torch.ones(2, 3)),
            lambda torch: torch.einsum("ij->ii", torch.ones(2, 3)),
            lambda torch: torch.einsum("ij->i->j", torch.ones(2, 3)),
            lambda torch: torch.einsum(torch.ones(2), [100]),
            lambda torch: torch.einsum("...ijk", torch.ones(2, 3)),
        ),
    ),
    *each(
        "tensordot",
        {
            "one": lambda torch, x, y: torch.tensordot(x, y, 1),
            "two": lambda torch, x, y: torch.tensordot(x, y.transpose(0, 1), 2),
            "none": lambda torch, x, y: torch.tensordot(x[0], y, 0),
            "lists": lambda torch, x, y: torch.tensordot(x, y, ([2, 0], [0, 2])),
            "numbers": lambda torch, x, y: torch.tensordot(x, y, dims=([1], [-2])),
        },
        (T((2, 3, 4)), T((4, 3, 2))),
        wrong=(
            lambda torch: torch.tensordot(torch.ones(2, 3), torch.ones(2, 3), ([0], [1])),
            lambda torch: torch.tensordot(torch.ones(2), torch.ones(2), 5),
            lambda torch: torch.tensordot(torch.ones(2, 2), torch.ones(2, 2), ([0], [0, 1])),
        ),
    ),
    Row(
        "chain_matmul",
        quietly(lambda torch, x, y, z: torch.chain_matmul(x, y, z)),
        (T((3, 4)), T((4, 5)), T((5, 2))),
    ),
    Row(
        "linalg_multi_dot",
        lambda torch, x, y, z: (
            torch.linalg.multi_dot([x, y, z]),
            torch.linalg.multi_dot([x[0], y, z[:, 0]]),
        ),
        (T((3, 4)), T((4, 5)), T((5, 2))),
        wrong=(lambda torch: torch.linalg.multi_dot([torch.ones(2, 2)]),),
    ),
    Row(
        "kron",
        lambda torch, x, y: (torch.kron(x, y), torch.kron(x[0], y), torch.kron(x, y[0])),
        (T((2, 3)), T((3, 2))),
    ),
    Row(
        "cross",
        lambda torch, x, y: (torch.cross(x, y, dim=1), x.cross(y, -1)),
        (T((4, 3)), T((4, 3))),
        wrong=(lambda torch: torch.cross(torch.ones(2), torch.ones(2), dim=0),),
    ),
    Row(
        "linalg_cross",
        lambda torch, x, y: torch.linalg.cross(x, y),
        (T((4, 3)), T((1, 3))),
        wrong=(
            lambda torch: torch.linalg.cross(torch.ones(2), torch.ones(2)),
            lambda torch: torch.linalg.cross(torch.ones(3), torch.ones(2, 3)),
        ),
    ),
    Row("trace", lambda torch, x: x.trace(), (T((3, 4)),), wrong=(lambda torch: torch.trace(torch.ones(2)),)),
    # norms
    *each(
        "linalg_vector_norm",
        {
            str(p): lambda torch, x, p=p: (
                torch.linalg.vector_norm(x, p),
                torch.linalg.vector_norm(x, p, 1, True),
            )
            for p in (0, 0.5, 1, 1.5, 2, 3, 3.5, -1, math.inf, -math.inf)
        },
        (T((3, 4)),),
        wrong=(
            lambda torch: torch.linalg.vector_norm(torch.tensor([1])),
            lambda torch: torch.linalg.vector_norm(torch.ones(2), 2, 1),
            lambda torch: torch.linalg.vector_norm(torch.ones(0), math.inf),
            lambda torch: torch.linalg.vector_norm(torch.ones(2, 2), 2, (0, 0)),
        ),
    ),
    *each(
        "linalg_vector_norm",
        {f"zeros-{p}": lambda torch, x, p=p: torch.linalg.vector_norm(x * 0, p) for p in (1, 2, 3, math.inf)},
        (T((3,)),),
        grad2=False,
        fd=False,
    ),
    Row(
        "linalg_vector_norm",
        lambda torch, x: (
            torch.linalg.vector_norm(x),
            torch.linalg.vector_norm(x, 1, 0),
            torch.linalg.vector_norm(x, 3),
        ),
        (C((3, 4)),),
        id="complex",
        grad2=False,
    ),
    *each(
        "linalg_matrix_norm",
        {
            str(p): lambda torch, x, p=p: (
                torch.linalg.matrix_norm(x, p),
                torch.linalg.matrix_norm(x, p, (0, -1), True),
            )
            for p in ("fro", 1, -1, math.inf, -math.inf)
        },
        (T((2, 3, 4)),),
        wrong=(
            lambda torch: torch.linalg.matrix_norm(torch.ones(2)),
            lambda torch: torch.linalg.matrix_norm(torch.ones(2, 2), "abc"),
            lambda torch: torch.linalg.matrix_norm(torch.ones(2, 2), 3),
            lambda torch: torch.linalg.matrix_norm(torch.ones(2, 2), dim=(0, 0)),
        ),
    ),
    *each(
        "linalg_norm",
        {
            "": lambda torch, x: torch.linalg.norm(x),
            "fro": lambda torch, x: torch.linalg.norm(x[0], "fro"),
            "vectors": lambda torch, x: torch.linalg.norm(x, 3, 1),
            "matrices": lambda torch, x: torch.linalg.norm(x, 1, (0, 2)),
            "dims": lambda torch, x: torch.linalg.norm(x, dim=(0, 1)),
        },
        (T((2, 3, 4)),),
        wrong=(
            lambda torch: torch.linalg.norm(torch.ones(2, 2, 2), 2),
            lambda torch: torch.linalg.norm(torch.ones(1, 1, 1), 2, (0, 1, 2)),
        ),
    ),
    *each(
        "norm",
        {
            "": lambda torch, x: x.norm(),
            "1": lambda torch, x: x.norm(1),
            "dim": lambda torch, x: torch.norm(x, dim=1),
            "keepdim": lambda torch, x: torch.norm(x, 3, (0, 1), True),
            "inf": lambda torch, x: x.norm(math.inf, 0),
            "fro": lambda torch, x: torch.norm(x, p="fro", dim=(0, 1)),
        },
        (T((3, 4)),),
        wrong=(lambda torch: torch.tensor([1]).norm(), lambda torch: torch.ones(2).norm("abc")),
    ),
    # distances
    *each(
        "dist",
        {str(p): lambda torch, x, y, p=p: torch.dist(x, y, p) for p in (1, 2, 3, math.inf)},
        (T((3, 4)), T((4,))),
        wrong=(lambda torch: torch.dist(torch.ones(2), torch.ones(3)),),
    ),
    *each(
        "pairwise_distance",
        {
            "": lambda torch, x, y: F(torch).pairwise_distance(x, y),
            "1": lambda torch, x, y: torch.pairwise_distance(x, y, 1, keepdim=True),
        },
        (T((3, 4)), T((3, 4))),
    ),
    *each(
        "cosine_similarity",
        {
            "": lambda torch, x, y: torch.cosine_similarity(x, y),
            "0": lambda torch, x, y: F(torch).cosine_similarity(x, y[0], 0),
        },
        (T((3, 4)), T((3, 4))),
        wrong=(
            lambda torch: torch.cosine_similarity(torch.ones(2, 3), torch.ones(2, 2)),
            lambda torch: torch.cosine_similarity(torch.ones(2, 3).long(), torch.ones(2, 3).long()),
        ),
    ),
    *each(
        "normalize",
        {
            "": lambda torch, x: F(torch).normalize(x),
            "1": lambda torch, x: F(torch).normalize(x, 1, 0),
            "inf": lambda torch, x: F(torch).normalize(x, math.inf, -1),
        },
        (T((3, 4)),),
        wrong=(lambda torch: F(torch).normalize(torch.tensor([[1]])),),
    ),
    *each(
        "cdist",
        {str(p): lambda torch, x, y, p=p: torch.cdist(x, y, p) for p in (1, 2, 3, math.inf)},
        (T((2, 3, 4)), T((5, 4))),
        grad2=False,
        wrong=(
            lambda torch: torch.cdist(torch.ones(2), torch.ones(2, 2)),
            lambda torch: torch.cdist(torch.ones(2, 3), torch.ones(2, 2)),
            lambda torch: torch.cdist(torch.ones(2, 2), torch.ones(2, 2), -1),
        ),
    ),
    *each(
        "pdist",
        {str(p): lambda torch, x, p=p: torch.pdist(x, p) for p in (1, 2, 3)},
        (T((4, 3)),),
        grad2=False,
        wrong=(lambda torch: torch.pdist(torch.ones(2)),),
    ),
    Row(
        "linalg_vecdot",
        lambda torch, x, y: (torch.linalg.vecdot(x, y), torch.linalg.vecdot(x, y, dim=0)),
        (C((3, 4)), C((3, 4))),
    ),
]
