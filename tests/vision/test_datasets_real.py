"""The real MNIST, Fashion-MNIST and part of CIFAR-10, where they are."""

import pytest

from rushlight.vision import datasets

from .datasets_oracle import DATA, needs


@pytest.mark.parametrize("name", [pytest.param(n, marks=needs(n)) for n in ("MNIST", "FashionMNIST")])
def test_idx(name):
    cls = getattr(datasets, name)
    train, test = cls(DATA), cls(DATA, train=False)
    assert (train.data.shape, test.data.shape) == ((60000, 28, 28), (10000, 28, 28))
    assert test.targets.bincount().tolist() == (
        [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009] if name == "MNIST" else [1000] * 10
    )
    if name == "MNIST":
        assert train.targets[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
        assert round(float(train.data.float().mean() / 255), 4) == 0.1307


@pytest.mark.parametrize("name", [pytest.param("CIFAR10", marks=needs("cifar-10-batches-bin"))])
def test_cifar(name):
    train, test = datasets.CIFAR10(DATA, batches=(1,)), datasets.CIFAR10(DATA, train=False)
    assert train.data.shape == test.data.shape == (10000, 32, 32, 3)
    assert test.targets[:5] == [3, 8, 8, 0, 6]
    assert train.classes[3] == "cat"
    assert [train.targets.count(i) for i in (0, 1)] == [1005, 974]
    with pytest.raises(RuntimeError, match="data_batch_2"):
        datasets.CIFAR10(DATA)
