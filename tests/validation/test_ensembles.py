"""Ensembles, uncertainty, calibration and max-norm do what their definitions say."""

import math

import numpy as np
import pytest

import rushlight as torch
from rushlight import nn
from rushlight.utils.data import TensorDataset
from rushlight.validation import (
    Snapshots,
    TemperatureScaling,
    Voting,
    bagging,
    dropout_active,
    expected_calibration_error,
    max_norm_,
    mc_dropout,
)


def fixed(*logits):
    return lambda x: torch.tensor([list(logits)]).expand(len(x), -1)


def test_voting():
    x = torch.zeros(3, 1)
    models = [fixed(2.0, 0.0), fixed(0.0, 0.5), fixed(0.0, 0.5)]
    soft = Voting(models)(x)
    expected = (torch.tensor([[2.0, 0.0]]).softmax(1) + 2 * torch.tensor([[0.0, 0.5]]).softmax(1)) / 3
    torch.testing.assert_close(soft, expected.expand(3, 2))
    assert soft.argmax(1).tolist() == [0, 0, 0]
    torch.testing.assert_close(Voting(models, "hard")(x)[0], torch.tensor([1 / 3, 2 / 3]))
    torch.testing.assert_close(Voting(models, "hard", weights=[3, 1, 1])(x)[0], torch.tensor([0.6, 0.4]))
    torch.testing.assert_close(Voting(models, "mean")(x)[0], torch.tensor([2 / 3, 1 / 3]))
    given = [fixed(0.9, 0.1), fixed(0.3, 0.7)]
    torch.testing.assert_close(Voting(given, probabilities=True)(x)[0], torch.tensor([0.6, 0.4]))
    for arguments, message in (
        ([[]], "no models"),
        ([models, "loud"], "method"),
        ([models, "soft", [1, 2]], "3 weights"),
    ):
        with pytest.raises(ValueError, match=message):
            Voting(*arguments)


def test_voting_of_modules_is_a_module():
    vote = Voting([nn.Linear(2, 3), nn.Linear(2, 3)])
    assert len([*vote.parameters()]) == 4 and "weights" in vote.state_dict()
    assert not vote.eval().models[1].training


def blobs(count=120):
    torch.manual_seed(0)
    labels = torch.arange(count) % 3
    centres = torch.tensor([[0.0, 2.0], [2.0, -1.0], [-2.0, -1.0]])
    return TensorDataset(centres[labels] + torch.randn(count, 2) * 0.7, labels)


def fit(model, train):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    x, y = (torch.stack([train[i][part] for i in range(len(train))]) for part in (0, 1))
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()


def test_bagging():
    data = blobs()
    models = bagging(lambda: nn.Linear(2, 3), data, fit, count=6, seed=1)
    again = bagging(lambda: nn.Linear(2, 3), data, lambda model, train: None, count=6, seed=1)
    assert all((a == b).all() for a, b in zip(models.samples, again.samples, strict=True))
    assert all(len(places) == 120 and len({*places}) < 100 for places in models.samples)
    said = models.out_of_bag(data)
    for i in range(5):
        unseen = [m for m, places in zip(models.models, models.samples, strict=True) if i not in places]
        if unseen:
            expected = sum(m(data[i][0][None]).softmax(1)[0] for m in unseen) / len(unseen)
            torch.testing.assert_close(said[i], expected.detach())
    estimate = models.out_of_bag_accuracy(data)
    assert estimate == models.out_of_bag_accuracy(data, data.tensors[1]) and estimate > 0.9
    assert (models(data.tensors[0]).argmax(1) == data.tensors[1]).float().mean() > 0.9
    one = bagging(lambda: nn.Linear(2, 3), data, fit, count=1, seed=0)
    assert one.out_of_bag(data).isnan().any() and 0 <= one.out_of_bag_accuracy(data) <= 1


def test_snapshots_follow_the_cycles():
    net = nn.Linear(2, 1, bias=False)
    optimizer = torch.optim.SGD([{"params": net.parameters()}], lr=0.4)
    snapshots = Snapshots(net, optimizer, steps=20, cycles=2)
    rates = []
    for step in range(20):
        rates.append(optimizer.param_groups[0]["lr"])
        with torch.no_grad():
            net.weight.fill_(step)
        snapshots.step()
    np.testing.assert_allclose(
        rates, [0.2 * (math.cos(math.pi * (step % 10) / 10) + 1) for step in range(20)]
    )
    assert [model.weight[0, 0].item() for model in snapshots.models] == [9, 19]
    assert snapshots.ensemble(method="mean")(torch.tensor([[1.0, 0.0]])).item() == 14
    assert snapshots.ensemble(last=1, method="mean")(torch.tensor([[1.0, 0.0]])).item() == 19
    with pytest.raises(ValueError, match="do not fit"):
        Snapshots(net, optimizer, steps=2, cycles=3)


