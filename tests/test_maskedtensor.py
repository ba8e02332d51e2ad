"""`MaskedTensor` beside PyTorch: printed forms, values, masks, gradients with masks, and exceptions."""

import copy
import warnings

import pytest

import rushlight

torch = pytest.importorskip("torch")

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is not implemented in __torch_dispatch__:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*is not implemented in reductions:UserWarning"),
    pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning"),
    pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta:UserWarning"),
]

UNARY = """
    abs absolute acos angle arccos arcsin arctan asin asinh atan atanh ceil conj_physical cos cosh deg2rad digamma erf
    erfc erfinv exp exp2 expm1 fix floor frac i0 isnan lgamma log log10 log1p log2 logit nan_to_num neg negative positive
    rad2deg reciprocal round rsqrt sgn sigmoid sign signbit sin sinc sinh sqrt square tan tanh trunc
""".split()  # noqa: SIM905
BINARY = """
    add atan2 div divide eq floor_divide fmax fmin fmod ge greater greater_equal gt le less less_equal logaddexp logaddexp2
    lt maximum minimum mul multiply ne nextafter not_equal remainder sub subtract true_divide
""".split()  # noqa: SIM905

#: Expressions of `a` and `b` (one mask), `i` (integers), `s` (scalar), `m` (mask), `x` and `row` (not masked).
VALUES = [
    *(f"a.{name}()" for name in UNARY),
    *(f"torch.{name}(a, b)" for name in BINARY),
    *(f"(i {o} i, i {o} 2)" for o in ("+", "-", "*", "/", "//", "%", "&", "|", "^", "==", "<", ">=")),
    "1 / a", "a ** 2", "a.pow(0.5)", "-a", "abs(a)", "~(a > 0.3)", "a + row", "row * a", "a - x", "a.clamp(0.2, 0.4)",
    "a.clamp(min=0.2)", "a.sum()", "a.mean()", "a.prod()", "a.amin()", "a.amax()", "a.argmin()", "a.argmax()", "a.var()",
    "a.std()", "(a > 0.2).all()", "torch.all(i, 1)", "i.sum()", "i.prod(1)", "i.amax(0)",
    *(f"a.{name}({dim})" for name in ("sum", "mean", "prod", "amin", "amax", "var", "std") for dim in ("1", "-1, True")),
    "a.argmax(1)", "a.argmin(0)", "a.sum(1, dtype=torch.float64).dtype", "torch.sum(a, dim=0)", "a.sum((0, 1))", "a.mean([0, -1])", "none.sum()", "none.mean(1)",
    "a[0]", "a[:, 1:]", "a[..., None]", "a[m]", "a[:, [0, 2]]", "a.t()", "a.transpose(0, 1)", "a.swapaxes(0, 1)",
    "a.reshape(3, 2)", "a.view(-1)", "a.flatten()", "a.unsqueeze(0)", "a.expand(2, 2, 3)", "a.expand_as(a)",
    "a.narrow(1, 0, 2)", "a.split(1)", "a.chunk(2)", "a.unfold(1, 2, 1)", "a.t().contiguous()",
    "a.select(0, 1)", "torch.cat([a, b])", "torch.stack([a, b], 1)", "a.adjoint()",
    "torch.where(m, a, b)", "torch.where(m, a, x)", "torch.where(m, a, 0.)", "torch.where(m, x, a)",
    "a.softmax(1)", "torch.nn.functional.softmax(a, 0)", "a.softmax(1, dtype=torch.float64).dtype",
    "a.double()", "a.to(torch.int32)", "a.bool()", "a.half().dtype", "a.float()", "torch.ones_like(a)", "a.clone()",
    "a.copy_(other)", "a.detach()", "a.data", "a.get_data()", "a.get_mask()", "a.to_tensor(7)", "a.dtype", "a.shape", "a.size(0)", "a.dim()",
    "a.numel()", "len(a)", "a.stride()", "a.t().is_contiguous()", "a.layout", "a.device", "coo.device", "a.is_meta", "a.is_cpu", "a.requires_grad", "a.is_leaf", "a.grad",
    "str(a)", "f'{a}'", "s", "s.item()", "float(s)", "bool(s)", "torch.masked.masked_tensor(torch.tensor(1), torch.tensor(False))",
    "torch.masked.masked_tensor(torch.tensor([1, -20, 300]), torch.tensor([True, False, True]))",
    "torch.masked.masked_tensor(torch.tensor([1e6, -2.0, float('nan')]), torch.tensor([True, False, True]))",
    "(a.clone().add_(1), a.clone().exp_(), a.clone().mul_(b))", "copying.deepcopy(a)", "torch.is_tensor(a)",
    *(f"torch.masked.{f}(a, 1)" for f in ("sum", "prod", "amax", "argmin", "mean", "logsumexp", "median", "var", "std", "softmax", "cumsum")),
    "torch.masked.norm(a, 2.0, 1)", "torch.masked.logaddexp(a, b)", "torch.masked.is_masked_tensor(a)",
    *(f"{t}.{f}" for t in ("coo", "csr") for f in (
        "sin()", "to_dense()", "clone()", "sum()", "mean()", "amax()", "prod()", "var()", "is_sparse", "is_sparse_coo()",
        "is_sparse_csr()", "layout", "get_data()", "get_mask()", "double()", "shape")),
    "(coo + coo, coo * 2, csr / csr)", "coo.argmax()", "coo.t()",  "coo.to_dense().to_sparse_csr()",
    "torch.masked.masked_tensor(x.to_sparse(), m.to_sparse()).get_data()",
    "torch.masked.masked_tensor(x.to_sparse_csr(), m.to_sparse_csr())",
]  # fmt: skip
WRONG = [
    "torch.masked.masked_tensor(x, m[0])", "torch.masked.masked_tensor(x, x)", "torch.masked.masked_tensor(x, m[:, :1])",
    "torch.masked.masked_tensor(x.bfloat16(), m)", "torch.masked.masked_tensor([1.0], m)", "torch.masked.masked_tensor(x, [True])",
    "torch.masked.masked_tensor(a, m)", "torch.masked.masked_tensor(x, a)", "torch.masked.masked_tensor(x.to_sparse(), m)",
    "torch.masked.masked_tensor(x.to_sparse(), (~m).to_sparse()[:1])", "a + other", "torch.div(a, other)", "a * a[0]",
    "a.add(1, alpha=2)", "a.div(b, rounding_mode='floor')", "a.round(decimals=1)", "torch.pow(a, a)", "a.clamp(min=x)",
    "torch.where(m, a, b, out=x)", "a.item()", "a[0, 1].item()", "a.tolist()", "a.numpy()", "a.norm()", "a.var(1, unbiased=False)",
    "a.sum(dtype=torch.float64)", "a.sum(2)", "a.backward()", "~a", "bool(a)", "coo.is_contiguous()", "coo + csr",
    "a[None].to_sparse_csr()", "coo.sum(1)",
    *(f"a.{f}" for f in ("relu()", "max()", "any()", "cumsum(0)", "unbind()", "permute(1, 0)", "squeeze()", "masked_fill(m, 0)",
                         "matmul(x.t())", "logsumexp(1)", "zero_()", "repeat(2, 1)", "equal(a)", "gather(0, m.long())")),
    "1 - a", "2 ** a", "a @ a.t()", "list(a)", "torch.zeros_like(a)", "torch.nn.functional.gelu(a)",
]  # fmt: skip
#: Functions of `a`, which requires gradients, and of `p` and `q`, not masked, which do too.
GRADIENTS = [
    "a.exp()", "a.sin() + a.sqrt()", "a * a", "a * b", "1 / a", "a / 0", "a + p", "a * p", "p / a", "q / a", "a ** 2", "a.log().abs()",
    "a.sum()", "a.sum(1)", "a.mean()", "a.mean(0)", "a.prod(1)", "a.amax()", "a.amin(1)", "a.var(1)", "a.std()",
    "a.get_data()", "a.to_tensor(0)", "a[0]", "a[:, 1:]", "a.t()", "a.transpose(0, 1).exp()", "a.reshape(3, 2)", "a.view(-1)",
    "torch.cat([a, a])", "torch.stack([a, a * 2])", "a.expand(2, 2, 3)", "a.unfold(1, 2, 1)", "a.t().contiguous()",
    "torch.where(m2, a, q)", "torch.where(m2, a * q.detach(), a)", "torch.where(m2, a.exp(), a)",
    "a.softmax(1).exp()", "a.double()", "a.clone()", "a * a.get_data().detach()", "a.to_sparse().to_dense()",
    "(a * 1).add_(a)", "a.detach() * a", "a.sum(0) + p", "nans * s", "torch.masked.sum(a.exp(), 0)", "torch.masked.mean(a)",
    *(f"torch.masked.as_masked_tensor({e}, m)" for e in ("q * p", "q / x.floor()", "p.expand(2, 3)", "q.log() + q.sqrt() * p",
                                                         "q")),
    "torch.masked.as_masked_tensor(q.sum(0), m[0])",
]  # fmt: skip


