"""Products of matrices: names of gradient functions, messages, layouts and lean paths."""

import numpy as np
import pytest

import rushlight
from rushlight.ops.linear import linear

torch = pytest.importorskip("torch")

NODES = {
    "x @ x.t()": "MmBackward0",
    "x @ v": "MvBackward0",
    "v @ v": "DotBackward0",
    "c @ c.mT": "UnsafeViewBackward0",
    "c @ x.t()": "UnsafeViewBackward0",
    "torch.bmm(c, c.mT)": "BmmBackward0",
    "torch.outer(v, v)": "MulBackward0",
    "torch.addmm(v[:3], x, x.t())": "AddmmBackward0",
    "torch.baddbmm(v[0], c, c.mT)": "BaddbmmBackward0",
    "torch.addbmm(v[0], c, c.mT)": "AddbmmBackward0",
    "linear(x, x, v[:3])": "AddmmBackward0",
    "linear(x, x)": "MmBackward0",
    "linear(c, x, v[:3])": "ViewBackward0",
    "linear(c, x)": "UnsafeViewBackward0",
    "torch.linalg.norm(x)": "LinalgVectorNormBackward0",
    "torch.cosine_similarity(x, x)": "SumBackward1",
}


@pytest.mark.parametrize("code", NODES)
def test_gradient_functions_have_pytorchs_names(code):
    for module, f in ((rushlight, linear), (torch, torch.nn.functional.linear)):
        scope = {
            name: module.ones(*shape, requires_grad=True)
            for name, shape in {"x": (3, 4), "v": (4,), "c": (2, 3, 4)}.items()
        }
        result = eval(code, {"torch": module, "linear": f, **scope})
        assert type(result.grad_fn).__name__ == NODES[code]


MESSAGES = [
    ("torch.ones(2, 3) @ torch.ones(4, 5)", "mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"),
    ("torch.mm(torch.ones(2, 3), torch.ones(3))", "mat2 must be a matrix"),
    ("torch.bmm(torch.ones(2, 3), torch.ones(3, 2))", "batch1 must be a 3D tensor"),
    (
        "torch.ones(2, 2) @ torch.ones(2, 2).double()",
        "expected m1 and m2 to have the same dtype, but got: float != double",
    ),
    (
        "torch.dot(torch.ones(2), torch.ones(3))",
        "inconsistent tensor size, expected tensor [2] and src [3] to have the same",
    ),
    ("torch.mv(torch.ones(2, 3), torch.ones(2))", "size mismatch, got input (2), mat (2x3), vec (2)"),
    (
        "torch.ones(2) @ torch.tensor(1.0)",
        "both arguments to matmul need to be at least 1D, but they are 1D and 0D",
    ),
    (
        "torch.addmm(torch.ones(2), torch.ones(2, 3), torch.ones(3, 4))",
        "The expanded size of the tensor (4) must match the existing size (2) at non-singleton dimension 1",
    ),
    (
        "torch.einsum('ij,jk', torch.ones(2, 3), torch.ones(2, 3))",
        "einsum(): subscript j has size 2 for operand 1",
    ),
]


@pytest.mark.parametrize(("code", "message"), MESSAGES)
def test_messages_begin_as_pytorchs(code, message):
    for module in (rushlight, torch):
        with pytest.raises(RuntimeError) as error:
            eval(code, {"torch": module})
        assert str(error.value).startswith(message)


def test_a_linear_layers_message_says_how_to_fix_it():
    with pytest.raises(RuntimeError, match=r"\(56x28 and 784x10\).*Flatten it first: x.flatten\(1\)"):
        linear(rushlight.ones(2, 1, 28, 28), rushlight.ones(10, 784))
    with pytest.raises(RuntimeError, match=r"x @ y.T"):
        rushlight.ones(2, 3) @ rushlight.ones(4, 3)


@pytest.mark.parametrize("shapes", [((5, 4), (4, 3)), ((2, 5, 4), (4, 3)), ((2, 5, 4), (2, 4, 3))], ids=str)
def test_results_are_contiguous_and_inputs_may_have_any_layout(shapes):
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(s).astype(np.float32) for s in shapes)
    x, y = (
        rushlight.from_numpy(a.swapaxes(-1, -2).copy()).mT,
        rushlight.from_numpy(b.swapaxes(-1, -2).copy()).mT,
    )
    product = x @ y
    assert product.is_contiguous()
    np.testing.assert_allclose(product.numpy(), a @ b, rtol=1e-5, atol=1e-5)


