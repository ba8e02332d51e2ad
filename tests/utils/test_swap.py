"""torch.utils.swap_tensors."""

import weakref

import pytest

import rushlight as torch


def test_everything_is_exchanged():
    layer = torch.nn.Linear(2, 2, bias=False)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    held = layer.weight
    other = torch.nn.Parameter(torch.ones(3, 2, dtype=torch.float64))
    other.note = "mine"
    other.grad = torch.ones_like(other)
    torch.utils.swap_tensors(layer.weight, other)
    assert layer.weight is held is optimizer.param_groups[0]["params"][0]
    assert held.shape == (3, 2) and held.dtype == torch.float64 and held.note == "mine"
    assert other.shape == (2, 2) and other.grad is None and not hasattr(other, "note")
    optimizer.step()
    assert held.allclose(torch.full((3, 2), 0.9, dtype=torch.float64))
    out = layer(torch.ones(1, 2, dtype=torch.float64)).sum()
    out.backward()
    assert held.grad.shape == (3, 2)


def test_classes_and_weak_references():
    class Mine(torch.Tensor):
        pass

    a, b = torch.ones(2), torch.zeros(1).as_subclass(Mine)
    torch.utils.swap_tensors(a, b)
    assert type(a) is Mine and type(b) is torch.Tensor and b.tolist() == [1.0, 1.0]
    reference = weakref.ref(a)
    with pytest.raises(RuntimeError, match="Cannot swap t1 because it has weakref"):
        torch.utils.swap_tensors(a, b)
    assert reference() is a