def names(torch):
    """What expressions are written in."""
    tensor, masked = torch.tensor, torch.masked.masked_tensor
    m = tensor([[True, False, True], [False, True, True]])
    x = tensor([[0.5, 0.25, 0.75], [0.125, 0.2, 0.375]])
    a = masked(x, m)
    return {
        "torch": torch, "copying": copy, "m": m, "x": x, "a": a, "b": masked(x * 2 - 0.3, m), "s": masked(tensor(0.5), tensor(True)),
        "i": masked(tensor([[5, -3, 2], [7, 4, 1]]), m), "none": masked(x, m & ~m), "other": masked(x, ~m), "row": tensor([1.0, 2.0, 4.0]),
        "coo": a.to_sparse(), "csr": a.to_sparse_csr(), "m2": tensor([[True, True, False], [True, True, False]]),
    }  # fmt: skip


def outcome(torch, expression: str):
    """The printed form; or the type of the exception."""
    try:
        return repr(eval(expression, names(torch))).replace("-0.0000", " 0.0000")
    except Exception as error:
        kind = type(error)
        return "NotImplementedError" if issubclass(kind, NotImplementedError) else kind.__name__


@pytest.mark.parametrize("expression", VALUES)
def test_values(expression):
    """Printed forms agree."""
    ours, theirs = (outcome(t, expression) for t in (rushlight, torch))
    assert ours == theirs
    assert not ours.endswith("Error"), expression


