"""The tensor handle: memory and layout, conversion to and from other things, copies; compared with PyTorch."""

import copy
import pickle
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rushlight

torch = pytest.importorskip("torch")
BOTH = pytest.mark.parametrize("lib", [rushlight, torch], ids=["rushlight", "torch"])
KINDS = ["bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64", "float16", "float32", "float64",
         "complex64", "complex128"]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_numpy_both_ways_shares_memory(kind):
    array = np.arange(6).astype(kind).reshape(2, 3)
    ours, theirs = rushlight.from_numpy(array), torch.from_numpy(array.copy())
    assert str(ours.dtype) == str(theirs.dtype)
    assert ours.numpy() is array or np.shares_memory(ours.numpy(), array)
    array[0, 0] = 1
    assert ours[0, 0].item() == 1
    np.testing.assert_array_equal(np.asarray(ours), array)
    assert ours.tolist() == array.tolist()
    assert ours.element_size() == theirs.element_size()
    assert ours.nbytes == theirs.nbytes


def test_numpy_of_bfloat16():
    for lib in (rushlight, torch):
        with pytest.raises(TypeError, match="BFloat16"):
            lib.ones(2, dtype=lib.bfloat16).numpy()
        assert lib.ones(2, dtype=lib.bfloat16).tolist() == [1.0, 1.0]
        assert lib.tensor(1.5, dtype=lib.bfloat16).item() == 1.5


def test_numpy_functions_and_operators():
    t = rushlight.tensor([1.0, 4.0])
    assert isinstance(np.array([1.0, 2.0], dtype=np.float32) * t, rushlight.Tensor)
    np.testing.assert_allclose(np.sqrt(t.numpy()), [1, 2])
    assert isinstance(t * np.float32(2), rushlight.Tensor)
    assert str((t * np.float64(2)).dtype) == str((torch.tensor([1.0]) * np.float64(2)).dtype)


@pytest.mark.parametrize("kind", ["float32", "int64", "bool", "complex64"])
def test_dlpack(kind):
    array = np.ones((2, 3), kind)
    ours = rushlight.from_numpy(array)
    np.testing.assert_array_equal(torch.from_dlpack(ours).numpy(), array)
    back = rushlight.from_dlpack(torch.from_numpy(array))
    assert str(back.dtype) == f"torch.{kind}"
    np.testing.assert_array_equal(np.from_dlpack(ours), array)
    if kind == "float32":
        with pytest.raises(BufferError):
            rushlight.ones(1, requires_grad=True).__dlpack__()


@BOTH
def test_views_share_memory(lib):
    x = lib.arange(12.0).reshape(3, 4)
    views = [x.view(4, 3), x.t(), x[1], x[:, 1:3], x.unsqueeze(0), x.permute(1, 0), x.flatten(), x.expand(2, 3, 4), x.detach(), x.data,
             x.diagonal(), x.narrow(0, 1, 1), x.split(2)[0], x.unbind(1)[2], x.real, x.view(-1)[3:], x.squeeze(), x.T]  # fmt: skip
    x.fill_(7)
    for i, view in enumerate(views):
        assert (view == 7).all(), i
    assert x.reshape(12).data_ptr() == x.data_ptr()
    assert x.clone().data_ptr() != x.data_ptr()


@BOTH
def test_strides(lib):
    x = lib.zeros(2, 3, 4, 5)
    facts = []
    for t in (x, x.permute(0, 2, 3, 1), x.transpose(1, 3), x[:, 1], x[..., ::2], x.to(memory_format=lib.channels_last), x[0, 0, 0, 0],
              x.expand(2, 3, 4, 5), lib.zeros(1).expand(3), lib.zeros(3, 1), lib.zeros(2, 0, 3), x[:, :1]):  # fmt: skip
        facts.append((tuple(t.stride()), t.is_contiguous(), t.storage_offset(), tuple(t.shape)))
    last = x.to(memory_format=lib.channels_last)
    facts.append((last.is_contiguous(memory_format=lib.channels_last), last.contiguous().is_contiguous()))
    facts.append(tuple((last * 2).stride()))
    test_strides.facts = getattr(test_strides, "facts", [])
    test_strides.facts.append(facts)
    assert facts == test_strides.facts[0]


