"""Metrics of most families, collections, wrappers, aggregation, functional forms, state and copies."""

import copy
import pickle

import torch
import torchmetrics
from torch import nn
from torchmetrics import (
    MetricCollection,
    aggregation,
    audio,
    classification,
    clustering,
    functional,
    image,
    nominal,
    regression,
    retrieval,
    segmentation,
    shape,
    text,
    wrappers,
)  # fmt: skip

torch.manual_seed(0)


def show(name, value):
    if isinstance(value, dict):
        for key in sorted(value):
            show(f"{name} {key}", value[key])
    elif isinstance(value, list | tuple):
        for i, part in enumerate(value):
            show(f"{name} {i}", part)
    else:
        value = torch.as_tensor(value)
        print(
            name, tuple(value.shape), value.dtype, [f"{v:.5f}" for v in value.double().flatten()[:8].tolist()]
        )


def run(metric, *batches):
    for batch in batches:
        metric.update(*batch)
    show(type(metric).__name__, metric.compute())
    metric.reset()


logits = [torch.randn(30, 5) for _ in range(3)]
labels = [torch.randint(5, (30,)) for _ in range(3)]
scores = [torch.rand(40) for _ in range(3)]
bits = [torch.randint(2, (40,)) for _ in range(3)]
many = [(torch.rand(20, 4), torch.randint(2, (20, 4))) for _ in range(2)]
classes = list(zip([x.softmax(-1) for x in logits], labels, strict=True))
pairs = list(zip(scores, bits, strict=True))
for average in ("micro", "macro", "weighted", "none"):
    for name in ("Accuracy", "Precision", "Recall", "F1Score", "Specificity", "JaccardIndex"):
        run(getattr(torchmetrics, name)(task="multiclass", num_classes=5, average=average), *classes)
for name in ("AUROC", "AveragePrecision", "ROC", "PrecisionRecallCurve", "CalibrationError", "ConfusionMatrix",
             "CohenKappa", "MatthewsCorrCoef", "HammingDistance", "StatScores", "HingeLoss"):  # fmt: skip
    run(getattr(torchmetrics, name)(task="binary"), *pairs)
    run(getattr(torchmetrics, name)(task="multiclass", num_classes=5), *classes)
run(torchmetrics.AUROC(task="multiclass", num_classes=5, thresholds=10), *classes)
run(torchmetrics.Accuracy(task="multiclass", num_classes=5, top_k=2), *classes)
for name in (
    "Accuracy",
    "F1Score",
    "AveragePrecision",
    "RankingLoss",
    "CoverageError",
    "ExactMatch",
    "AUROC",
):
    run(getattr(classification, f"Multilabel{name}")(num_labels=4), *many)
values = [(torch.rand(25) + 0.1, torch.rand(25) + 0.1) for _ in range(3)]
for name in ("MeanSquaredError", "MeanAbsoluteError", "R2Score", "PearsonCorrCoef", "SpearmanCorrCoef", "ExplainedVariance",
             "MeanAbsolutePercentageError", "SymmetricMeanAbsolutePercentageError", "LogCoshError", "MeanSquaredLogError",
             "ConcordanceCorrCoef", "KendallRankCorrCoef", "TweedieDevianceScore", "RelativeSquaredError",
             "WeightedMeanAbsolutePercentageError", "CriticalSuccessIndex", "MinkowskiDistance"):  # fmt: skip
    made = {"CriticalSuccessIndex": (0.5,), "MinkowskiDistance": (3,)}.get(name, ())
    run(getattr(regression, name)(*made), *values)
run(regression.CosineSimilarity("mean"), (torch.rand(5, 4), torch.rand(5, 4)))
run(regression.KLDivergence(), (torch.rand(5, 4).softmax(-1), torch.rand(5, 4).softmax(-1)))
pictures = [(torch.rand(2, 3, 48, 48), torch.rand(2, 3, 48, 48)) for _ in range(2)]
for metric in (
    image.PeakSignalNoiseRatio(data_range=1.0), image.StructuralSimilarityIndexMeasure(data_range=1.0),
    image.UniversalImageQualityIndex(), image.ErrorRelativeGlobalDimensionlessSynthesis(),
    image.SpectralAngleMapper(), image.RelativeAverageSpectralError(), image.TotalVariation(),
    image.RootMeanSquaredErrorUsingSlidingWindow(), image.SpectralDistortionIndex(), image.VisualInformationFidelity(),
):  # fmt: skip
    run(metric, *[p[: 1 if isinstance(metric, image.TotalVariation) else 2] for p in pictures])
show("gradients", functional.image.image_gradients(pictures[0][0]))
found = [torch.randint(4, (60,)) for _ in range(2)]
for name in (
    "AdjustedRandScore",
    "MutualInfoScore",
    "NormalizedMutualInfoScore",
    "RandScore",
    "VMeasureScore",
    "FowlkesMallowsIndex",
):
    run(getattr(clustering, name)(), found)
