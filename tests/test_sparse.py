"""Sparse tensors: what they print, give and refuse, and their gradients, as in PyTorch."""

import copy
import io
import pickle
import warnings

import numpy as np
import pytest

import rushlight

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings(
    "ignore:Sparse", "ignore:log1p_backward", "ignore:Sparse CSR"
)  # PyTorch's own
PLACES, VALUES = [[0, 1, 1, 0], [2, 0, 2, 2]], [3.0, 4.0, 5.0, 6.0]

# Evaluated with s: a sparse matrix whose places are sorted, c: the same coalesced, u: one with a place given twice,
# h: one whose entries are rows. Compared as printed, together with is_coalesced.
PRINTED = """
s
u
h
c
u.coalesce()
h.coalesce()
s._values()
s.values()
s.indices()
c.values()
c.indices()
c*c
s*T.ones(2,3)
s*T.ones(3)
s/2
s*T.tensor(2.)
2*s
s.sum()
s.sum(0)
u.sum(1)
h.sum(0)
h.sum(1)
h.sum()
T.sum(s,1)
T.sparse.sum(u,0)
T.sparse.sum(u)
s.neg()
T.neg(s)
T.sqrt(s)
T.pow(s,2)
T.abs(s)
T.sin(u)
s.exp()
T.exp(s)
s.relu()
T.relu(s)
s.sigmoid()
s.index_select(0,T.tensor([1]))
T.index_select(s,0,T.tensor([1,1,0]))
T.index_select(s,1,T.tensor([2,0]))
T.cat([s,s])
T.cat([s,s],1)
T.stack([s,s])
T.stack([s,s],1)
s[0]
u[1]
s[0,2]
s[:,0]
h[1]
h[:,1]
s[0:1]
s.unsqueeze(0)
T.unsqueeze(s,1)
s.view(6)
s.reshape(6)
s.mean()
s.norm()
T.norm(u)
s.max()
s.size()
s.size(0)
s.numel()
s.clone()
T.clone(s)
s.detach()
s.zero_()
s.float()
s.to(T.float64)
s.double()
T.zeros_like(s)
T.zeros_like(h)
T.ones_like(s)
s.is_sparse
s.layout
s._nnz()
h.sparse_dim(), h.dense_dim()
s.transpose(0,1)
T.transpose(s,0,1)
s.t()
T.t(s)
c.t().coalesce()
s.permute(1,0)
T.permute(s,(1,0))
T.mv(s,T.ones(3))
s@T.ones(3)
T.matmul(s,T.ones(3))
T.dot(s,s)
T.ones(2,2)@s
T.mm(T.ones(2,2),s)
T.matmul(T.ones(2,2),s)
s@s.t()
T.sparse.mm(s,s.t())
T.sparse.mm(u,T.eye(3))
T.addmm(T.ones(2,2),s,T.ones(3,2))
T.addmm(T.ones(2,2),s,T.ones(3,2),beta=2,alpha=3)
T.sparse.addmm(T.ones(2,2),s,T.ones(3,2))
s-s
c+u.coalesce()
c-u.coalesce()
T.add(c,c,alpha=2)
T.sub(c,c,alpha=2)
s-T.ones(2,3)
T.ones(2,3)-s
T.ones(2,3)+u
T.add(T.ones(2,3),u,alpha=2)
T.ones(2,3)*s
T.mul(T.ones(2,3),s)
T.mul(s,T.ones(2,3))
T.div(s,2)
T.div(s,T.ones(2,3))
s+1
s==s
s.item()
s.numpy()
len(s)
bool(s)
s.stride()
s.is_contiguous()
s.data_ptr()
s.contiguous()
s.is_coalesced()
s.requires_grad
s.is_leaf
s.dtype
s.mul_(2)
s.add_(s)
T.ones(2,3).add_(u)
T.ones(2,3).add_(u,alpha=2)
T.ones(2,3).sub_(u)
s.sparse_mask(s)
T.ones(2,3).sparse_mask(c)
T.ones(2,3).to_sparse()
T.ones(2,3).to_sparse(1)
T.eye(3).to_sparse()
T.zeros(2,2).to_sparse()
T.tensor(3.).to_sparse()
T.tensor(0.).to_sparse()
s.to_sparse()
s.to(T.int64)
s//2
s%2
s**2
s**0
-s
abs(s)
s.T
s.mT
s.bmm(s)
s.any()
s.all()
s.narrow(0,0,1)
s.select(0,1)
T.select(s,1,2)
T.nn.functional.linear(s,T.ones(4,3))
T.nn.functional.linear(s,T.ones(4,3),T.ones(4))
T.nn.functional.relu(s)
s.softmax(1)
T.sparse.softmax(s,1)
T.sparse.softmax(u,0)
T.sparse.softmax(h,0)
T.sparse.softmax(h,1)
T.sparse.log_softmax(s,1)
s.is_same_size(s)
s.type()
s.cpu()
s.narrow_copy(0,0,1)
s.equal(s)
T.spmm(s,T.ones(3,2))
T.spmm(T.ones(2,3),T.ones(3,2))
s.sgn()
T.round(s)
T.floor(s)
s.log1p()
T.sparse.spdiags(T.ones(2,3),T.tensor([0,1]),(3,3))
T.sparse.spdiags(T.arange(9.).reshape(3,3),T.tensor([0,-1,2]),(4,3))
s.half()
s.bool()
s.clamp(0,1)
s.floor_divide(2)
s.to_dense()
u.to_dense()
h.to_dense()
s.long().to_dense()
T.ones(2,2).to_dense()
T.ones(2,2).coalesce()
T.ones(2,2).values()
T.ones(2,2)._nnz()
T.ones(2,2).sparse_dim(), T.ones(2,2).dense_dim()
T.sparse_coo_tensor((2,3))
T.sparse_coo_tensor(size=(2,3))
T.sparse_coo_tensor([[0,1]],[1,2])
T.sparse_coo_tensor([[0,1]],[1,2],dtype=T.float64)
T.sparse_coo_tensor([[0],[1]],3.)
T.sparse_coo_tensor(T.zeros(2,0),T.ones(0),(2,2))
T.sparse_coo_tensor(T.tensor([0,1]),T.ones(2))
T.sparse_coo_tensor(T.tensor([[0,1]]),T.ones(3))
T.sparse_coo_tensor(T.tensor([[0,-1]]),T.ones(2))
T.sparse_coo_tensor(T.tensor([[0,5]]),T.ones(2),(3,2))
T.sparse_coo_tensor(T.tensor([[0,1]]),T.ones(2,3),(3,2))
T.sparse_coo_tensor([[0,1],[1,0]],[1.,2.],(2,2),requires_grad=True)
T.sparse.FloatTensor(T.tensor([[0,1]]),T.ones(2),T.Size([3]))
T.sparse.FloatTensor(2,3)
T.mm(s,T.ones(2,2))
T.mm(s,T.ones(3,2).double())
s.t_()
s.unsqueeze(-1)
T.bmm(s.unsqueeze(0),T.ones(1,3,2))
T.bmm(T.stack([s,u]),T.arange(12.).reshape(2,3,2))
T.matmul(T.ones(3,2,3),s.t())
s.sqrt_()
s.coalesce().sqrt_()
T.cat([s,T.ones(2,3)])
s.index_select(0,T.tensor([5]))
s[5]
s.transpose(0,5)
h.transpose(0,1)
T.sparse.mm(T.ones(2,2),T.ones(2,2))
T.sparse.sum(h,1)
T.sparse.sum(h,[0,1])
T.sparse.sum(h,0)
T.sparse_coo_tensor(T.tensor([[0,1,1],[2,0,2]]),T.tensor([3,4,5],dtype=T.int32),(2,3))
T.sparse_coo_tensor(T.tensor([[0,1,1],[2,0,2]]),T.tensor([3,4,5j]),(2,3))
T.sparse_coo_tensor(T.arange(100).reshape(1,100),T.arange(100.)*1.5)
T.sparse_coo_tensor(T.arange(2000).reshape(1,2000),T.arange(2000.)*1.5)
""".strip().split("\n")


