"""Folds are scikit-learn's."""

import numpy as np
import pytest

import rushlight as torch
from rushlight.utils.data import Subset, TensorDataset
from rushlight.validation import (
    KFold,
    LeaveOneOut,
    StratifiedKFold,
    balanced_sampler,
    class_weights,
    cross_validate,
    hold_out,
    labels_of,
    sample_weights,
)

rng = np.random.default_rng(0)
LABELS = [rng.integers(0, 3, 37), np.array([2] * 9 + [0] * 4 + [1] * 6), np.array([5, 5, 1, 1, 5, 1, 5, 5])]


def lists(pairs):
    return [(np.asarray(train).tolist(), np.asarray(test).tolist()) for train, test in pairs]


@pytest.mark.parametrize("seed", [None, 0, 7])
@pytest.mark.parametrize("count, folds", [(10, 2), (11, 3), (37, 5), (4, 4)])
def test_k_fold(count, folds, seed):
    theirs = pytest.importorskip("sklearn.model_selection").KFold(
        folds, shuffle=seed is not None, random_state=seed
    )
    ours = KFold(folds, shuffle=seed is not None, seed=seed)
    assert lists(ours.split(range(count))) == lists(theirs.split(range(count)))


@pytest.mark.parametrize("seed", [None, 0, 7])
@pytest.mark.parametrize("labels", LABELS, ids=len)
@pytest.mark.parametrize("folds", [2, 3])
def test_stratified_k_fold(labels, folds, seed):
    selection = pytest.importorskip("sklearn.model_selection")
    theirs = selection.StratifiedKFold(folds, shuffle=seed is not None, random_state=seed)
    ours = StratifiedKFold(folds, shuffle=seed is not None, seed=seed)
    assert lists(ours.split(labels, labels)) == lists(theirs.split(labels, labels))
    data = TensorDataset(torch.zeros(len(labels), 2), torch.tensor(labels))
    assert lists(ours.split(data)) == lists(theirs.split(labels, labels))


def test_leave_one_out():
    theirs = pytest.importorskip("sklearn.model_selection").LeaveOneOut()
    assert lists(LeaveOneOut().split(range(6))) == lists(theirs.split(range(6)))


@pytest.mark.parametrize("fraction", [0.2, 0.33, 3])
@pytest.mark.parametrize("shuffle", [True, False])
def test_hold_out(fraction, shuffle):
    split = pytest.importorskip("sklearn.model_selection").train_test_split
    seed = 3 if shuffle else None
    train, test = split(np.arange(11), test_size=fraction, shuffle=shuffle, random_state=seed)
    ours = hold_out(range(11), fraction, shuffle=shuffle, seed=seed)
    assert [[*part] for part in ours] == [train.tolist(), test.tolist()]


@pytest.mark.parametrize("labels", LABELS, ids=len)
def test_stratified_hold_out_keeps_proportions(labels):
    data = TensorDataset(torch.arange(len(labels)), torch.tensor(labels))
    train, test = hold_out(data, 0.3, stratify=True, seed=1)
    assert len(test) == -(-len(labels) * 3 // 10) and sorted(train.indices + test.indices) == [
        *range(len(labels))
    ]
    whole, part = np.bincount(labels), np.bincount(labels[test.indices], minlength=labels.max() + 1)
    assert (abs(part - whole * len(test) / len(labels)) < 1).all()
    assert hold_out(data, 0.3, stratify=labels, seed=1)[1].indices == test.indices


def test_random_folds_go_by_manual_seed():
    def folds():
        torch.manual_seed(4)
        return [*KFold(3, shuffle=True).split(range(30))]

    first = folds()
    assert first == folds() != [*KFold(3, shuffle=True).split(range(30))]


def test_subsets():
    data = TensorDataset(torch.arange(6))
    for train, test in KFold(3).subsets(data):
        assert isinstance(train, Subset) and sorted(train.indices + test.indices) == [*range(6)]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: KFold(1), "above 1"),
        (lambda: KFold(3, seed=1), "no effect"),
        (lambda: [*KFold(5).split(range(4))], "4 samples cannot"),
        (lambda: [*StratifiedKFold(3).split(range(3), [0, 1])], "2 labels for 3"),
        (lambda: [*StratifiedKFold(3).split(range(4), [0, 1, 2, 3])], "no class"),
        (lambda: hold_out(range(3), 3), "3 of 3 samples"),
        (lambda: hold_out(range(3), stratify=[0, 0, 1], shuffle=False), "shuffle=True"),
        (lambda: class_weights(torch.zeros(0)), "no labels"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_cross_validate():
    torch.manual_seed(0)
    x = torch.randn(90, 2)
    data = TensorDataset(x, (x.sum(1) > 0).long())

    def fit(model, train):
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        features, labels = (torch.stack([train[i][part] for i in range(len(train))]) for part in (0, 1))
        for _ in range(60):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(features), labels).backward()
            optimizer.step()

    def evaluate(model, test):
        features, labels = (torch.stack([test[i][part] for i in range(len(test))]) for part in (0, 1))
        return {"accuracy": (model(features).argmax(1) == labels).float().mean(), "size": len(test)}

    found = cross_validate(
        lambda: torch.nn.Linear(2, 2),
        data,
        fit,
        evaluate,
        StratifiedKFold(3, shuffle=True, seed=0),
        keep_models=True,
    )
    scores = [score["accuracy"] for score in found.scores]
    assert found.mean["accuracy"] == np.mean(scores) > 0.9 and len({*found.models}) == 3
    assert found.deviation == {"accuracy": np.std(scores, ddof=1), "size": 0.0}
    assert str(found).splitlines()[1:] == ["size: 30 ± 0", "over 3 folds"]


def test_class_weights():
    compute = pytest.importorskip("sklearn.utils.class_weight").compute_class_weight
    for labels in (LABELS[0], LABELS[1]):
        expected = compute("balanced", classes=np.unique(labels), y=labels)
        np.testing.assert_allclose(class_weights(labels).numpy(), expected, rtol=1e-6)
        np.testing.assert_allclose(sample_weights(labels).numpy(), expected[labels], rtol=1e-6)
    assert class_weights([0, 0, 2], num_classes=4).tolist() == [0.75, 0, 1.5, 0]


def test_balanced_sampler_draws_classes_equally():
    labels = np.repeat([0, 1, 2], [900, 90, 10])
    drawn = labels[[*balanced_sampler(labels, 6000, torch.Generator().manual_seed(0))]]
    assert abs(np.bincount(drawn) / 6000 - 1 / 3).max() < 0.02


def test_labels_of_every_kind_of_data_set():
    class Own(torch.utils.data.Dataset):
        targets = [1, 0, 2]

        def __len__(self):
            return 3

    expected = [1, 0, 2]
    pairs = [(torch.zeros(1), label) for label in expected]
    for data in (
        expected,
        np.array(expected),
        torch.tensor(expected),
        Own(),
        pairs,
        Subset([*pairs, pairs[0]], [0, 1, 2]),
    ):
        assert labels_of(data).tolist() == expected and labels_of(data).dtype == torch.int64
