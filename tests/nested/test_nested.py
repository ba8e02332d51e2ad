"""`torch.nested` in both layouts: operations and their gradients, sizes, printing, errors, files, layers."""

import copy
import pickle
import re
import subprocess
import sys

import pytest

import rushlight
from rushlight import overrides

torch = pytest.importorskip("torch")
from tests.nested.compare import compare, dense, names  # noqa: E402  (needs PyTorch)


@pytest.fixture(scope="module", autouse=True)
def _no_overrides_afterwards():
    yield
    overrides.disable()


#: Expressions that work in both layouts, or are refused in both frameworks with one type of exception.
BOTH = """
t + 1 | t + torch.tensor(2.0) | t + torch.ones(3) | t + torch.ones(2, 1, 3) | t + torch.ones(2, 3) | t + t | t - t * 2
3 * t | t / torch.tensor([[2.0]]) | -t | abs(t) | t.sin() | F.relu(t) | torch.relu(t) | F.gelu(t) | F.silu(t)
t.tanh() | t > 0 | t.eq(1) | t.masked_fill(t > 0.5, 0.0) | F.dropout(t, 0.5)
F.dropout(t, 0.0) | F.dropout(t, 0.5, False) | torch.dropout(t, 0.3, True) | t.isnan() | t.logical_not()
t.double() | t.to(torch.float64) | t.half().dtype | t.to("cpu") is t | t.clone() | t.detach().requires_grad | t.data
t.long() | t.type_as(k) | t.contiguous() | t.softmax(-1) | F.softmax(t, dim=1) | torch.softmax(t, 0)
t.sum(-1, keepdim=True) | t.sum(0) | t.sum((0, 1), keepdim=True) * 0 if t.layout is torch.jagged else 0
t.std() | t.cumsum(-1) | torch.sort(t) | t.tril() | t.repeat(1, 1, 2) | t.nonzero() | t.topk(1) | t.to_sparse() | F.pad(t, (0, 1))
torch.nn.LayerNorm(3)(t) | F.layer_norm(t, (3,), torch.ones(3), torch.ones(3)) | lin(t) | F.linear(t, torch.ones(2, 3))
torch.nn.Sequential(lin, torch.nn.ReLU())(t) | emb(k) | emb(t) * 0 if t.layout is torch.jagged else 0
t.transpose(1, 2) | t.transpose(-1, -2) | t.transpose(0, 1) is None | t.transpose(1, 2).transpose(1, 2) | t.mT | t.swapaxes(1, 2)
t.view(2, -1, 3, 1) | t.reshape(2, -1, 1, 3) | t.view(-1, 3) | t.reshape(-1) | t.view(3, -1, 3) | t.flatten() | t.flatten(-1) | t.ravel()
t.unsqueeze(-1) | t.unsqueeze(1) | t.unsqueeze(0) | t.unsqueeze(-1).squeeze(-1) | t.unsqueeze(9)
t.chunk(3, -1) | t.split([1, 2], -1) | t.split_with_sizes([1, 2], -1) | torch.cat([t, t], -1) | torch.cat([t, a], 0) is None
t[0] | t[-1] | t[1, 0] | t[1, 2:3] | t[0, :, 1] | t[5] | t[..., 0] | t[:, 0] | t[None] | t[0:1] | t[torch.tensor([0])]
t.select(0, 1) | t.unbind() | torch.unbind(t) | t.unbind(1) | list(t) | t.to_padded_tensor(0.0) | t.to_padded_tensor(1.5, (2, 6, 3))
N.to_padded_tensor(t, -1.0) | k.to_padded_tensor(7)
torch.zeros_like(t) | torch.ones_like(t) | torch.randn_like(t) | torch.empty_like(t).dtype | t.detach().fill_(3) | t.detach().zero_()
t.detach().relu_() | t.detach().add_(1) | t.detach().mul_(t.detach()) | t.clone().mul_(2) | t.detach().copy_(t * 2)
t.dim() | t.ndim | t.size(0) | t.size(2) | t.size(-1) | t.size(3) | t.numel() | t.nbytes | t.element_size() | t.dtype | t.layout
t.device | t.is_nested | t.is_sparse | t.is_leaf | t.requires_grad | (t * 2).is_leaf | t.is_floating_point() | t.is_complex() | t.is_contiguous()
t.is_same_size(t) | bool(t) | t.item() | t.numpy() | t.tolist() | t.grad is None | torch.is_tensor(t) | a.is_nested | t.values() | t.type()
t @ torch.ones(5, 5) | lin(t).relu().sum(-1, keepdim=True)
heads.transpose(1, 2).contiguous() | heads.transpose(1, 2).transpose(1, 2) | heads.reshape(2, -1, 24) | heads.view(2, -1, 3, 2, 4)
torch.autograd.grad(t * 3, t, torch.ones_like(t)) | t.cuda()
"""