def operands(lib):
    """The names that expressions use."""
    s = lib.sparse_coo_tensor(lib.tensor([[0, 1, 1], [2, 0, 2]]), lib.tensor([3.0, 4, 5]), (2, 3))
    u = lib.sparse_coo_tensor(lib.tensor([[1, 0, 1], [2, 0, 2]]), lib.tensor([3.0, 4, 5]), (2, 3))
    h = lib.sparse_coo_tensor(lib.tensor([[1, 0, 1]]), lib.arange(6.0).reshape(3, 2), (3, 2))
    return {"T": lib, "s": s, "c": s.coalesce(), "u": u, "h": h}


def printed(lib, expression: str):
    """What an expression prints, or the error that it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = eval(expression, operands(lib))
        except Exception as error:
            return error
    sparse = isinstance(found, lib.Tensor) and found.is_sparse
    return repr(found), found.is_coalesced() if sparse else None


@pytest.mark.parametrize("expression", PRINTED)
def test_printed(expression):
    ours, theirs = printed(rushlight, expression), printed(torch, expression)
    if isinstance(theirs, Exception):
        assert isinstance(ours, type(theirs)), (ours, theirs)
        if isinstance(theirs, NotImplementedError):
            assert "to_dense" in str(ours) or "narrow_copy" in str(ours) or "to_sparse" in str(ours)
    else:
        assert ours == theirs


# Compared as dense: PyTorch leaves other duplicates in the result.
DENSE = (
    "s * s", "c * u", "u * u", "h * h", "u.sum(1, keepdim=True)", "s + u", "u - s", "T.mul(u, s)", "s.clone().mul_(u)",
    "s.clone().add_(u)", "s.clone().sub_(u, alpha=2)", "s.clone().div_(2)", "s.clone().copy_(u)",
)  # fmt: skip


@pytest.mark.parametrize("expression", DENSE)
def test_values(expression):
    ours, theirs = (eval(expression, operands(lib)).to_dense().numpy() for lib in (rushlight, torch))
    np.testing.assert_allclose(ours, theirs)


# Functions of a sparse matrix s (2, 3), x (3, 2) and d (2, 3); the second item says whether PyTorch has the gradient.
GRADIENTS = {
    "mm": (lambda L, s, x, d: L.mm(s, x), True),
    "sparse.mm": (lambda L, s, x, d: L.sparse.mm(s, x), True),
    "operator": (lambda L, s, x, d: s @ x, True),
    "vector": (lambda L, s, x, d: s @ x[:, 0], True),
    "transposed": (lambda L, s, x, d: s.t() @ d, True),
    "dense first": (lambda L, s, x, d: x.t() @ s.t(), True),
    "addmm": (lambda L, s, x, d: L.sparse.addmm(d[:, :2], s, x, beta=2, alpha=3), True),
    "linear": (lambda L, s, x, d: L.nn.functional.linear(s, d), True),
    "bmm": (lambda L, s, x, d: L.bmm(s.unsqueeze(0), x.unsqueeze(0)), False),
    "both sparse": (lambda L, s, x, d: L.sparse.mm(s, s.t()), True),
    "add": (lambda L, s, x, d: s + s * 2, True),
    "add dense": (lambda L, s, x, d: d + s, True),
    "sub dense": (lambda L, s, x, d: d - s, True),
    "mul dense": (lambda L, s, x, d: s.coalesce() * d, True),
    "mul sparse": (lambda L, s, x, d: s.coalesce() * s.coalesce(), True),
    "div": (lambda L, s, x, d: s / 2, True),
    "neg": (lambda L, s, x, d: -s, True),
    "pow": (lambda L, s, x, d: s**2, True),
    "abs": (lambda L, s, x, d: s.abs(), True),
    "log1p": (lambda L, s, x, d: s.log1p(), True),
    "tanh": (lambda L, s, x, d: s.tanh(), False),
    "sqrt": (lambda L, s, x, d: s.sqrt(), False),
    "values": (lambda L, s, x, d: s.coalesce().values(), True),
    "dense": (lambda L, s, x, d: s.to_dense(), True),
    "t": (lambda L, s, x, d: s.t(), True),
    "sum": (lambda L, s, x, d: s.sum(), True),
    "sparse.sum": (lambda L, s, x, d: L.sparse.sum(s, 0), True),
    "softmax": (lambda L, s, x, d: L.sparse.softmax(s, 1), True),
    "log_softmax": (lambda L, s, x, d: L.sparse.log_softmax(s, 0), True),
    "stack": (lambda L, s, x, d: L.stack([s, s]), True),
    "cat": (lambda L, s, x, d: L.cat([s, s]), False),
    "index_select": (lambda L, s, x, d: s.index_select(0, L.tensor([1, 0, 1])), False),
    "select": (lambda L, s, x, d: s[0], False),
    "to_sparse": (lambda L, s, x, d: d.to_sparse() @ x, True),
    "mask": (lambda L, s, x, d: d.sparse_mask(s.detach().coalesce()), True),
    "types": (lambda L, s, x, d: s.float().to(L.float64), True),
    "clone": (lambda L, s, x, d: s.clone(), True),
}


def leaves(lib):
    """The values of s, x and d."""
    v = lib.tensor(VALUES, dtype=lib.float64, requires_grad=True)
    x = (lib.arange(6.0, dtype=lib.float64).reshape(3, 2) + 1).requires_grad_()
    d = (lib.arange(6.0, dtype=lib.float64).reshape(2, 3) + 1).requires_grad_()
    return v, x, d


def applied(lib, function, v, x, d):
    """A function of sparse s, x and d, as a dense tensor."""
    found = function(lib, lib.sparse_coo_tensor(lib.tensor(PLACES), v, (2, 3)), x, d)
    return found.to_dense() if found.is_sparse else found


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradient(name):
    function, theirs_too = GRADIENTS[name]
    results = []
    for lib in (rushlight, torch) if theirs_too else (rushlight,):
        inputs = leaves(lib)
        y = applied(lib, function, *inputs)
        found = lib.autograd.grad((y * y).sum(), inputs, allow_unused=True)
        results.append([y.detach().numpy(), *[None if g is None else g.to_dense().numpy() for g in found]])
    for ours, theirs in zip(*results, strict=True) if theirs_too else ():
        if theirs is None:
            assert ours is None or not ours.any()
        else:
            np.testing.assert_allclose(ours, theirs)
    used = (
        [t for t, g in zip(leaves(rushlight), found, strict=True) if g is not None]
        if not theirs_too
        else None
    )
    if used or name in ("mm", "softmax", "both sparse", "mul dense", "add dense"):
        inputs = leaves(rushlight)
        if name != "types":
            assert rushlight.autograd.gradcheck(
                lambda *a: applied(rushlight, function, *a), inputs, atol=1e-4
            )
            assert rushlight.autograd.gradgradcheck(
                lambda *a: applied(rushlight, function, *a), inputs, atol=1e-4
            )


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bfloat16", "complex64"])
@pytest.mark.parametrize("shape", [(30, 20, 17), (5, 7, 64), (4, 3, 1), (1, 1, 3), (6, 5, 0)])
def test_products_of_random_matrices(dtype, shape):
    rng = np.random.default_rng(0)
    n, m, k = shape
    entries = rng.integers(0, n * m, 2 * n)
    places, values = np.stack([entries // m, entries % m]), rng.integers(-4, 5, 2 * n)
    dense = rng.integers(-4, 5, (m, k))
    found = []
    for lib in (rushlight, torch):
        kind = getattr(lib, dtype)
        a = lib.sparse_coo_tensor(lib.from_numpy(places), lib.from_numpy(values).to(kind), (n, m))
        x = lib.from_numpy(dense).to(kind)
        if dtype == "bfloat16" and lib is torch:
            a, x = a.float(), x.float()
        y = lib.mm(a, x)
        assert y.dtype is kind or lib is torch
        found.append(y.to(lib.complex64 if dtype == "complex64" else lib.float64).numpy())
    np.testing.assert_allclose(*found)


def test_a_sparse_leaf_collects_sparse_gradients():
    for lib in (rushlight, torch):
        a = lib.eye(3).to_sparse().requires_grad_()
        for _ in range(2):
            lib.sparse.mm(a, lib.ones(3, 2)).sum().backward()
        assert a.grad.is_sparse
        np.testing.assert_allclose(a.grad.to_dense().numpy(), 4 * np.eye(3))


def test_sparse_gradients_of_an_embedding():
    results = []
    for lib in (rushlight, torch):
        table = lib.nn.Embedding(5, 3, padding_idx=0, sparse=True)
        lib.nn.init.ones_(table.weight)
        table(lib.tensor([[1, 2, 1, 0]])).sum().backward()
        texts = [repr(table.weight.grad)]
        table(lib.tensor([3])).sum().backward()
        texts.append(repr(table.weight.grad.coalesce()))
        step = lib.optim.SGD(table.parameters(), lr=0.1, momentum=0.9)
        step.step()
        step.step()
        texts.append(repr(table.weight))
        step.zero_grad(set_to_none=False)
        results.append([*texts, repr(table.weight.grad)])
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("writer", "reader"), [(rushlight, torch), (torch, rushlight), (rushlight, rushlight)]
)
def test_files(writer, reader):
    stream = io.BytesIO()
    s = writer.sparse_coo_tensor(writer.tensor(PLACES), writer.tensor(VALUES), (2, 3))
    writer.save({"s": s, "c": s.coalesce()}, stream)
    stream.seek(0)
    found = reader.load(stream)
    assert repr(found["s"]) == repr(s) and not found["s"].is_coalesced() and found["c"].is_coalesced()


def test_copies():
    s = rushlight.sparse_coo_tensor(PLACES, VALUES, (2, 3), requires_grad=True)
    for other in (copy.deepcopy(s), pickle.loads(pickle.dumps(s)), s.clone().detach().requires_grad_()):
        assert repr(other) == repr(s)
        other._values().mul_(2)
        assert s._values()[0] == 3.0


def test_second_tape_through_build_and_values():
    v, x, _ = leaves(rushlight)

    def function(v, x):
        a = rushlight.sparse_coo_tensor(rushlight.tensor(PLACES), v * v, (2, 3))
        return rushlight.sparse.softmax(a.tanh(), 1) @ x + (a.t() @ x[:2])[:2]

    assert rushlight.autograd.gradcheck(function, (v, x)) and rushlight.autograd.gradgradcheck(
        function, (v, x)
    )


def test_wrong_places_are_refused():
    with pytest.raises(RuntimeError, match="found index 5"):
        rushlight.sparse_coo_tensor([[0, 5]], [1.0, 2.0], (3,))
    with pytest.raises(RuntimeError, match="uncoalesced"):
        rushlight.sparse_coo_tensor([[1, 0]], [1.0, 2.0], is_coalesced=True)
    with pytest.raises(RuntimeError, match="leaf"):
        rushlight.eye(2).to_sparse().requires_grad_().mul_(2)


def test_dense_only_ops_say_what_to_do():
    s = operands(rushlight)["s"]
    for call in (
        s.exp,
        s.mean,
        s.max,
        lambda: s.cumsum(0),
        lambda: s.view(6),
        lambda: rushlight.exp(s),
        lambda: rushlight.where(s, s, s),
    ):
        with pytest.raises(NotImplementedError, match=r"SparseCPU.*to_dense"):
            call()


def test_invariant_checks_are_accepted():
    check = rushlight.sparse.check_sparse_tensor_invariants
    assert not check.is_enabled()
    with check(True):
        assert check.is_enabled()
    assert not check.is_enabled()


# Evaluated with c, a matrix in compressed rows.
CSR = (
    "c", "c.to_dense()", "c @ T.ones(3, 2)", "T.mm(c, T.ones(3, 2))", "T.mv(c, T.ones(3))", "T.matmul(c, T.ones(3))",
    "T.sparse.mm(c, T.ones(3, 2))", "T.addmm(T.ones(2, 2), c, T.ones(3, 2))", "c.crow_indices()", "c.col_indices()",
    "c.values()", "c.layout, c.is_sparse, c.is_sparse_csr, c.shape, c._nnz()", "c.to_sparse()", "c.coalesce()",
    "c.indices()", "c.device", "c.is_cpu", "T.eye(2).to_sparse_csr()", "T.eye(2).to_sparse_coo()", "T.eye(2).to_sparse().to_sparse_csr()", "T.ones(2).crow_indices()",
    "T.eye(2).to_sparse(layout=T.sparse_csr)", "T.sparse_csr_tensor([0, 2], [0, 1], [1, 2])", "T.exp(c)", "c.detach()",
)  # fmt: skip


@pytest.mark.parametrize("expression", CSR)
def test_compressed_rows(expression):
    outcomes = []
    for lib in (rushlight, torch):
        places = lib.tensor([0, 1, 3]), lib.tensor([2, 0, 2])
        try:
            names = {"T": lib, "c": lib.sparse_csr_tensor(*places, lib.tensor([3.0, 4.0, 5.0]), (2, 3))}
            outcomes.append(repr(eval(expression, names)))
        except Exception as error:
            outcomes.append(error)
    ours, theirs = outcomes
    if isinstance(theirs, Exception):
        assert isinstance(ours, RuntimeError), ours  # NotImplementedError is one
    else:
        assert ours == theirs


def test_compressed_rows_have_gradients():
    found = []
    for lib in (rushlight, torch):
        v, x = lib.tensor([3.0, 4.0, 5.0], requires_grad=True), lib.ones(3, 2, requires_grad=True)
        c = lib.sparse_csr_tensor(lib.tensor([0, 1, 3]), lib.tensor([2, 0, 2]), v, (2, 3))
        (c @ x).square().sum().backward()
        found.append((v.grad.numpy(), x.grad.numpy()))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs)


def test_wrong_compressed_rows_are_refused():
    for crow, col in (([0, 2], [0, 5]), ([1, 2], [0, 1]), ([0, 3], [0, 1]), ([0, 2, 1, 2], [0, 1])):
        with pytest.raises(RuntimeError):
            rushlight.sparse_csr_tensor(crow, col, [1.0, 2.0], (len(crow) - 1, 2))


def test_a_sparse_tensor_is_not_none():
    for t in (torch, rushlight):
        assert (t.eye(2).to_sparse() == None) is False  # noqa: E711