def test_no_gradient_is_computed_for_an_input_that_needs_none():
    w = rushlight.ones(3, 4, requires_grad=True)
    y = linear(rushlight.ones(2, 4), w, rushlight.zeros(3))
    assert y.grad_fn.edges == (None, w, None)
    gx, gw, gb = y.grad_fn.backward(rushlight.ones(2, 3))
    assert gx is None
    assert gb is None
    assert gw.tolist() == [[2] * 4] * 3


def test_einsum_of_three_operands_sums_early():
    x = rushlight.ones(2, 3)
    assert (
        rushlight.einsum("ij,kl,m->i", x, rushlight.ones(50, 60), rushlight.ones(70)).tolist()
        == [3 * 50 * 60 * 70.0] * 2
    )


def test_chain_matmul_is_deprecated():
    with pytest.warns(UserWarning, match="chain_matmul is deprecated"):  # PyTorch says it once in a process
        rushlight.chain_matmul(rushlight.ones(2, 3), rushlight.ones(3, 1))


def test_cross_without_dim_is_deprecated():
    with pytest.warns(UserWarning, match="without specifying the dim arg is deprecated"):
        assert rushlight.cross(rushlight.tensor([[1, 0, 0]]), rushlight.tensor([[0, 1, 0]])).tolist() == [
            [0, 0, 1]
        ]


# -- factorisations and systems ---------------------------------------------------------------------

FACTOR_NODES = {
    "torch.linalg.inv(x)": "LinalgInvExBackward0",
    "torch.linalg.det(x)": "LinalgDetBackward0",
    "torch.linalg.slogdet(x)[1]": "LinalgSlogdetBackward0",
    "torch.linalg.solve(x, v)": "LinalgSolveExBackward0",
    "torch.linalg.solve_triangular(x, x, upper=True)": "LinalgSolveTriangularBackward0",
    "torch.linalg.cholesky(x)": "LinalgCholeskyExBackward0",
    "torch.linalg.qr(x)[0]": "LinalgQrBackward0",
    "torch.linalg.eigh(x)[1]": "LinalgEighBackward0",
    "torch.linalg.eig(x)[0]": "LinalgEigBackward0",
    "torch.linalg.svd(x)[1]": "LinalgSvdBackward0",
    "torch.linalg.lu(x)[1]": "LinalgLuBackward0",
    "torch.linalg.lu_factor(x)[0]": "LinalgLuFactorExBackward0",
    "torch.lu_unpack(*torch.linalg.lu_factor(x))[1]": "LuUnpackBackward0",
    "torch.linalg.lu_solve(*torch.linalg.lu_factor(x), x)": "LinalgLuSolveBackward0",
    "torch.linalg.pinv(x)": "LinalgPinvBackward0",
    "torch.linalg.lstsq(x, x)[0]": "LinalgLstsqBackward0",
    "torch.linalg.matrix_exp(x)": "LinalgMatrixExpBackward0",
    "torch.linalg.householder_product(x, v)": "LinalgHouseholderProductBackward0",
    "torch.ormqr(x, v, x)": "OrmqrBackward0",
    "torch.cholesky_solve(x, x)": "CholeskySolveBackward0",
    "torch.cholesky_inverse(x)": "CholeskyInverseBackward0",
}


@pytest.mark.parametrize("code", FACTOR_NODES)
def test_factorisations_have_pytorchs_gradient_functions(code):
    for module in (rushlight, torch):
        scope = {
            "torch": module,
            "x": module.eye(3).requires_grad_(),
            "v": module.ones(3, requires_grad=True),
        }
        assert type(eval(code, scope).grad_fn).__name__ == FACTOR_NODES[code]