#: What the layout torch.jagged alone has.
JAGGED = """
t.size() | t.shape | t.size(1) == t.size(1) | t.size(1) == 4 | t.size(1) >= 2 | t.size(1) > 3 | t.size(1) * 2 | len(t) | t.stride()
t.offsets() | t.lengths() | t.transpose(1, 2).stride() | t.transpose(1, 2).is_contiguous() | t.shape == (t * 2).shape
t * torch.ones(1, 1, 3) | t * torch.ones(2, 1, 1) | t - torch.arange(24.0).reshape(2, 4, 3) | torch.ones(3) - t | 2 / t | t - t[..., 0:1]
t.exp() | t.sigmoid() | F.elu(t) | t.add_(1) | N.to_padded_tensor(t.transpose(1, 2), 0.0) | F.scaled_dot_product_attention(heads.transpose(1, 2), a, a)
t.clamp(0, 1) | t**2 | torch.where(t > 0, t, t * 2) | torch.maximum(t, -t) | torch.lerp(t, t * 2, 0.5) | torch.add(t, t, alpha=2)
t.frexp() | torch.nan_to_num(t) | t.round(decimals=1) | torch.isfinite(t) | t + torch.ones(1, 1, 1, 3)
t.transpose(1, 2) + torch.ones(2, 3, 1) | t.transpose(1, 2) * torch.arange(24.0).reshape(2, 3, 4)
t.sum() | t.sum(-1) | t.sum(1) | t.sum((0, 1)) | t.sum(dim=(1, 2)) | t.sum(dim=(0, 1, 2)) | t.sum(1, keepdim=True) | torch.sum(t, dim=2)
t.mean() | t.mean(-1) | t.mean(1) | t.mean((0, 1)) | t.mean(1, keepdim=True) | t.mean((1, 2)) | t.amax(1) | t.amax(-1) | t.amin(1)
t.max() | t.max(1) | t.max(dim=-1) | t.min(-1).indices | t.argmax(1) | t.argmin(-1) | t.prod() | t.prod(1) | t.all() | t.any() | t.any(1)
k.sum(1) | k.amax(1) | k.amin(1) | (k > 2).all(1) | t.transpose(1, 2).sum(2) | t.transpose(1, 2).mean(-1) | t.unsqueeze(1).sum(1)
heads.sum(2) | heads.amax((2, 3)) | heads.mean(1) | heads.sum((1, 2))
t.log_softmax(-1) | t.log_softmax(1) | heads.softmax(1) | t.transpose(1, 2).softmax(2) | F.layer_norm(t, (3,)) | F.layer_norm(t, (t.size(1), 3))
F.rms_norm(t, (3,)) | F.rms_norm(t, (t.size(1), 3)) | torch.nn.RMSNorm(3)(t) | F.layer_norm(heads, (3, 8))
t @ torch.arange(6.0).reshape(3, 2) | torch.matmul(t, torch.ones(2, 3, 4)) | torch.bmm(t, torch.ones(2, 3, 4)) | heads @ heads.transpose(2, 3)
torch.matmul(t, t.transpose(1, 2)) | torch.matmul(t.transpose(1, 2), t) | torch.ones(2, 3) @ t.transpose(1, 2) | torch.bmm(t, a)
torch.ones(2, 5, 3) @ t.transpose(1, 2) | lin(t.transpose(1, 2))
t.permute(0, 2, 1) | t.permute(1, 0, 2) | t.permute(0, 1) | t.movedim(1, 2) | t.unflatten(-1, (3, 1)) | t.flatten(1) | heads.flatten(-2) | heads.flatten(2, 3)
t.view(2, t.size(1), 3, 1) | t.reshape(2, t.size(1), -1) | t.view_as(t) | t.reshape_as(t * 2) | t.unsqueeze(-1).expand(2, -1, 3, 4) | t.expand(3, -1, 3)
t.split(2, -1) | t.split(1, 0) | t.chunk(2, 0) | t.chunk(2, 1) | t.narrow(-1, 0, 2) | t.narrow(1, 0, 1) | t.diff() | torch.stack([t, t], -1) | torch.stack([t, t])
torch.cat([t, t], 0) | torch.cat([t, t], 1) | torch.cat([t, torch.ones(3)], -1) | t.select(-1, 1) | t.select(1, 0) | heads[..., 1:3, :] | heads[..., None] | t.squeeze()
torch.full_like(t, 2) | torch.rand_like(t) | F.mse_loss(t, t) | torch.allclose(t, t) | t.transpose(0, 2) is None
F.scaled_dot_product_attention(heads.transpose(1, 2), heads.transpose(1, 2), heads.transpose(1, 2))
F.scaled_dot_product_attention(*[heads.transpose(1, 2)] * 3, scale=0.3) | F.scaled_dot_product_attention(heads, heads, heads)
F.scaled_dot_product_attention(*[heads.transpose(1, 2)] * 3).transpose(1, 2).flatten(-2)
F.scaled_dot_product_attention(heads, heads, heads.double()) | F.scaled_dot_product_attention(*[heads.transpose(1, 2)] * 3, attn_mask=a)
t + N.nested_tensor([a, b], layout=torch.jagged) | N.nested_tensor([a.T, b.T], layout=torch.jagged) * 2
N.nested_tensor([a, b.T], layout=torch.jagged) | N.nested_tensor([a, a.int()], layout=torch.jagged) | N.nested_tensor([], layout=torch.jagged)
N.nested_tensor([a, a[0]], layout=torch.jagged) | N.nested_tensor(a, layout=torch.jagged) | N.as_nested_tensor(b.reshape(2, 2, 3), layout=torch.jagged)
N.as_nested_tensor([lin.weight, lin.weight * 2], layout=torch.jagged) | N.as_nested_tensor(t, layout=torch.jagged) is t | N.as_nested_tensor(t)
N.nested_tensor_from_jagged(lin.weight, torch.tensor([0, 1, 2])) | N.nested_tensor_from_jagged(b, lengths=torch.tensor([3, 1]))
N.nested_tensor_from_jagged(b) | N.nested_tensor_from_jagged(b, torch.tensor([0, 1, 3]), jagged_dim=2) | N.nested_tensor_from_jagged(b, torch.tensor([0, 4]), jagged_dim=0)
N.nested_tensor_from_jagged(b, torch.tensor([0, 2, 4]), torch.tensor([1, 2])) | N.nested_tensor_from_jagged(b, torch.tensor([0, 2, 4]), torch.tensor([1, 2])).contiguous()
N.nested_tensor_from_jagged(b, torch.tensor([0, 2, 4]), torch.tensor([1, 2])) * 2 | N.nested_tensor_from_jagged(b, torch.tensor([0, 2, 4]), torch.tensor([1, 2])).sum(1)
N.nested_tensor_from_jagged(b, torch.tensor([0, 2, 4]), torch.tensor([1, 2])).numel() | lin(N.nested_tensor_from_jagged(b, torch.tensor([0, 2, 4]), torch.tensor([1, 2])))
N.narrow(b.reshape(2, 2, 3), 1, torch.tensor([0, 1]), torch.tensor([1, 1]), layout=torch.jagged) | N.narrow(b, 1, 0, 2, layout=torch.jagged) | N.narrow(b, 0, 0, 1, layout=torch.jagged)
N.masked_select(b, b > 0) | N.masked_select(b, torch.tensor([False])) | t.sum(-1).masked_select(t.sum(-1) > 0) | t.masked_select(t > 0)
"""

