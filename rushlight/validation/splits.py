"""Ways to divide data into what is learned from and what is tested on; the folds are scikit-learn's."""

import math
from dataclasses import dataclass, field

import numpy as np

import rushlight as torch
from rushlight.utils.data import Subset
from rushlight.validation.imbalance import labels_of

__all__ = ["CrossValidation", "KFold", "LeaveOneOut", "StratifiedKFold", "cross_validate", "hold_out"]


def random_state(seed: int | None) -> np.random.RandomState:
    """NumPy's generator of a seed, as scikit-learn uses it; without a seed it goes by Rushlight's random stream."""
    return np.random.RandomState(int(torch.randint(2**31, ())) if seed is None else seed)


class _Split:
    """A scheme that divides samples several times.

    Args:
        folds: how many parts.
        shuffle: divide at random instead of in order.
        seed: of the random order, with which it is that of scikit-learn; by default `manual_seed` decides.
    """

    def __init__(self, folds: int = 5, shuffle: bool = False, seed: int | None = None):
        if not isinstance(folds, int) or folds < 2:
            raise ValueError(f"{type(self).__name__}: folds must be a whole number above 1, got {folds!r}")
        if seed is not None and not shuffle:
            raise ValueError(f"{type(self).__name__}: a seed has no effect without shuffle=True")
        self.folds, self.shuffle, self.seed = folds, shuffle, seed

    def __repr__(self) -> str:
        return f"{type(self).__name__}(folds={self.folds}, shuffle={self.shuffle}, seed={self.seed})"

    def split(self, dataset, labels=None):
        """The places of the samples to learn from and to test on, for each fold.

        Args:
            dataset: a data set, or anything that has a length.
            labels: the classes of the samples, where they matter; those of the data set by default.
        Returns:
            An iterator of (train, test), two lists of places in ascending order.
        """
        count = len(dataset)
        numbers = self._numbers(dataset, labels)
        for fold in range(int(numbers.max()) + 1):
            test = numbers == fold
            yield np.arange(count)[~test].tolist(), np.arange(count)[test].tolist()

    def subsets(self, dataset, labels=None):
        """The same as pairs of `Subset`s."""
        for train, test in self.split(dataset, labels):
            yield Subset(dataset, train), Subset(dataset, test)

    def _check(self, count: int) -> None:
        if count < self.folds:
            raise ValueError(
                f"{type(self).__name__}: {count} samples cannot be divided into {self.folds} folds"
            )


class KFold(_Split):
    """Each sample is tested on once: the data in `folds` parts, all but one of which are learned from in turn.

    Args:
        folds: how many parts.
        shuffle: divide at random instead of in order.
        seed: of the random order, with which it is that of scikit-learn; by default `manual_seed` decides.

    >>> from rushlight.validation import KFold
    >>> for train, test in KFold(2).split(range(5)):
    ...     print(train, test)
    [3, 4] [0, 1, 2]
    [0, 1, 2] [3, 4]
    """

    def _numbers(self, dataset, labels) -> np.ndarray:
        """The fold in which each sample is tested on. The first folds have one more if the number doesn't divide."""
        count = len(dataset)
        self._check(count)
        order = np.arange(count)
        if self.shuffle:
            random_state(self.seed).shuffle(order)
        numbers = np.empty(count, np.int64)
        for fold, part in enumerate(np.array_split(order, self.folds)):
            numbers[part] = fold
        return numbers


class StratifiedKFold(_Split):
    """`KFold` in which each part has the classes in the proportions of the whole.

    Args:
        folds: how many parts.
        shuffle: divide at random instead of in order.
        seed: of the random order, with which it is that of scikit-learn; by default `manual_seed` decides.

    >>> from rushlight.validation import StratifiedKFold
    >>> [test for train, test in StratifiedKFold(2).split(range(6), [0, 0, 0, 0, 1, 1])]
    [[0, 1, 4], [2, 3, 5]]
    """

    def _numbers(self, dataset, labels) -> np.ndarray:
        labels = labels_of(dataset if labels is None else labels).numpy()
        if len(labels) != len(dataset):
            raise ValueError(f"StratifiedKFold: {len(labels)} labels for {len(dataset)} samples")
        self._check(len(labels))
        _, first, codes = np.unique(labels, return_index=True, return_inverse=True)
        codes = np.argsort(np.argsort(first))[codes]  # classes by where they first appear
        sizes = np.bincount(codes)
        if sizes.max() < self.folds:
            raise ValueError(
                f"StratifiedKFold: no class has as many samples as there are folds, {self.folds}"
            )
        # Dealing out the sorted classes like cards says how many of each a fold gets.
        ordered = np.sort(codes)
        shares = [
            np.bincount(ordered[fold :: self.folds], minlength=len(sizes)) for fold in range(self.folds)
        ]
        random = random_state(self.seed) if self.shuffle else None
        numbers = np.empty(len(labels), np.int64)
        for code in range(len(sizes)):
            folds = np.arange(self.folds).repeat([share[code] for share in shares])
            if random is not None:
                random.shuffle(folds)
            numbers[codes == code] = folds
        return numbers