def test_layout_is_hidden_until_somebody_looks():
    conv = rushlight.nn.Conv2d(3, 8, 3)
    y = conv(rushlight.ones(2, 3, 6, 6))
    expected = torch.nn.functional.conv2d(
        torch.ones(2, 3, 6, 6),
        torch.from_numpy(conv.weight.detach().numpy()),
        torch.from_numpy(conv.bias.detach().numpy()),
    )
    for look in (
        lambda t: t.view(2, -1), lambda t: t.flatten(1), lambda t: t[0], lambda t: t.permute(0, 2, 3, 1), lambda t: t.reshape(-1),
        lambda t: t.detach(), lambda t: t[:, 1:3].contiguous(), lambda t: t.transpose(2, 3),
    ):  # fmt: skip
        found = look(conv(rushlight.ones(2, 3, 6, 6)))
        theirs = look(expected)
        np.testing.assert_allclose(found.detach().numpy(), theirs.numpy(), rtol=1e-5, atol=1e-6)
        assert found.stride() == theirs.stride()
    assert y.is_contiguous()
    assert y.stride() == expected.stride()
    z = conv(rushlight.ones(2, 3, 6, 6)).detach()
    shared = z.view(-1)
    shared[0] = 99
    assert z[0, 0, 0, 0] == 99


@BOTH
def test_view_refuses_what_reshape_copies(lib):
    x = lib.zeros(2, 3).t()
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        x.view(6)
    assert x.reshape(6).shape == (6,)


@BOTH
def test_copies(lib):
    x = lib.tensor([1.0, 2.0], requires_grad=True)
    (x * 2).sum().backward()
    x.note = "mine"
    for twin in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert twin is not x
        assert twin.requires_grad
        assert twin.tolist() == [1.0, 2.0]
        assert twin.note == "mine"
    assert copy.deepcopy(x).grad.tolist() == [2.0, 2.0]
    with pytest.raises(RuntimeError):
        copy.deepcopy(x * 2)
    base = lib.arange(6.0)
    pair = copy.deepcopy([base, base[2:]])
    pair[0][2] = 50
    assert pair[1][0] == 50


@BOTH
def test_python_protocols(lib):
    x = lib.tensor([[1, 2], [3, 4]])
    assert len(x) == 2
    assert [row.tolist() for row in x] == [[1, 2], [3, 4]]
    assert 3 in x
    assert 9 not in x
    assert bool(lib.tensor([5]))
    assert not lib.tensor(0.0)
    assert int(lib.tensor(3.7)) == 3
    assert float(lib.tensor(2)) == 2.0
    assert complex(lib.tensor(2.0)) == 2 + 0j
    assert [10, 20, 30][lib.tensor(1)] == 20
    assert f"{lib.tensor(1.23456):.2f}" == "1.23"
    assert list(range(lib.tensor(3))) == [0, 1, 2]
    assert len({x, x}) == 1
    with pytest.raises(TypeError, match="0-d"):
        len(lib.tensor(1))
    with pytest.raises(TypeError, match="0-d"):
        iter(lib.tensor(1))
    with pytest.raises(TypeError):
        [1, 2][lib.tensor(1.0)]
    with pytest.raises(RuntimeError):
        bool(lib.tensor([]))
    with pytest.raises(RuntimeError):
        "a" in x  # noqa: B015
    assert (x == "a") is False or (x == "a") is NotImplemented


@BOTH
def test_data_and_grad_can_be_assigned(lib):
    x = lib.ones(2, requires_grad=True)
    x.data = lib.zeros(3)
    assert x.shape == (3,)
    x.grad = lib.ones(3)
    with pytest.raises(RuntimeError):
        x.grad = lib.ones(2)
    with pytest.raises(RuntimeError):
        x.grad = lib.ones(3, dtype=lib.float64)
    with pytest.raises(TypeError):
        x.grad = 1
    x.grad = None
    assert x.grad is None
    y = (x * 2).detach_()
    assert y.is_leaf


def test_facts():
    for ours, theirs in (
        (rushlight.zeros(2, 3), torch.zeros(2, 3)),
        (rushlight.tensor(1j), torch.tensor(1j)),
    ):
        for name in (
            "is_floating_point",
            "is_complex",
            "is_signed",
            "numel",
            "nelement",
            "dim",
            "ndimension",
            "get_device",
            "type",
        ):
            assert getattr(ours, name)() == getattr(theirs, name)(), name
        for name in ("ndim", "itemsize", "is_leaf", "requires_grad", "is_cuda", "is_sparse", "output_nr"):
            assert getattr(ours, name) == getattr(theirs, name), name
        assert repr(ours.layout) == repr(theirs.layout)
        assert str(ours.device) == str(theirs.device)