#: What the layout torch.strided alone has.
STRIDED = """
t.size() | t.shape | t.size(1) | t.stride() | len(t) | torch.matmul(t, t.transpose(1, 2)) | torch.bmm(t, t.transpose(1, 2)) | t @ a | torch.cat([t, t], 0)
t.chunk(2, -1) | t.chunk(2, 0) | t.squeeze() | t.select(1, 0) | t.narrow(-1, 0, 2) | t.sum(-1) | t.sum(1) | t.sum((1, 2)) | t.sum() | F.layer_norm(t, (3,))
t.reshape_as(t) | t.offsets() | t._nested_tensor_size() | t.to_padded_tensor(0.0, (2, 1, 1)) | F.scaled_dot_product_attention(t, t, t) | t.permute(0, 2, 1)
N.nested_tensor([a, b.T]).to_padded_tensor(0.0) | N.nested_tensor([a, b.T]) * 2 | N.nested_tensor([[1, 2], [3]]) | N.nested_tensor([])
N.nested_tensor([a, a[0]]) | N.nested_tensor([a, a.int()]) | N.nested_tensor(a) | N.nested_tensor(3) | N.nested_tensor([1.5, 2.5]) | N.nested_tensor([a], layout=torch.sparse_coo)
N.nested_tensor([torch.ones(0, 3), a]).to_padded_tensor(1.0) | N.nested_tensor([a, a]).size(1) | N.as_nested_tensor(a) | N.as_nested_tensor(a[0]) | N.as_nested_tensor(3)
N.as_nested_tensor([lin.weight, lin.weight * 2]) | N.as_nested_tensor(t, layout=torch.jagged) | N.narrow(b, 1, torch.tensor([0]), 1) | N.narrow(b, 1, 0, 1) | N.narrow(b, 0, 0, 2)
N.nested_tensor([a, b]) + N.nested_tensor([b, a]) | t + N.nested_tensor([a, b], layout=torch.jagged) | (t * 2).backward() | (t * 2).backward(a)
"""


