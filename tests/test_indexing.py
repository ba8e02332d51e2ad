"""Views and indexing: names of nodes, strides, shared memory, and in-place writes, as in PyTorch."""

import numpy as np
import pytest

import rushlight

torch = pytest.importorskip("torch")

# Expressions in x, a computed (2, 3, 4) tensor: node, strides, and whether it is a view agree.
VIEWS = """
x.view(6, 4)
x.reshape(6, 4)
x.transpose(0, 1).reshape(6, 4)
x.flatten(1)
x.transpose(0, 1).ravel()
x[:1].squeeze()
x[:1].squeeze(0)
x[:1].squeeze((0, 1))
x.unsqueeze(0)
x.transpose(0, 1)
x.permute(2, 0, 1)
x.movedim(0, 2)
x[0].t()
x[0].T
x.mT
x[:, :1].expand(2, 5, 4)
x.narrow(0, 0, 1)
x.select(0, 1)
x.diagonal()
torch.diag_embed(x)
x.unfold(2, 2, 1)
x.as_strided((2, 2), (1, 2))
x.split(1)[1]
x.split([1, 1])[0]
x.chunk(2)[0]
x.tensor_split(2)[1]
x.unbind()[1]
torch.cat([x, x])
torch.stack([x, x])
x.repeat(2, 1, 1)
x.tile(2)
x.roll(1)
x.flip(0)
x.rot90()
x.tril()
x[0]
x[0:1]
x[:]
x[...]
x[None]
x[0, 1]
x[0:1, 1]
x[0, 0:2]
x[0, None]
x[0, :, None]
x[[0, 1]]
x[:, [0, 1]]
x[torch.tensor(1)]
x[True]
x[x > 0]
x[()]
torch.view_as_complex(x[..., :2])
torch.complex(x, x).real
x.index_select(0, torch.tensor([0]))
x.gather(0, torch.zeros(1, 2, 3, dtype=torch.int64))
x.scatter_add(0, torch.zeros(1, 2, 3, dtype=torch.int64), x)
x.masked_fill(x > 0, 1)
x.masked_select(x > 0)
x.index_fill(0, torch.tensor([0]), 1)
x.clone().squeeze_()
x.clone().transpose_(0, 1)
x.clone().zero_()
torch.cat([x[None].to(memory_format=torch.channels_last)] * 2, 1)
torch.cat([x[None].permute(0, 3, 1, 2)] * 2, 1)
""".strip().splitlines()


@pytest.mark.parametrize("expression", VIEWS)
def test_node_strides_and_view(expression):
    found = []
    for module in (rushlight, torch):
        x = module.from_numpy(np.random.default_rng(0).standard_normal((2, 3, 4))).requires_grad_() * 1
        y = eval(expression, {"torch": module, "x": x})
        found.append((y.grad_fn.name(), tuple(y.shape), y.stride(), y._is_view(), y.is_contiguous()))
    assert found[0] == found[1]


def test_views_share_memory():
    x = rushlight.zeros(2, 3)
    views = [x.view(6), x.t(), x[0], x[:, 1:], x.reshape(3, 2), x.unsqueeze(0), x.diagonal(), x.unbind()[1]]
    for view in views:
        view.fill_(0)
        assert view._base is x
        view += 1
        assert x.sum() == view.numel()
        x.zero_()
    assert all(v.sum() == 0 for v in views)


def test_writing_to_a_view_is_seen_by_saved_tensors():
    x = rushlight.ones(3, requires_grad=True)
    y = x * 2
    z = y * y
    y[0] = 5
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


@pytest.mark.parametrize(
    "write", [lambda x: x.__setitem__(0, 1), lambda x: x[0].fill_(1), lambda x: x.view(3).zero_()]
)
def test_leaf_cannot_be_written(write):
    with pytest.raises(RuntimeError, match="leaf Variable"):
        write(rushlight.ones(3, requires_grad=True))


def test_expanded_tensor_cannot_be_written():
    with pytest.raises(RuntimeError, match="more than one element"):
        rushlight.zeros(3).expand(2, 3).fill_(1)


def test_integers_take_no_gradient_from_what_is_written():
    x = rushlight.zeros(3, dtype=rushlight.int64)
    x[0] = rushlight.tensor(2.0, requires_grad=True)
    assert not x.requires_grad


@pytest.mark.parametrize("module", [rushlight, torch])
def test_messages(module):
    x = module.ones(2, 3)
    with pytest.raises(IndexError, match="index 5 is out of bounds for dimension 0 with size 2"):
        x[5]
    with pytest.raises(IndexError, match="index 5 is out of bounds for dimension 1 with size 3"):
        x[0, 5]
    with pytest.raises(IndexError, match="too many indices for tensor of dimension 2"):
        x[0, 0, 0]
    with pytest.raises(ValueError, match="step must be greater than zero"):
        x[::-1]
    with pytest.raises(IndexError, match=r"The shape of the mask \[3\] at index 0 does not match"):
        x[module.tensor([True, False, True])]
    with pytest.raises(RuntimeError, match=r"shape '\[5\]' is invalid for input of size 6"):
        x.view(5)
    with pytest.raises(RuntimeError, match="view size is not compatible with input tensor's size and stride"):
        x.t().view(6)


def test_uint8_masks_and_lists_of_lists_warn():
    x = rushlight.ones(2, 3)
    with pytest.warns(UserWarning, match="uint8"):
        assert x[rushlight.tensor([1, 0], dtype=rushlight.uint8)].shape == (1, 3)
    with pytest.warns(UserWarning, match="non-tuple sequence"):
        assert x[[[0, 1], [1, 2]]].shape == (2,)


def test_channels_last_is_kept_where_it_is_ours():
    """Memory of our own choice stays channels last through cat and pad, and is never seen."""
    from rushlight.tensor import wrap

    hidden = [wrap(np.moveaxis(np.ones((2, 4, 5, 3), np.float32), -1, 1)) for _ in range(2)]
    for result in (rushlight.cat(hidden, 1), rushlight.constant_pad_nd(hidden[0], (1, 1))):
        assert np.moveaxis(result._array, 1, -1).flags.c_contiguous
        assert result.is_contiguous()


def test_resize():
    x = rushlight.arange(6)
    assert x.resize_(2, 2).tolist() == [[0, 1], [2, 3]]
    assert x.resize_as_(rushlight.zeros(3)).shape == (3,)


def test_copy_of_complex_to_real_warns():
    with pytest.warns(UserWarning, match="imaginary part"):
        rushlight.zeros(2).copy_(rushlight.tensor([1j, 2.0]))