run(clustering.CalinskiHarabaszScore(), (torch.rand(60, 3), found[0]))
for name in ("CramersV", "TheilsU", "TschuprowsT", "PearsonsContingencyCoefficient"):
    run(getattr(nominal, name)(num_classes=4), found)
asked = (scores[0], bits[0], torch.arange(40) // 8)
for name in (
    "RetrievalMAP",
    "RetrievalMRR",
    "RetrievalNormalizedDCG",
    "RetrievalPrecision",
    "RetrievalHitRate",
    "RetrievalFallOut",
):
    run(getattr(retrieval, name)(), asked)
run(segmentation.MeanIoU(num_classes=3), (torch.randint(3, (2, 8, 8)), torch.randint(3, (2, 8, 8))))
run(
    segmentation.DiceScore(num_classes=3, input_format="index"),
    (torch.randint(3, (2, 8, 8)), torch.randint(3, (2, 8, 8))),
)
sound = torch.randn(2, 2, 400), torch.randn(2, 2, 400)
for metric in (audio.ScaleInvariantSignalDistortionRatio(), audio.SignalNoiseRatio(), audio.ScaleInvariantSignalNoiseRatio(),
               audio.SignalDistortionRatio(filter_length=32),
               audio.PermutationInvariantTraining(functional.audio.scale_invariant_signal_noise_ratio)):  # fmt: skip
    run(metric, sound)
run(shape.ProcrustesDisparity(), (torch.rand(3, 10, 2), torch.rand(3, 10, 2)))
said, meant = (
    ["the cat is on the mat", "hello there"],
    [["there is a cat on the mat", "a cat"], ["hello you there"]],
)
for metric in (text.BLEUScore(), text.CHRFScore(), text.SacreBLEUScore(), text.TranslationEditRate()):
    run(metric, (said, meant))
for metric in (
    text.WordErrorRate(),
    text.CharErrorRate(),
    text.MatchErrorRate(),
    text.WordInfoLost(),
    text.EditDistance(),
):
    run(metric, (said, [m[0] for m in meant]))
run(text.Perplexity(ignore_index=-100), (torch.randn(2, 8, 5), torch.randint(5, (2, 8))))
collection = MetricCollection(
    {"acc": classification.MulticlassAccuracy(5), "f1": classification.MulticlassF1Score(5), "conf": classification.MulticlassConfusionMatrix(5)},
    prefix="val_",
)  # fmt: skip
for batch in classes:
    show("step", collection(*batch))
show("collection", collection.compute())
print(collection)
tracker = wrappers.MetricTracker(collection, maximize=[True, True, True])
for batch in classes:
    tracker.increment()
    tracker.update(*batch)
show("tracked", {k: v for k, v in tracker.compute_all().items() if "conf" not in k})
boot = wrappers.BootStrapper(torchmetrics.MeanSquaredError(), num_bootstraps=4, quantile=torch.tensor([0.5]))
boot.update(*values[0])
print(sorted(boot.compute()))
run(wrappers.MinMaxMetric(classification.BinaryAccuracy()), *pairs)
run(wrappers.ClasswiseWrapper(classification.MulticlassAccuracy(5, average=None)), *classes)
run(wrappers.MultioutputWrapper(regression.R2Score(), 2), (torch.rand(10, 2), torch.rand(10, 2)))
run(wrappers.Running(aggregation.SumMetric(), window=2), (1.0,), (2.0,), (6.0,))
for metric in (
    aggregation.MeanMetric(),
    aggregation.SumMetric(),
    aggregation.MaxMetric(),
    aggregation.MinMetric(),
    aggregation.CatMetric(),
):
    run(metric, (1.0,), (torch.tensor([2.0, 3.0]),))


class Mine(torchmetrics.Metric):
    is_differentiable = True
    full_state_update = False

    def __init__(self):
        super().__init__()
        self.add_state("total", default=torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("parts", default=[], dist_reduce_fx="cat")

    def update(self, x):
        self.total += x.sum()
        self.parts.append(x)

    def compute(self):
        return self.total / torchmetrics.utilities.dim_zero_cat(self.parts).numel()


mine = Mine()
show("forward", mine(torch.tensor([1.0, 2.0])))
mine.update(torch.tensor([5.0]))
show("mine", mine.compute())
mine.persistent(True)
print(
    mine.state_dict(),
    copy.deepcopy(mine).compute(),
    pickle.loads(pickle.dumps(mine)).compute(),
    mine,
    (mine + 1).compute(),
)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.accuracy = nn.Linear(5, 5), classification.MulticlassAccuracy(5)


net = Net().to("cpu").double()
show("inside", net.accuracy(classes[0][0], classes[0][1]))
print(net)
weights = torch.randn(3, requires_grad=True)
functional.mean_squared_error(weights, torch.ones(3)).backward()
show("gradient", weights.grad)