SINGULAR = "[[1.0, 2.0], [2.0, 4.0]]"
FACTOR_MESSAGES = [
    (
        f"torch.linalg.inv(torch.tensor({SINGULAR}))",
        "linalg.inv: The diagonal element 2 is zero, the inversion could not be completed because the input matrix is "
        "singular.",
    ),
    (
        f"torch.linalg.inv(torch.stack((torch.eye(2), torch.tensor({SINGULAR}))))",
        "linalg.inv: (Batch element 1): The diagonal element 2 is zero",
    ),
    (
        f"torch.linalg.solve(torch.tensor({SINGULAR}), torch.ones(2))",
        "torch.linalg.solve: The solver failed because the input matrix is singular.",
    ),
    (
        "torch.linalg.cholesky(-torch.eye(2))",
        "linalg.cholesky: The factorization could not be completed because the input is not positive-definite (the leading "
        "minor of order 1 is not positive-definite).",
    ),
    (
        "torch.linalg.det(torch.ones(2, 3))",
        "linalg.det: A must be batches of square matrices, but they are 2 by 3 matrices",
    ),
    ("torch.linalg.inv(torch.ones(2))", "linalg.inv: The input tensor A must have at least 2 dimensions."),
    (
        "torch.linalg.svd(torch.ones(2, 2).int())",
        "linalg.svd: Expected a floating point or complex tensor as input. Got Int",
    ),
    (
        "torch.linalg.inv(torch.eye(2).bfloat16())",
        "linalg.inv: Low precision dtypes not supported. Got BFloat16",
    ),
    (
        "torch.linalg.solve(torch.eye(2), torch.ones(3, 2))",
        "linalg.solve: Incompatible shapes of A and B for the equation AX = B (2x2 and 3x2)",
    ),
    (
        "torch.linalg.lu_factor(torch.zeros(2, 2))",
        "torch.linalg.lu_factor: U[1,1] is zero and using it on lu_solve would result in a division by zero.",
    ),
    ("torch.linalg.cond(torch.eye(2), 3)", "linalg.cond got an invalid norm type: 3"),
    (
        "torch.linalg.svd(torch.full((2, 2), float('nan')))",
        "linalg.svd: The algorithm failed to converge because the input matrix contained non-finite values.",
    ),
    (
        "torch.solve(torch.eye(2), torch.eye(2))",
        "This function was deprecated since version 1.9 and is now removed.",
    ),
    ("torch.eye(2).symeig()", "This function was deprecated since version 1.9 and is now removed."),
    ("torch.matrix_rank(torch.eye(2))", "This function was deprecated since version 1.9 and is now removed."),
]


@pytest.mark.parametrize(("code", "message"), FACTOR_MESSAGES)
def test_messages_of_factorisations_begin_as_pytorchs(code, message):
    for module in (rushlight, torch):
        with pytest.raises(RuntimeError) as error:
            eval(code, {"torch": module})
        assert str(error.value).startswith(message)
        assert isinstance(error.value, module.linalg.LinAlgError) == (
            "singular" in message
            or "positive-definite" in message
            or "converge" in message
            or "Batch" in message
        )


@pytest.mark.parametrize(
    "code",
    ["slogdet(torch.eye(2))", "inv_ex(torch.eye(2))", "lu_factor_ex(torch.eye(2))", "qr(-torch.eye(2))"],
)
def test_named_results_print_as_pytorchs(code):
    shown = [repr(eval(f"torch.linalg.{code}", {"torch": module})) for module in (rushlight, torch)]
    assert shown[0] == shown[1]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3, 3), (2, 0, 0), (3, 0), (0, 3), (2, 3, 0)], ids=str)
def test_empty_matrices(shape):
    names = ["svdvals", "pinv", "matrix_rank"] + (
        ["inv", "det", "slogdet", "cholesky", "eigvalsh", "eigvals", "lu", "matrix_exp"]
        if shape[-1] == shape[-2]
        else ["lu"]
    )
    for name in names:
        ours, theirs = (getattr(m.linalg, name)(m.ones(shape)) for m in (rushlight, torch))
        pairs = zip(ours, theirs, strict=True) if isinstance(theirs, tuple) else [(ours, theirs)]
        for a, b in pairs:
            assert (tuple(a.shape), str(a.dtype)) == (tuple(b.shape), str(b.dtype)), name
            assert a.tolist() == b.tolist(), name


def test_partly_singular_stacks_report_which():
    a = np.stack((np.eye(3), np.zeros((3, 3)), np.diag([1.0, 0, 1]))).astype(np.float32)
    x, y = rushlight.from_numpy(a), torch.from_numpy(a)
    for name in ("inv_ex", "cholesky_ex", "lu_factor_ex"):
        assert getattr(rushlight.linalg, name)(x)[-1].tolist() == getattr(torch.linalg, name)(y)[-1].tolist()
    assert rushlight.linalg.inv_ex(x).inverse[0].tolist() == np.eye(3).tolist()
    assert rushlight.linalg.solve_ex(x, rushlight.ones(3)).info.tolist() == [0, 1, 2]