@pytest.mark.parametrize("expression", WRONG)
def test_wrong(expression):
    """The types of exceptions agree."""
    ours, theirs = (outcome(t, expression) for t in (rushlight, torch))
    assert ours == theirs
    assert ours.endswith("Error"), expression


def derived(torch, expression: str):
    """The result and the gradients, printed."""
    known = names(torch)
    a = known["a"] = torch.masked.masked_tensor(known["x"], known["m"], requires_grad=True)
    known["p"] = p = torch.tensor([1.0, 2.0, 4.0], requires_grad=True)
    known["q"] = q = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
    known["s"] = s = torch.tensor(2.0, requires_grad=True)
    spoilt = torch.tensor([[1.0, float("nan"), 3.0], [float("inf"), 5.0, 6.0]])
    known["nans"] = torch.masked.masked_tensor(spoilt, known["m"])
    try:
        result = eval(expression, known)
        result = result.sum() if result.dim() else result
        result.backward()
    except Exception as error:
        return type(error).__name__
    shown = [str(t).replace("-0.0000", " 0.0000") for t in (result.detach(), a.grad, p.grad, q.grad, s.grad)]
    return "\n".join(shown)


@pytest.mark.parametrize("expression", GRADIENTS)
def test_gradients(expression):
    """Gradients agree, with their masks."""
    assert derived(rushlight, expression) == derived(torch, expression)


def both(program):
    """What a program gives under both."""
    return [program(t) for t in (rushlight, torch)]


def test_grad_of_chosen_tensors():
    """`torch.autograd.grad`, of a masked leaf, of what was computed and of an ordinary tensor; and with a masked gradient."""

    def program(torch):
        known = names(torch)
        a = torch.masked.masked_tensor(known["x"], known["m"], requires_grad=True)
        p = torch.tensor([1.0, 2.0, 4.0], requires_grad=True)
        y = a.exp()
        found = torch.autograd.grad((y * p).sum(), [a, y, p], retain_graph=True)
        return [str(t) for t in (*found, *torch.autograd.grad(y, a, torch.ones_like(y)), y.grad_fn.name())]

    ours, theirs = both(program)
    assert ours == theirs


def test_backward_adds_up():
    """A second backward pass adds to gradients; a third through a freed graph fails."""

    def program(torch):
        a = torch.masked.masked_tensor(
            torch.tensor([1.0, 2.0]), torch.tensor([True, False]), requires_grad=True
        )
        y = (a * a).sum()
        y.backward(retain_graph=True)
        y.backward()
        try:
            y.backward()
        except RuntimeError as error:
            return str(a.grad), "second time" in str(error)

    ours, theirs = both(program)
    assert ours == theirs


def test_wider_than_pytorch():
    """Operations whose gradients PyTorch does not have."""
    known = names(rushlight)
    for expression in (
        "a.sigmoid()",
        "a[:, [0, 2]]",
        "a.unsqueeze(0)",
        "a.split(1)[1]",
        "a.clamp(0.2, 0.6)",
        "a.to_sparse().exp()",
    ):
        a = known["a"] = rushlight.masked.masked_tensor(known["x"], known["m"], requires_grad=True)
        found = eval(expression, known)
        found.sum().backward()
        x = known["a"] = known["x"].clone().requires_grad_()
        filled = eval(expression.replace("to_sparse()", "clone()"), known)
        mask = found.get_mask().to_dense() if found.is_sparse else found.get_mask()
        (filled * mask).sum().backward()
        assert a.grad.to_tensor(0).allclose(x.grad), expression
    q = rushlight.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    rushlight.masked.as_masked_tensor((q @ q).relu(), rushlight.eye(2) > 0).sum().backward()
    assert q.grad.to_tensor(0).equal(2 * q.detach().t())


def test_second_derivatives_are_refused():
    """They would be wrong otherwise."""
    a = rushlight.masked.masked_tensor(rushlight.ones(2), rushlight.tensor([True, False]), requires_grad=True)
    with pytest.raises(NotImplementedError, match="create_graph"):
        rushlight.autograd.grad((a * a).sum(), a, create_graph=True)


def test_warnings():
    """The warnings of PyTorch, at the line that makes the tensor."""
    x = rushlight.ones(2, requires_grad=True)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        rushlight.masked.as_masked_tensor(x, rushlight.tensor([True, False]))
    assert [str(w.message)[:24] for w in seen] == ["The PyTorch API of Maske", "It is not recommended to"]
    assert all(w.filename == __file__ for w in seen)