def _rows(text: str) -> list[str]:
    return [row.strip() for line in text.strip().splitlines() for row in line.split(" | ")]


@pytest.mark.parametrize("layout", ["strided", "jagged"])
@pytest.mark.parametrize("expression", _rows(BOTH))
def test_both_layouts(expression, layout):
    compare(expression, layout)


@pytest.mark.parametrize("expression", _rows(JAGGED))
def test_jagged(expression):
    compare(expression, "jagged")


@pytest.mark.parametrize("expression", _rows(STRIDED))
def test_strided(expression):
    compare(expression, "strided")


def test_printed_form():
    """Strided tensors show their pieces, jagged ones their sizes; each set of offsets has a number of its own."""
    for layout in ("strided", "jagged"):
        ours, theirs = (_texts(framework, layout) for framework in (rushlight, torch))
        assert ours == theirs


def _texts(torch, layout: str) -> list[str]:
    t = names(torch, layout)["t"]
    double = t.detach().double()
    texts = map(repr, (t, t.detach(), double, t * 2, (t > 0).unbind()[0], t.detach().transpose(1, 2)))
    return [re.sub(r"j\d+", "j", re.sub(" object at 0x[0-9a-f]+", "", text)) for text in texts]


def test_sizes_are_of_one_set_of_offsets():
    """Tensors on the same offsets fit together, others of the same lengths do not."""
    nested = rushlight.nested
    offsets = rushlight.tensor([0, 2, 5])
    x, y = (nested.nested_tensor_from_jagged(rushlight.ones(5, 2) * i, offsets) for i in (1, 2))
    assert x.shape == y.shape and hash(x.size(1)) == hash(y.size(1))
    assert (x + y).values().sum() == 30
    other = nested.nested_tensor_from_jagged(rushlight.ones(5, 2), offsets.clone())
    assert x.shape != other.shape
    with pytest.raises(RuntimeError, match="very same offsets tensor"):
        x + other
    assert isinstance(x.size(1), rushlight.SymInt) and str(x.size(1) * 3) == f"3*{x.size(1)}"


@pytest.mark.parametrize("layout", ["strided", "jagged"])
def test_gradients_and_hooks(layout):
    """`.grad` is nested likewise and adds up; hooks see nested gradients; tensors of a list get theirs."""
    t = names(rushlight, layout)["t"]
    seen = []
    t.register_hook(lambda g: seen.append(g.is_nested))
    for _ in range(2):
        (t * 3).to_padded_tensor(0.0).sum().backward()
    assert seen == [True, True]
    assert t.grad.is_nested and t.grad.values().unique().tolist() == [6.0]
    t.grad = None
    doubled = t * 2
    doubled.retain_grad()
    doubled.backward(rushlight.ones_like(t))
    assert doubled.grad.values().sum() == 18 and t.grad.values().sum() == 36
    parts = [rushlight.ones(n, 2, requires_grad=True) for n in (2, 3)]
    packed = rushlight.nested.as_nested_tensor(parts, layout=t.layout)
    rushlight.autograd.backward([packed], [rushlight.ones_like(packed) * 5])
    assert [p.grad.sum().item() for p in parts] == [20.0, 30.0]


