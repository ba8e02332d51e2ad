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