class LeaveOneOut(_Split):
    """Each sample is tested on alone, and all others are learned from: `KFold` with as many folds as samples.

    >>> from rushlight.validation import LeaveOneOut
    >>> [*LeaveOneOut().split(range(3))]
    [([1, 2], [0]), ([0, 2], [1]), ([0, 1], [2])]
    """

    def __init__(self):
        super().__init__(2)

    def __repr__(self) -> str:
        return "LeaveOneOut()"

    def _numbers(self, dataset, labels) -> np.ndarray:
        self._check(len(dataset))
        return np.arange(len(dataset))


def hold_out(dataset, fraction: float = 0.2, *, stratify=None, shuffle: bool = True, seed: int | None = None):
    """Divide data once: most to learn from, the rest to test on.

    Args:
        dataset: a data set.
        fraction: the share that is tested on, rounded up; or how many samples.
        stratify: True for the classes in the proportions of the whole, or the labels.
        shuffle: at random; else the last samples are tested on.
        seed: of the random order, with which it is that of scikit-learn's `train_test_split` (without `stratify`); by
            default `manual_seed` decides.
    Returns:
        (train, test), two `Subset`s.
    Raises:
        ValueError: one of them would be empty.

    >>> from rushlight.validation import hold_out
    >>> train, test = hold_out(range(10), 0.2, shuffle=False)
    >>> [*train], [*test]
    ([0, 1, 2, 3, 4, 5, 6, 7], [8, 9])
    """
    count = len(dataset)
    tested = fraction if isinstance(fraction, int) else math.ceil(fraction * count)
    if not 0 < tested < count:
        raise ValueError(f"hold_out: {tested} of {count} samples cannot be tested on; fraction is {fraction}")
    if stratify is not None and stratify is not False:
        if not shuffle:
            raise ValueError("hold_out: stratify needs shuffle=True")
        labels = labels_of(dataset if stratify is True else stratify).numpy()
        train, test = _stratified(labels, tested, random_state(seed))
    elif shuffle:
        order = random_state(seed).permutation(count)
        train, test = order[tested:], order[:tested]
    else:
        train, test = np.arange(count - tested), np.arange(count - tested, count)
    return Subset(dataset, train.tolist()), Subset(dataset, test.tolist())


def _stratified(labels: np.ndarray, tested: int, random) -> tuple[np.ndarray, np.ndarray]:
    """Places to learn from and to test on; each class gives its share, and the largest remainders give one more."""
    _, codes = np.unique(labels, return_inverse=True)
    sizes = np.bincount(codes)
    shares = sizes * tested / len(codes)
    given = np.floor(shares).astype(int)
    given[np.argsort(given - shares, kind="stable")[: tested - given.sum()]] += 1
    parts = [random.permutation(np.flatnonzero(codes == code)) for code in range(len(sizes))]
    test = np.concatenate([part[:n] for part, n in zip(parts, given, strict=True)])
    train = np.concatenate([part[n:] for part, n in zip(parts, given, strict=True)])
    return random.permutation(train), random.permutation(test)


@dataclass
class CrossValidation:
    """What came of each fold.

    Attributes:
        scores: one dictionary of numbers for each fold.
        models: the models, if they were kept.
    """

    scores: list = field(default_factory=list)
    models: list = field(default_factory=list)

    @property
    def mean(self) -> dict:
        """The mean of each number over the folds."""
        return {name: float(np.mean([s[name] for s in self.scores])) for name in self.scores[0]}

    @property
    def deviation(self) -> dict:
        """The standard deviation of each number over the folds, corrected for the mean being estimated."""
        ddof = min(len(self.scores) - 1, 1)
        return {name: float(np.std([s[name] for s in self.scores], ddof=ddof)) for name in self.scores[0]}

    def __str__(self) -> str:
        deviation = self.deviation
        lines = [f"{name}: {mean:.4g} ± {deviation[name]:.2g}" for name, mean in self.mean.items()]
        return "\n".join([*lines, f"over {len(self.scores)} folds"])


def cross_validate(
    make_model, dataset, fit, evaluate, folds: int | _Split = 5, *, labels=None, keep_models: bool = False
) -> CrossValidation:
    """Train and test a new model on each fold.

    Args:
        make_model: returns a new model.
        dataset: a data set.
        fit: called as `fit(model, train)` with a `Subset`; returns nothing, or a model to take instead.
        evaluate: called as `evaluate(model, test)`; returns a number, or a dictionary of numbers.
        folds: a scheme such as `StratifiedKFold(10, shuffle=True)`, or the number of folds of a `KFold`.
        labels: the classes, for schemes that need them and data sets that don't have them.
        keep_models: keep the models, for example to let them vote.
    Returns:
        A `CrossValidation`, whose text is each number's mean and standard deviation.

    >>> from rushlight.validation import cross_validate
    >>> data = [2.0, 4.0, 6.0, 8.0]
    >>> fit = lambda model, train: sum(train) / len(train)
    >>> error = lambda mean, test: abs(mean - test[0])
    >>> print(cross_validate(dict, data, fit, error, folds=4))
    score: 2.667 ± 1.5
    over 4 folds
    """
    scheme = KFold(folds) if isinstance(folds, int) else folds
    found = CrossValidation()
    for train, test in scheme.subsets(dataset, labels):
        model = make_model()
        fitted = fit(model, train)
        model = model if fitted is None else fitted
        score = evaluate(model, test)
        score = score if isinstance(score, dict) else {"score": score}
        found.scores.append({name: float(value) for name, value in score.items()})
        if keep_models:
            found.models.append(model)
    return found