@pytest.mark.parametrize("layout", ["strided", "jagged"])
def test_copies_and_files(layout, tmp_path):
    """Copies are of their own memory; either framework reads the other's files."""
    ours, theirs = (names(framework, layout)["t"].detach() for framework in (rushlight, torch))
    for made in (copy.deepcopy(ours), copy.copy(ours), pickle.loads(pickle.dumps(ours))):
        assert [p.tolist() for p in made.unbind()] == [p.tolist() for p in ours.unbind()]
    copied = copy.deepcopy(ours)
    copied.mul_(0)
    assert ours.values().abs().sum() > 0
    for writer, reader, t in (
        (rushlight, torch, ours),
        (torch, rushlight, theirs),
        (rushlight, rushlight, ours),
    ):
        writer.save({"t": t}, tmp_path / "t.pt")
        found = reader.load(tmp_path / "t.pt")["t"]
        assert found.is_nested and str(found.layout) == f"torch.{layout}"
        assert [p.tolist() for p in found.unbind()] == [p.tolist() for p in t.unbind()]


def test_layers_in_evaluation():
    """Attention and encoders take nested tensors of the layout torch.strided, without gradients."""
    results = []
    for framework in (rushlight, torch):
        framework.manual_seed(0)
        layer = framework.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        encoder = framework.nn.TransformerEncoder(layer, 2).eval()
        t = names(framework, "strided")["heads"].detach()
        t = framework.nested.nested_tensor([p[:, 0] for p in t.unbind()])
        with framework.no_grad():
            out, weights = encoder.layers[0].self_attn(t, t, t)
            results.append([encoder(t), out, weights])
    for ours, theirs in zip(*results, strict=True):
        assert ours.is_nested == theirs.is_nested
        for x, y in zip(dense(ours), dense(theirs), strict=True):
            torch.testing.assert_close(torch.tensor(x.tolist()), y, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("layout", ["strided", "jagged"])
def test_attention_layers_say_why_not(layout):
    """What PyTorch's fast path alone does is refused where that would not be taken."""
    attention = rushlight.nn.MultiheadAttention(8, 2, batch_first=True)
    t = rushlight.nested.nested_tensor([rushlight.ones(2, 8)], layout=getattr(rushlight, layout))
    with pytest.raises(AssertionError, match="because training is enabled"):
        attention(t, t, t)
    with pytest.raises(AssertionError, match="non-self attention"):
        attention(t, t, t * 1)
    with pytest.raises(AssertionError, match=r"grad is enabled|has_torch_function"):
        attention.eval()(t, t, t)


def test_a_transformer_learns_the_same_with_padding():
    """Attention, layer norm and linear layers over jagged tensors give the losses of padded batches with masks."""
    F = rushlight.nn.functional
    pieces = [rushlight.randn(n, 8) for n in (3, 5, 2)]
    losses = []
    for nested in (True, False):
        rushlight.manual_seed(1)
        qkv, out, norm = rushlight.nn.Linear(8, 24), rushlight.nn.Linear(8, 8), rushlight.nn.LayerNorm(8)
        model = rushlight.nn.ModuleList([qkv, out, norm])
        optimizer = rushlight.optim.SGD(model.parameters(), lr=0.1)
        x = rushlight.nested.nested_tensor(pieces, layout=rushlight.jagged)
        dense_x = x.to_padded_tensor(0.0)
        kept = rushlight.nested.to_padded_tensor(rushlight.ones_like(x), 0.0)
        for _ in range(3):
            y = x if nested else dense_x
            q, k, v = (p.unflatten(-1, (2, 4)).transpose(1, 2) for p in qkv(norm(y)).chunk(3, -1))
            mask = None if nested else (kept[:, None, None, :, 0] > 0)
            y = y + out(F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(-2))
            loss = (y**2).sum() if nested else ((y * kept) ** 2).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert losses[:3] == pytest.approx(losses[3:], rel=1e-5)


def test_autocast_and_no_grad():
    """Automatic casts reach the packed values."""
    t = names(rushlight, "jagged")["t"]
    with rushlight.autocast("cpu"):
        assert rushlight.nn.Linear(3, 2)(t).dtype is rushlight.bfloat16
    with rushlight.no_grad():
        assert not (t * 2).requires_grad


def test_programs_without_nested_tensors_pay_nothing():
    """Naming the module leaves all functions as they are; the first nested tensor leads them here."""
    program = """
import rushlight as torch
before = torch.add.__code__
torch.nested, torch.jagged
print(torch.add.__code__ is before)
torch.nested.nested_tensor([torch.ones(2)])
print(torch.add.__code__ is before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


def test_ordinary_tensors_are_not_padded():
    """As in PyTorch, whose method of all tensors it is."""
    for t in (torch, rushlight):
        for pad in (
            t.ones(2).to_padded_tensor,
            lambda value, t=t: t.nested.to_padded_tensor(t.ones(2), value),
        ):
            with pytest.raises(NotImplementedError, match="to_padded_tensor"):
                pad(0.0)
