"""Averaged models against PyTorch's."""

import numpy as np
import pytest

import rushlight as rl

torch = pytest.importorskip("torch")


def network(lib):
    lib.manual_seed(0)
    return lib.nn.Sequential(lib.nn.Linear(4, 3), lib.nn.BatchNorm1d(3), lib.nn.Linear(3, 2))


AVERAGES = {
    "mean": lambda u: {},
    "mean with buffers": lambda u: {"use_buffers": True},
    "swa": lambda u: {"avg_fn": u.get_swa_avg_fn()},
    "swa of lists": lambda u: {"multi_avg_fn": u.get_swa_multi_avg_fn()},
    "ema": lambda u: {"avg_fn": u.get_ema_avg_fn(0.7)},
    "ema of lists": lambda u: {"multi_avg_fn": u.get_ema_multi_avg_fn(0.7), "use_buffers": True},
    "own": lambda u: {"avg_fn": lambda average, value, n: average * n / (n + 2) + value / (n + 2)},
    "on a device": lambda u: {"device": "cpu"},
}


def averaged(lib, kind):
    model = network(lib)
    average = lib.optim.swa_utils.AveragedModel(model, **AVERAGES[kind](lib.optim.swa_utils))
    rng = np.random.default_rng(0)
    with lib.no_grad():
        for _ in range(4):
            for p in model.parameters():
                p.copy_(lib.tensor(rng.standard_normal(tuple(p.shape)).astype("float32")))
            model(lib.tensor(rng.standard_normal((6, 4)).astype("float32")))  # moves the running statistics
            average.update_parameters(model)
    return average


@pytest.mark.parametrize("kind", AVERAGES)
def test_averages(kind):
    ours, theirs = averaged(rl, kind).state_dict(), averaged(torch, kind).state_dict()
    assert list(ours) == list(theirs)
    for key, value in theirs.items():
        assert str(ours[key].dtype) == str(value.dtype)
        np.testing.assert_allclose(ours[key].numpy(), value.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", ["tensors", "pairs", "on a device"])
def test_update_bn(form):
    def statistics(lib):
        model = network(lib).eval()
        model[1].momentum = 0.3
        lib.manual_seed(1)
        batches = [lib.randn(5, 4) for _ in range(3)]
        data = [(b, 0) for b in batches] if form == "pairs" else batches
        lib.optim.swa_utils.update_bn(data, model, **({"device": "cpu"} if form == "on a device" else {}))
        assert not model.training and model[1].momentum == 0.3
        return [b.numpy() for b in model.buffers()]

    for a, b in zip(statistics(rl), statistics(torch), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_update_bn_without_such_layers():
    rl.optim.swa_utils.update_bn(None, rl.nn.Linear(1, 1))


def test_whole_numbers_are_averaged():
    u = rl.optim.swa_utils
    for update in (u.get_ema_multi_avg_fn(0.5), u.get_swa_multi_avg_fn()):
        average = rl.tensor([2, 4])
        update([average], [rl.tensor([4, 8])], rl.tensor(1))
        assert average.tolist() == [3, 6]


def wrong(lib):
    u = lib.optim.swa_utils
    return {
        "decay": lambda: u.get_ema_avg_fn(1.5),
        "decay of lists": lambda: u.get_ema_multi_avg_fn(-1),
        "both": lambda: u.AveragedModel(network(lib), avg_fn=max, multi_avg_fn=max),
    }


@pytest.mark.parametrize("case", wrong(rl))
def test_errors(case):
    with pytest.raises((AssertionError, ValueError)) as theirs:
        wrong(torch)[case]()
    with pytest.raises(type(theirs.value)) as ours:
        wrong(rl)[case]()
    assert str(ours.value) == str(theirs.value)
