"""Reductions of segments and products of groups against PyTorch."""

import pytest

import rushlight

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("initial", [None, 1.5])
@pytest.mark.parametrize("reduce", ["sum", "mean", "prod", "max", "min"])
def test_segment_reduce(reduce, initial):
    for given, lengths, axis in (
        (torch.randn(6, 2), [2, 1, 3], 0), (torch.randn(5), [5, 0], 0), (torch.randn(2, 4), [[1, 3], [2, 2]], 1),
    ):  # fmt: skip
        found = []
        for framework in (rushlight, torch):
            x = framework.tensor(given.tolist(), requires_grad=True)
            y = framework.segment_reduce(
                x, reduce, lengths=framework.tensor(lengths), axis=axis, initial=initial
            )
            y[y.isfinite()].sum().backward()
            found.append((y.detach().numpy(), x.grad.numpy()))
        for ours, theirs in zip(*found, strict=True):
            assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-6, nan_ok=True)


def test_segment_reduce_refuses():
    x = rushlight.ones(3)
    with pytest.raises(RuntimeError, match=r"sum to data.size"):
        rushlight.segment_reduce(x, "sum", lengths=rushlight.tensor([1, 1]))
    with pytest.raises(ValueError, match="reduce must be one of"):
        rushlight.segment_reduce(x, "median", lengths=rushlight.tensor([3]))
    with pytest.raises(RuntimeError, match="Either lengths or offsets"):
        rushlight.segment_reduce(x, "sum")


def test_grouped_mm():
    a, b, ends = (
        rushlight.randn(5, 4),
        rushlight.randn(2, 4, 3),
        rushlight.tensor([2, 5], dtype=rushlight.int32),
    )
    F = rushlight.nn.functional
    by_rows = rushlight.cat([a[:2] @ b[0], a[2:] @ b[1]])
    assert rushlight.equal(F.grouped_mm(a, b, offs=ends), by_rows)
    assert F.grouped_mm(rushlight.ones(2, 3, 4), b).shape == (2, 3, 3)
    assert F.grouped_mm(a.t(), rushlight.randn(5, 3), offs=ends).shape == (2, 4, 3)
    assert F.grouped_mm(rushlight.ones(2, 3, 4), rushlight.ones(4, 5), offs=ends).shape == (3, 5)
    with pytest.raises(RuntimeError, match="offsets"):
        F.grouped_mm(a, b)