def test_uneven_cycles_end_with_a_snapshot():
    net = nn.Linear(1, 1)
    snapshots = Snapshots(net, torch.optim.SGD(net.parameters(), lr=0.1), steps=7, cycles=2)
    for _ in range(7):
        snapshots.step()
    assert len(snapshots.models) == 2


def test_mc_dropout():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(2, 40), nn.ReLU(), nn.Dropout(0.5), nn.BatchNorm1d(40), nn.Linear(40, 3)
    ).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    found = mc_dropout(net, torch.randn(6, 2), draws=30)
    assert all(module.training for module in net.modules())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    p = found.samples.numpy().astype(np.float64)
    assert p.shape == (30, 6, 3) and not found.samples.requires_grad and np.ptp(p, axis=0).min() > 0
    entropy = lambda q: -(q * np.log(q)).sum(-1)
    np.testing.assert_allclose(found.entropy.numpy(), entropy(p.mean(0)), rtol=1e-5)
    expected = entropy(p.mean(0)) - entropy(p).mean(0)
    np.testing.assert_allclose(found.mutual_information.numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(found.deviation.numpy(), p.std(0, ddof=1), rtol=1e-4)
    assert (mc_dropout(net, torch.randn(4, 2), classes=False).samples < 0).any()
    with pytest.raises(ValueError, match="no layers of dropout"):
        mc_dropout(nn.Linear(1, 1), torch.zeros(1, 1))
    with pytest.raises(RuntimeError), dropout_active(net.eval()):
        raise RuntimeError
    assert not any(module.training for module in net.modules())


def test_expected_calibration_error():
    torch.manual_seed(0)
    probabilities = (torch.randn(500, 4) * 2).softmax(1)
    labels = torch.randint(0, 4, (500,))
    p, y = probabilities.numpy(), labels.numpy()
    confidence, right = p.max(1), p.argmax(1) == y
    expected = 0.0
    for i in range(15):
        inside = (confidence > i / 15) & (confidence <= (i + 1) / 15)
        if inside.any():
            expected += abs(right[inside].mean() - confidence[inside].mean()) * inside.mean()
    assert expected_calibration_error(probabilities, labels).item() == pytest.approx(expected, abs=1e-6)
    drawn = torch.multinomial(probabilities, 1)[:, 0]  # labels that are as likely as they are said to be
    assert expected_calibration_error(probabilities, drawn) < 0.08
    assert expected_calibration_error(torch.eye(2), torch.tensor([0, 1])) == 0


def test_temperature_scaling():
    torch.manual_seed(0)
    logits = torch.randn(3000, 5) * 2
    labels = torch.multinomial(logits.softmax(1), 1)[:, 0]
    scaling = TemperatureScaling().fit(logits * 3, labels)  # three times too sure
    assert scaling.temperature == pytest.approx(3, rel=0.05) and scaling.log_temperature.grad is None
    scaled = scaling(logits * 3).softmax(1).detach()
    assert (scaled.argmax(1) == logits.argmax(1)).all()
    before = expected_calibration_error((logits * 3).softmax(1), labels)
    assert expected_calibration_error(scaled, labels) < 0.03 < before


def test_max_norm():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Linear(5, 6))
    with torch.no_grad():
        net[0].weight.mul_(20)
        net[1].weight[0] *= 100
        net[1].bias += 50
    expected = [torch.renorm(p.detach(), 2, 0, 2.0) for p in (net[0].weight, net[1].weight)]
    bias = net[1].bias.detach().clone()
    max_norm_(net, limit=2.0)
    for weight, right in zip((net[0].weight, net[1].weight), expected, strict=True):
        torch.testing.assert_close(weight.detach(), right, rtol=1e-5, atol=1e-6)
    assert torch.equal(net[1].bias, bias) and net[0].weight.grad_fn is None
    columns = torch.ones(4, 2) * 3
    max_norm_([columns], limit=1.0, dim=1)
    torch.testing.assert_close(columns.norm(dim=0), torch.ones(2))
    zero = torch.zeros(2, 2)
    max_norm_(zero)
    assert (zero == 0).all()
