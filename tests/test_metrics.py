"""Metrics against scikit-learn, over batches of uneven sizes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rushlight as torch
from rushlight import metrics as M

sk = pytest.importorskip("sklearn.metrics")
SIZES = (7, 32, 1, 20)


def batches(*arrays):
    start = 0
    for size in SIZES:
        yield [torch.from_numpy(a[start : start + size]) for a in arrays]
        start += size


def over(metric, *arrays):
    """The metric over all batches, first through update, then again through forward."""
    for batch in batches(*arrays):
        metric.update(*batch)
    value = metric.compute()
    metric.reset()
    for batch in batches(*arrays):
        metric(*batch)
    again = metric.compute()
    if isinstance(value, torch.Tensor):
        assert torch.equal(value, again)
    return value


def data(classes=4, seed=0):
    random = np.random.default_rng(seed)
    n = sum(SIZES)
    target = random.integers(0, classes, n)
    scores = random.random((n, classes)).astype(np.float32) + 0.5 * np.eye(classes, dtype=np.float32)[target]
    return scores / scores.sum(1, keepdims=True), target


@pytest.mark.parametrize("average", ["micro", "macro", "weighted", None])
@pytest.mark.parametrize(
    ("metric", "theirs"),
    [
        (M.Precision, sk.precision_score),
        (M.Recall, sk.recall_score),
        (M.F1Score, sk.f1_score),
        (M.JaccardIndex, sk.jaccard_score),
    ],
)
def test_counted(metric, theirs, average):
    scores, target = data()
    expected = theirs(target, scores.argmax(1), average=average, zero_division=0)
    np.testing.assert_allclose(
        over(metric("multiclass", 4, average=average), scores, target), expected, rtol=1e-6
    )
    binary = (target > 1).astype(np.int64)
    expected = theirs(binary, scores[:, 3] > 0.5, zero_division=0)
    np.testing.assert_allclose(over(metric("binary"), scores[:, 3], binary), expected, rtol=1e-6)


def test_accuracy():
    scores, target = data()
    assert over(M.Accuracy("multiclass", 4), scores, target) == pytest.approx(
        sk.accuracy_score(target, scores.argmax(1))
    )
    macro = over(M.Accuracy("multiclass", 4, average="macro"), scores, target)
    assert macro == pytest.approx(sk.balanced_accuracy_score(target, scores.argmax(1)))
    top = over(M.Accuracy("multiclass", 4, top_k=2), scores, target)
    assert top == pytest.approx(sk.top_k_accuracy_score(target, scores, k=2))
    binary = (target > 1).astype(np.int64)
    logits = np.log(scores[:, 3] / (1 - scores[:, 3]))  # of which the sigmoid is taken
    assert over(M.Accuracy("binary"), logits, binary) == pytest.approx(
        sk.accuracy_score(binary, scores[:, 3] > 0.5)
    )


@pytest.mark.parametrize("normalize", [None, "true", "pred", "all"])
def test_confusion_matrix(normalize):
    scores, target = data()
    ours = over(M.ConfusionMatrix("multiclass", 4, normalize=normalize), scores, target)
    np.testing.assert_allclose(
        ours, sk.confusion_matrix(target, scores.argmax(1), normalize=normalize), rtol=1e-6
    )


def test_ignored_and_pixels():
    guess, truth = torch.tensor([[[0, 1], [1, 1]]]), torch.tensor([[[0, 1], [-1, 0]]])
    assert M.Accuracy("multiclass", 2, ignore_index=-1)(guess, truth) == pytest.approx(2 / 3)
    scores = torch.nn.functional.one_hot(guess, 2).permute(0, 3, 1, 2).float()
    assert M.JaccardIndex("multiclass", 2, ignore_index=-1, average=None)(scores, truth).tolist() == [
        0.5,
        0.5,
    ]
    assert M.Dice("binary")(guess, guess) == 1


@pytest.mark.parametrize("average", ["micro", "macro", "weighted", None])
def test_labels(average):
    random = np.random.default_rng(1)
    target = random.integers(0, 2, (sum(SIZES), 4))
    target[:, 3] = 0  # a label that nobody has
    scores = (0.6 * random.random(target.shape) + 0.4 * target).astype(np.float32)
    kinds = (M.Precision, sk.precision_score), (M.Recall, sk.recall_score), (M.F1Score, sk.f1_score), \
        (M.JaccardIndex, sk.jaccard_score)  # fmt: skip
    for metric, theirs in kinds:
        expected = theirs(target, scores > 0.5, average=average, zero_division=0)
        np.testing.assert_allclose(
            over(metric("multilabel", average=average, num_labels=4), scores, target), expected, rtol=1e-6
        )
    found = over(M.ConfusionMatrix("multilabel", num_labels=4), scores, target)
    np.testing.assert_array_equal(found, sk.multilabel_confusion_matrix(target, scores > 0.5))
    right = ((scores > 0.5) == target).mean(0)
    expected = {None: right, "weighted": (right * target.sum(0)).sum() / target.sum()}.get(
        average, right.mean()
    )
    np.testing.assert_allclose(
        over(M.Accuracy("multilabel", average=average, num_labels=4), scores, target), expected, rtol=1e-6
    )
    for metric, theirs in ((M.AUROC, sk.roc_auc_score), (M.AveragePrecision, sk.average_precision_score)):
        expected = theirs(target[:, :3], scores[:, :3], average=average)
        ours = over(metric("multilabel", average=average, num_labels=3), scores[:, :3], target[:, :3])
        np.testing.assert_allclose(ours, expected, rtol=1e-6)
    # Pixels, and targets that do not count.
    gaps = np.where(random.random(target.shape) < 0.2, -1, target)[:, :3, None]
    ours = over(M.AUROC("multilabel", average=None, num_labels=3, ignore_index=-1), scores[:, :3, None], gaps)
    for label in range(3):
        known = gaps[:, label, 0] >= 0
        expected = sk.roc_auc_score(gaps[known, label, 0], scores[known, label])
        assert ours[label] == pytest.approx(expected)


def test_scores_whose_batches_look_like_probabilities():
    """Whether scores are before a sigmoid shows when all are known, not in an uneven last batch."""
    random = np.random.default_rng(0)
    target = random.integers(0, 2, sum(SIZES))
    logits = random.normal(size=sum(SIZES)).astype(np.float32)
    logits[39:40] = 0.3  # the batch of one: as a logit it means yes
    for metric, theirs in ((M.Accuracy, sk.accuracy_score), (M.F1Score, sk.f1_score)):
        assert over(metric("binary"), logits, target) == pytest.approx(theirs(target, logits > 0))
    assert over(M.AUROC(), logits, target) == pytest.approx(sk.roc_auc_score(target, logits))
    scores, classes = np.random.default_rng(1).normal(size=(sum(SIZES), 3)).astype(np.float32), target + 1
    classes[::3] = 0
    chance = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    expected = sk.roc_auc_score(classes, chance, multi_class="ovr")
    assert over(M.AUROC("multiclass", 3), scores, classes) == pytest.approx(expected)


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_any_classes(draw):
    """Classes that are empty, never predicted or alone, in batches of any size."""
    count = draw.draw(st.integers(2, 5))
    pairs = draw.draw(
        st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), min_size=1, max_size=20)
    )
    cut = draw.draw(st.integers(0, len(pairs)))
    guess, truth = np.array(pairs).T
    kinds = (M.Precision, sk.precision_score), (M.Recall, sk.recall_score), (M.F1Score, sk.f1_score), \
        (M.JaccardIndex, sk.jaccard_score)  # fmt: skip
    for metric, theirs in kinds:
        for average in ("micro", "macro", "weighted", None):
            ours = metric("multiclass", count, average=average)
            for part in (slice(0, cut), slice(cut, None)):
                ours.update(torch.tensor(guess[part]), torch.tensor(truth[part]))
            labels = range(count) if average is None else None
            expected = theirs(truth, guess, average=average, labels=labels, zero_division=0)
            np.testing.assert_allclose(ours.compute(), expected, rtol=1e-6)


def test_curves():
    scores, target = data()
    scores = scores.round(2)  # with ties
    scores[:, 0] = 1 - scores[:, 1:].sum(1)
    binary = (target > 1).astype(np.int64)
    one = scores[:, 3]
    assert over(M.AUROC(), one, binary) == pytest.approx(sk.roc_auc_score(binary, one))
    assert over(M.AveragePrecision(), one, binary) == pytest.approx(sk.average_precision_score(binary, one))
    for ours, theirs in zip(
        over(M.ROC(), one, binary), sk.roc_curve(binary, one, drop_intermediate=False), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    found = over(M.PrecisionRecallCurve(), one, binary)
    for ours, theirs in zip(found, sk.precision_recall_curve(binary, one), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    for average in ("macro", "weighted"):
        ours = over(M.AUROC("multiclass", 4, average=average), scores, target)
        truth = np.eye(4)[target]
        assert ours == pytest.approx(sk.roc_auc_score(truth, scores, average=average), rel=1e-5)
        ours = over(M.AveragePrecision("multiclass", 4, average=average), scores, target)
        assert ours == pytest.approx(sk.average_precision_score(truth, scores, average=average), rel=1e-5)
    assert len(over(M.ROC("multiclass", 4), scores, target)) == 4


def test_regression():
    random = np.random.default_rng(0)
    truth, guess = random.normal(5, 2, (2, sum(SIZES))).astype(np.float32)
    assert over(M.MeanSquaredError(), guess, truth) == pytest.approx(sk.mean_squared_error(truth, guess))
    assert over(M.MeanSquaredError(squared=False), guess, truth) == pytest.approx(
        sk.root_mean_squared_error(truth, guess)
    )
    assert over(M.MeanAbsoluteError(), guess, truth) == pytest.approx(sk.mean_absolute_error(truth, guess))
    assert over(M.R2Score(), guess, truth) == pytest.approx(sk.r2_score(truth, guess), rel=1e-5)
    truth, guess = random.normal(5, [1, 2, 9], (2, sum(SIZES), 3)).astype(np.float32)
    for multioutput in ("uniform_average", "variance_weighted", "raw_values"):
        expected = sk.r2_score(truth, guess, multioutput=multioutput)
        np.testing.assert_allclose(over(M.R2Score(multioutput), guess, truth), expected, rtol=1e-5)
    equal = np.full(4, 0.1, np.float32)
    for said in (equal, equal + 1):
        assert M.R2Score()(torch.tensor(said), torch.tensor(equal)) == sk.r2_score(equal, said)


def test_perplexity():
    random = np.random.default_rng(0)
    scores = random.normal(size=(sum(SIZES), 5, 11)).astype(np.float32)
    target = random.integers(0, 11, scores.shape[:2])
    target[3:9] = 0
    shifted = np.exp(scores - scores.max(-1, keepdims=True))
    chance = np.take_along_axis(shifted / shifted.sum(-1, keepdims=True), target[..., None], -1)[target > 0]
    assert over(M.Perplexity(ignore_index=0), scores, target) == pytest.approx(
        np.exp(-np.log(chance).mean()), rel=1e-5
    )


def test_mean_and_collection():
    mean = M.MeanMetric()
    mean.update(torch.tensor([1.0, 3.0]))
    assert mean(8.0) == 8
    assert mean.compute() == 4
    both = M.MetricCollection({"a": M.Accuracy("multiclass", 3), "f": M.F1Score("multiclass", 3)})
    assert list(both(torch.eye(3), torch.arange(3)).values()) == [1, 1]
    assert len(both) == 2
    assert list(both.clone(prefix="val_", postfix="_1").compute()) == ["val_a_1", "val_f_1"]
    copy = both["a"].clone()
    copy.reset()
    assert both["a"].update_count == 1
    both.reset()
    assert both["a"].update_count == 0
    with pytest.raises(ValueError, match="same name"):
        M.MetricCollection([M.R2Score(), M.R2Score()])


def test_state_survives():
    scores, target = data()
    metric, other = M.AUROC(), M.AUROC()
    (first, second, *_) = list(batches(scores[:, 0], (target == 0).astype(np.int64)))
    metric.update(*first)
    other.load_state(metric.state())
    for m in (metric, other):
        m.update(*second)
    assert torch.equal(metric.compute(), other.compute())
    assert not M.Accuracy("binary").state_dict()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: M.Accuracy("multilevel"), "task must be"),
        (lambda: M.Accuracy("multiclass"), "num_classes must be"),
        (lambda: M.F1Score("multiclass", 3, average="mean"), "average must be one of"),
        (lambda: M.Accuracy("multiclass", 3, top_k=4), "top_k must be from 1 to 3"),
        (lambda: M.ConfusionMatrix("binary", normalize="rows"), "normalize must be"),
        (
            lambda: M.Accuracy("multiclass", 3)(torch.zeros(2, 4), torch.zeros(2, dtype=torch.long)),
            "scores of 3 classes",
        ),
        (
            lambda: M.Accuracy("multiclass", 3)(torch.zeros(2), torch.zeros(2, dtype=torch.long)),
            "whole numbers",
        ),
        (
            lambda: M.Recall("multiclass", 3)(torch.tensor([0]), torch.tensor([3])),
            "target 3 is not one of the 3",
        ),
        (lambda: M.Precision("binary")(torch.zeros(2), torch.zeros(3)), "the same shape"),
        (lambda: M.F1Score("multilabel"), "num_labels must be"),
        (
            lambda: M.F1Score("multilabel", num_labels=2)(torch.zeros(3, 3), torch.zeros(3, 3)),
            r"targets \(N, 2",
        ),
        (lambda: M.Accuracy("binary", top_k=2), "top_k=2 is for several classes"),
        (
            lambda: M.AUROC("multilabel", num_labels=2)(torch.zeros(3, 3), torch.zeros(3, 3)),
            r"expected scores \(3, 2\)",
        ),
        (lambda: M.R2Score("mean"), "multioutput must be"),
        (lambda: M.Perplexity()(torch.zeros(2, 5, 3), torch.zeros(2, 3)), "expected scores"),
        (lambda: M.AUROC()(torch.zeros(2, 2), torch.zeros(2)), r"expected scores \(2,\)"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_bad_calls():
    with pytest.raises(RuntimeError, match="same shape"):
        M.MeanSquaredError()(torch.zeros(2, 1), torch.zeros(2))
    with pytest.raises(RuntimeError, match="call update first"):
        M.ROC().compute()
    with pytest.raises(NotImplementedError, match="has no update"):
        M.Metric().update()
    metric = M.MeanSquaredError()
    metric.update(torch.ones(2), torch.zeros(2))
    with pytest.raises(RuntimeError, match="same shape"):
        metric(torch.zeros(2, 1), torch.zeros(2))
    assert metric.compute() == 1  # what was there stays
    assert M.R2Score()(torch.zeros(1), torch.zeros(1)).isnan()
    with pytest.raises(ValueError, match="empty list"):
        M.Metric().add_state("x", 3)
