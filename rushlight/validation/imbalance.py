"""Weights for classes that have unequal numbers of samples."""

import numpy as np

import rushlight as torch
from rushlight.tensor import Tensor
from rushlight.utils.data import Subset, TensorDataset, WeightedRandomSampler

__all__ = ["balanced_sampler", "class_weights", "labels_of", "sample_weights"]


def labels_of(dataset) -> Tensor:
    """The class of each sample of a data set.

    Args:
        dataset: labels themselves (a tensor, array or list of numbers), or a data set: its `targets`, the last tensor of a
            `TensorDataset`, or else the second part of each sample, for which all are read.
    Returns:
        int64, (N,).

    >>> from rushlight.validation import labels_of
    >>> labels_of([(torch.zeros(2), 1), (torch.zeros(2), 0)])
    tensor([1, 0])
    """
    if isinstance(dataset, Subset):
        return labels_of(dataset.dataset)[list(dataset.indices)]
    if isinstance(dataset, TensorDataset):
        labels = dataset.tensors[-1]
    elif hasattr(dataset, "targets"):
        labels = dataset.targets
    elif isinstance(dataset, Tensor | np.ndarray) or len(dataset) == 0 or np.isscalar(dataset[0]):
        labels = dataset
    else:
        labels = [int(dataset[i][1]) for i in range(len(dataset))]
    return torch.as_tensor(labels).reshape(-1).long()


def _counts(labels, num_classes: int | None) -> tuple[Tensor, Tensor]:
    labels = labels_of(labels)
    if not len(labels):
        raise ValueError("there are no labels to count")
    return labels, torch.bincount(labels, minlength=num_classes or 0)


def class_weights(labels, num_classes: int | None = None) -> Tensor:
    """The weight of each class with which all count alike: N / (classes * its samples); scikit-learn calls it balanced.

    Args:
        labels: labels or a data set, see `labels_of`.
        num_classes: how many classes there are; by default up to the highest label.
    Returns:
        float32, (classes,), as `CrossEntropyLoss(weight=...)` takes it; 0 for classes without samples.
    Raises:
        ValueError: there are no labels.

    >>> from rushlight.validation import class_weights
    >>> class_weights(torch.tensor([0, 0, 0, 1]))
    tensor([0.6667, 2.0000])
    """
    labels, counts = _counts(labels, num_classes)
    present = (counts > 0).sum()
    weights = len(labels) / (present * counts.clamp(min=1).double())
    return torch.where(counts > 0, weights, 0.0).float()


def sample_weights(labels, num_classes: int | None = None) -> Tensor:
    """The weight of each sample, that of its class, as `WeightedRandomSampler` takes it.

    Args:
        labels: labels or a data set, see `labels_of`.
        num_classes: how many classes there are.
    Returns:
        float64, (N,).

    >>> from rushlight.validation import sample_weights
    >>> sample_weights(torch.tensor([0, 0, 0, 1]))
    tensor([0.6667, 0.6667, 0.6667, 2.0000], dtype=torch.float64)
    """
    return class_weights(labels, num_classes).double()[labels_of(labels)]


def balanced_sampler(labels, num_samples: int | None = None, generator=None) -> WeightedRandomSampler:
    """A sampler that draws all classes equally often, for `DataLoader(sampler=...)`.

    Args:
        labels: labels or a data set, see `labels_of`.
        num_samples: how many are drawn in an epoch; as many as there are by default.
        generator: of random numbers.

    >>> from rushlight.validation import balanced_sampler
    >>> len(balanced_sampler(torch.tensor([0, 0, 0, 1])))
    4
    """
    weights = sample_weights(labels)
    return WeightedRandomSampler(weights, num_samples or len(weights), generator=generator)