def test_results_go_into_out():
    out = rushlight.empty(2, 2)
    assert rushlight.linalg.inv(rushlight.eye(2), out=out) is out
    values, vectors = rushlight.empty(2), rushlight.empty(2, 2)
    result = rushlight.linalg.eigh(rushlight.eye(2), out=(values, vectors))
    assert result.eigenvalues is values
    assert vectors.tolist() == [[1, 0], [0, 1]]
    with pytest.raises(RuntimeError, match="Expected out tensor to have dtype"):
        rushlight.linalg.inv(rushlight.eye(2), out=rushlight.empty(2, 2, dtype=rushlight.float64))


@pytest.mark.parametrize("p", [1, -1, float("inf"), float("-inf"), "fro"])
def test_gradients_of_condition_numbers(p):  # PyTorch 2.13 raises here: it changes the inverse in place
    x = (
        rushlight.rand(3, 3, dtype=rushlight.float64) + 3 * rushlight.eye(3, dtype=rushlight.float64)
    ).requires_grad_()
    assert rushlight.autograd.gradcheck(lambda x: rushlight.linalg.cond(x, p), x)
    assert rushlight.autograd.gradgradcheck(lambda x: rushlight.linalg.cond(x, p), x)


def test_gradients_that_depend_on_the_phase_are_refused():
    for module in (rushlight, torch):
        x = module.tensor(
            [[2.0, 1j, 0.5], [-1j, 5.0, 1.0], [0.5, 1.0, 9.0]], dtype=module.complex128, requires_grad=True
        )
        for name, function in (("eigh", lambda x: x), ("svd", lambda x: x)):
            vectors = getattr(module.linalg, name)(function(x))[1 if name == "eigh" else 0]
            with pytest.raises(RuntimeError, match="specified up to multiplication by e"):
                (vectors * module.tensor([1.0, 2j, 3.0 + 1j])).imag.sum().backward()


def test_gradient_of_a_partly_singular_stack_of_determinants():
    a = np.stack((np.eye(3) * 2, np.diag([1.0, 0, 3]), np.zeros((3, 3))))
    grads = []
    for module in (rushlight, torch):
        x = module.from_numpy(a.copy()).requires_grad_()
        (grad,) = module.autograd.grad(module.linalg.det(x).sum(), x, create_graph=True)
        grads.append(grad.detach().numpy())
    np.testing.assert_allclose(*grads, atol=1e-12)


def test_large_determinants_overflow_quietly():
    assert rushlight.linalg.det(rushlight.eye(64) * 64).item() == float("inf")


def test_changing_a_factor_in_place_is_noticed():
    x = rushlight.eye(2).requires_grad_()
    inverse = rushlight.linalg.inv(x)
    inverse.detach().mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        inverse.sum().backward()


def test_lobpcg_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match="smaller than 3 x the number"):
        rushlight.lobpcg(rushlight.eye(4), k=2)
    with pytest.raises(NotImplementedError, match="tracker"):
        rushlight.lobpcg(rushlight.eye(4), k=1, tracker=print)
    values, _ = rushlight.lobpcg(
        rushlight.diag(rushlight.arange(1.0, 7)), B=2 * rushlight.eye(6), k=2, largest=True
    )
    np.testing.assert_allclose(values.numpy(), [3, 2.5], rtol=1e-5)


def test_both_frameworks_have_the_same_names():
    for space in ("linalg", "fft", "signal.windows"):
        ours, theirs = rushlight, torch
        for part in space.split("."):
            ours, theirs = getattr(ours, part), getattr(theirs, part)
        wanted = {n for n in dir(theirs) if callable(getattr(theirs, n)) and n[0].islower()}
        wanted -= {"windows", "merge_dicts", "parse_kwargs"}
        assert not {n for n in wanted if getattr(theirs, n).__module__ != "torch._C" and not hasattr(ours, n)}


@pytest.mark.parametrize(
    "code",
    [
        "torch.linalg.eigh(input=x)", "torch.linalg.inv(A=x)", "torch.linalg.norm(input=x)", "torch.linalg.svd(A=x)",
        "torch.linalg.solve(A=x, B=x)", "torch.linalg.lstsq(input=x, b=x)", "torch.linalg.pinv(input=x)",
        "torch.linalg.solve_triangular(input=x, B=x, upper=True)", "torch.cholesky_solve(input=x, input2=x)",
        "torch.linalg.matrix_exp(input=x)", "torch.linalg.lu_factor(A=x)", "torch.fft.fft(input=x)",
        "torch.linalg.tensorsolve(input=x, other=x[0])",
    ],
)  # fmt: skip
def test_arguments_have_pytorchs_names(code):
    for module in (rushlight, torch):
        eval(code, {"torch": module, "x": module.eye(3)})