def test_grad_fn_names():
    def names(lib):
        x = lib.rand(2, 3, requires_grad=True)
        results = [x + 1, x * x, x / x, x - 1, x**2, -x, x.exp(), x.sum(), x.mean(), x.view(6), x.t(), x[0], x @ x.t(), x.relu(), x.max(),
                   x.reshape(3, 2), lib.cat([x, x]), lib.stack([x, x]), x.softmax(0), x.log_softmax(0), x.abs(), x.clamp(0, 1),
                   x.transpose(0, 1), x.unsqueeze(0), x.squeeze(), x.expand(2, 2, 3), x.clone(), x.double(), x.sigmoid(), x.tanh(),
                   lib.nn.functional.linear(x, x), x.index_select(0, lib.tensor([0])), x.gather(1, lib.tensor([[0]])), x.permute(1, 0),
                   lib.where(x > 0, x, 0), x.sum(0), x.max(0).values, x.std(), x.norm(), x.flatten(), x.masked_fill(x > 0, 0)]  # fmt: skip
        return [type(r.grad_fn).__name__ for r in results]

    assert names(rushlight) == names(torch)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=4), st.sampled_from(KINDS), st.data())
def test_views_agree(shape, kind, data):
    """Random chains of views have PyTorch's shapes, strides and values."""
    array = np.arange(int(np.prod(shape))).astype(kind).reshape(shape)
    ours, theirs = rushlight.from_numpy(array), torch.from_numpy(array.copy())
    for _ in range(data.draw(st.integers(1, 4))):
        n = theirs.ndim
        step = data.draw(st.sampled_from(["permute", "unsqueeze", "squeeze", "slice", "flatten", "select"]))
        if step == "permute":
            order = data.draw(st.permutations(range(n)))
            ours, theirs = ours.permute(order), theirs.permute(order)
        elif step == "unsqueeze":
            dim = data.draw(st.integers(-n - 1, n))
            ours, theirs = ours.unsqueeze(dim), theirs.unsqueeze(dim)
        elif step == "squeeze":
            ours, theirs = ours.squeeze(), theirs.squeeze()
        elif step == "flatten":
            ours, theirs = ours.flatten(), theirs.flatten()
        elif n and step == "slice":
            start, jump = data.draw(st.integers(0, 3)), data.draw(st.integers(1, 3))
            ours, theirs = ours[start::jump], theirs[start::jump]
        elif n and theirs.shape[0]:
            ours, theirs = ours[-1], theirs[-1]
    assert tuple(ours.shape) == tuple(theirs.shape)
    assert ours.tolist() == theirs.tolist()
    assert ours.is_contiguous() == theirs.is_contiguous()
    if theirs.numel():
        assert ours.stride() == theirs.stride()


def test_threads_have_their_own_grad_mode():
    seen = []
    with rushlight.no_grad():
        worker = threading.Thread(
            target=lambda: seen.append((rushlight.ones(2, requires_grad=True) * 2).requires_grad)
        )
        worker.start()
        worker.join()
    assert seen == [True]


def test_a_copy_of_a_view_keeps_its_layout():
    for size, dims in ([(2, 5, 4), (0, 2, 1)], [(2, 3, 4, 5), (0, 2, 3, 1)]):
        strides = [t.zeros(size).permute(dims).clone().stride() for t in (rushlight, torch)]
        assert strides[0] == strides[1]


ELEMENTWISE = {
    "x * 2": lambda x, t: x * 2, "x + x": lambda x, t: x + x, "1 - x": lambda x, t: 1 - x, "x / 255": lambda x, t: x / 255,
    "relu": lambda x, t: x.relu(), "gelu": lambda x, t: t.nn.functional.gelu(x), "x ** 2": lambda x, t: x**2,
    "leaky_relu": lambda x, t: t.nn.functional.leaky_relu(x), "clamp": lambda x, t: x.clamp(0, 3), "x > 1": lambda x, t: x > 1,
    "where": lambda x, t: t.where(x > 1, x, 0.0), "double": lambda x, t: x.double(), "dropout": lambda x, t: t.dropout(x, 0.5, True),
    "with a row": lambda x, t: x + t.ones(x.shape[-1]), "two steps": lambda x, t: (x * 2).exp() + 1,
    "turned back": lambda x, t: (x * 2).transpose(1, -1) + 1, "part": lambda x, t: x[:, :2] * 2, "round": lambda x, t: x.round(),
}  # fmt: skip


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("order", [(0, 2, 1), (2, 0, 1), (0, 3, 1, 2), (0, 2, 1, 3), (0, 4, 1, 2, 3)])
@pytest.mark.parametrize("recorded", [False, True])
def test_results_lie_in_memory_as_the_views_that_they_are_of(name, order, recorded):
    found = []
    for lib in (rushlight, torch):
        x = lib.arange(float(np.prod(range(2, 2 + len(order))))).reshape(tuple(range(2, 2 + len(order))))
        y = ELEMENTWISE[name](x.requires_grad_(recorded).permute(order), lib)
        found.append((y.stride(), y.is_contiguous()))
    assert found[0] == found[1]
    plain = rushlight.nn.Conv1d(3, 4, 1)(rushlight.ones(2, 3, 5))  # whose order inside is no user's wish
    assert ELEMENTWISE[name](plain, rushlight).is_contiguous() or name == "turned back"
