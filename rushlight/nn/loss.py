"""Loss layers: each applies the function of its kind in `nn.functional`."""

import warnings

from rushlight.nn import functional as F
from rushlight.nn.distance import PairwiseDistance
from rushlight.nn.module import Module
from rushlight.ops.loss import reduction_of


class _Loss(Module):
    """Keeps how the losses of a batch become one: 'mean', 'sum', or 'none' to leave them as they are."""

    def __init__(self, size_average=None, reduce=None, reduction="mean"):
        super().__init__()
        if size_average is not None or reduce is not None:
            reduction = reduction_of(size_average, reduce, reduction)
        self.reduction = reduction


class _WeightedLoss(_Loss):
    """A loss with a weight for each class or element, a buffer."""

    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)


class CrossEntropyLoss(_WeightedLoss):
    """The negative log-likelihood of classes, from unnormalized scores.

    Args:
        weight: a weight for each class.
        size_average, reduce: old forms of `reduction`.
        ignore_index: a target that counts nothing.
        reduction: 'mean', 'sum' or 'none'.
        label_smoothing: what share of the target is spread over all classes, in [0, 1].

    >>> import rushlight as torch
    >>> loss = torch.nn.CrossEntropyLoss()
    >>> loss(torch.zeros(3, 4), torch.tensor([0, 1, 3]))
    tensor(1.3863)
    """

    def __init__(
        self,
        weight=None,
        size_average=None,
        ignore_index=-100,
        reduce=None,
        reduction="mean",
        label_smoothing=0.0,
    ):
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input, target):
        return F.cross_entropy(
            input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )  # fmt: skip


class NLLLoss(_WeightedLoss):
    """The negative log-likelihood of classes, from log-probabilities.

    Args:
        weight: a weight for each class.
        size_average, reduce: old forms of `reduction`.
        ignore_index: a target that counts nothing.
        reduction: 'mean', 'sum' or 'none'.

    >>> import rushlight as torch
    >>> torch.nn.NLLLoss()(torch.tensor([[-1.0, -2.0]]), torch.tensor([1]))
    tensor(2.)
    """

    def __init__(self, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input, target):
        return F.nll_loss(
            input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction
        )


class NLLLoss2d(NLLLoss):
    """The old name of `NLLLoss`, for images; warns."""

    def __init__(self, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
        warnings.warn(
            "`NLLLoss2d` has been deprecated. Please use `NLLLoss` instead as a drop-in replacement and see "
            "https://pytorch.org/docs/main/nn.html#torch.nn.NLLLoss for more details.",
            FutureWarning,
            stacklevel=2,
        )
        super().__init__(weight, size_average, ignore_index, reduce, reduction)


class CTCLoss(_Loss):
    """The negative log likelihood of label sequences that are aligned with longer inputs in any way.

    Args:
        blank: the class that means no label.
        reduction: 'mean' (of the losses divided by target lengths), 'sum' or 'none'.
        zero_infinity: whether infinite losses, of inputs that are too short, and their gradients become 0.

    Source: Graves et al., Connectionist Temporal Classification, ICML 2006.

    >>> import rushlight as torch
    >>> scores = torch.zeros(3, 1, 2).log_softmax(2)
    >>> torch.nn.CTCLoss()(scores, torch.tensor([[1]]), (3,), (1,))
    tensor(0.2877)
    """

    def __init__(self, blank=0, reduction="mean", zero_infinity=False):
        super().__init__(reduction=reduction)
        self.blank = blank
        self.zero_infinity = zero_infinity

    def forward(self, log_probs, targets, input_lengths, target_lengths):
        return F.ctc_loss(
            log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity
        )


class MSELoss(_Loss):
    """The squared difference.

    Args:
        size_average, reduce: old forms of `reduction`.
        reduction: 'mean', 'sum' or 'none'.

    >>> import rushlight as torch
    >>> torch.nn.MSELoss()(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0]))
    tensor(2.)
    """

    def forward(self, input, target):
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(_Loss):
    """The absolute difference.

    Args:
        size_average, reduce: old forms of `reduction`.
        reduction: 'mean', 'sum' or 'none'.

    >>> import rushlight as torch
    >>> torch.nn.L1Loss()(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0]))
    tensor(1.)
    """

    def forward(self, input, target):
        return F.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """The absolute difference, minus beta / 2; where it is below beta, the squared difference / (2 * beta).

    Args:
        size_average, reduce: old forms of `reduction`.
        reduction: 'mean', 'sum' or 'none'.
        beta: where the two meet.

    Source: Girshick, Fast R-CNN, ICCV 2015.
    """

    def __init__(self, size_average=None, reduce=None, reduction="mean", beta=1.0):
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input, target):
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Loss):
    """Half the squared difference; beyond delta, delta * (absolute difference - delta / 2).

    Args:
        reduction: 'mean', 'sum' or 'none'.
        delta: where the two meet.

    Source: Huber, Robust Estimation of a Location Parameter, 1964.
    """

    def __init__(self, reduction="mean", delta=1.0):
        if not isinstance(delta, float | int):
            raise TypeError(f"delta must be a float or int, got: {type(delta)}")
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input, target):
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class BCELoss(_WeightedLoss):
    """The binary cross entropy, from probabilities.

    Args:
        weight: a weight for each element.
        size_average, reduce: old forms of `reduction`.
        reduction: 'mean', 'sum' or 'none'.

    >>> import rushlight as torch
    >>> torch.nn.BCELoss()(torch.tensor([0.5]), torch.tensor([1.0]))
    tensor(0.6931)
    """

    def forward(self, input, target):
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_Loss):
    """The binary cross entropy, from unnormalized scores.

    Args:
        weight: a weight for each element.
        size_average, reduce: old forms of `reduction`.
        reduction: 'mean', 'sum' or 'none'.
        pos_weight: a weight for positive targets, for each class.

    >>> import rushlight as torch
    >>> torch.nn.BCEWithLogitsLoss()(torch.tensor([0.0]), torch.tensor([1.0]))
    tensor(0.6931)
    """

    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None):
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input, target):
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, pos_weight=self.pos_weight, reduction=self.reduction
        )


class KLDivLoss(_Loss):
    """The Kullback-Leibler divergence of a target distribution from the input, which is in log-probabilities.

    Args:
        size_average, reduce: old forms of `reduction`.
        reduction: 'batchmean' (the divergence), 'mean', 'sum' or 'none'.
        log_target: whether the target is in log-probabilities too.
    """

    def __init__(self, size_average=None, reduce=None, reduction="mean", log_target=False):
        super().__init__(size_average, reduce, reduction)
        self.log_target = log_target

    def forward(self, input, target):
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class PoissonNLLLoss(_Loss):
    """The negative log-likelihood of counts under a Poisson distribution.

    Args:
        log_input: whether the input is the logarithm of the rate.
        full: whether to add Stirling's approximation of the factorial.
        size_average, reduce: old forms of `reduction`.
        eps: added to rates before taking logarithms.
        reduction: 'mean', 'sum' or 'none'.
    """

    def __init__(
        self, log_input=True, full=False, size_average=None, eps=1e-08, reduce=None, reduction="mean"
    ):
        super().__init__(size_average, reduce, reduction)
        self.log_input = log_input
        self.full = full
        self.eps = eps

    def forward(self, log_input, target):
        return F.poisson_nll_loss(
            log_input,
            target,
            log_input=self.log_input,
            full=self.full,
            eps=self.eps,
            reduction=self.reduction,
        )


class GaussianNLLLoss(_Loss):
    """The negative log-likelihood under a normal distribution, from its mean and variance.

    Args:
        full: whether to add the constant.
        eps: the smallest variance.
        reduction: 'mean', 'sum' or 'none'.
    """

    def __init__(self, *, full=False, eps=1e-06, reduction="mean"):
        super().__init__(None, None, reduction)
        self.full = full
        self.eps = eps

    def forward(self, input, target, var):
        return F.gaussian_nll_loss(input, target, var, full=self.full, eps=self.eps, reduction=self.reduction)


class SoftMarginLoss(_Loss):
    """log(1 + exp(-target * input)), targets being 1 or -1.

    Args:
        size_average, reduce: old forms of `reduction`.
        reduction: 'mean', 'sum' or 'none'.
    """

    def forward(self, input, target):
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class HingeEmbeddingLoss(_Loss):
    """The input where the target is 1; max(0, margin - input) where it is -1.

    Args:
        margin: the margin.
        size_average, reduce: old forms of `reduction`.
        reduction: 'mean', 'sum' or 'none'.
    """

    def __init__(self, margin=1.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input, target):
        return F.hinge_embedding_loss(input, target, margin=self.margin, reduction=self.reduction)


class MultiLabelMarginLoss(_Loss):
    """The hinge loss of each wrong class against each right one, where samples have several right ones.

    Args:
        size_average, reduce: old forms of `reduction`.
        reduction: 'mean', 'sum' or 'none'.
    """

    def forward(self, input, target):
        return F.multilabel_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """The mean over classes of the binary cross entropy, from unnormalized scores.

    Args:
        weight: a weight for each class.
        size_average, reduce: old forms of `reduction`.
        reduction: 'mean', 'sum' or 'none'.
    """

    def forward(self, input, target):
        return F.multilabel_soft_margin_loss(input, target, weight=self.weight, reduction=self.reduction)


class MultiMarginLoss(_WeightedLoss):
    """The hinge loss of each wrong class against the right one.

    Args:
        p: the power of each, 1 or 2.
        margin: the margin.
        weight: a weight for each class.
        size_average, reduce: old forms of `reduction`.
        reduction: 'mean', 'sum' or 'none'.
    """

    def __init__(self, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"):
        super().__init__(weight, size_average, reduce, reduction)
        if p not in (1, 2):
            raise ValueError("only p == 1 and p == 2 supported")
        if weight is not None and weight.dim() != 1:
            raise ValueError(
                f"MultiMarginLoss: expected weight to be None or 1D tensor, got {weight.dim()}D instead"
            )
        self.p = p
        self.margin = margin

    def forward(self, input, target):
        return F.multi_margin_loss(
            input, target, p=self.p, margin=self.margin, weight=self.weight, reduction=self.reduction
        )


class MarginRankingLoss(_Loss):
    """max(0, -target * (input1 - input2) + margin), targets being 1 or -1.

    Args:
        margin: the margin.
        size_average, reduce: old forms of `reduction`.
        reduction: 'mean', 'sum' or 'none'.
    """

    def __init__(self, margin=0.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1, input2, target):
        return F.margin_ranking_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class CosineEmbeddingLoss(_Loss):
    """1 - cosine where the target is 1; max(0, cosine - margin) where it is -1.

    Args:
        margin: the margin.
        size_average, reduce: old forms of `reduction`.
        reduction: 'mean', 'sum' or 'none'.
    """

    def __init__(self, margin=0.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1, input2, target):
        return F.cosine_embedding_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


def _check_margin(name: str, margin) -> None:
    if margin <= 0:
        raise ValueError(f"{name}: expected margin to be greater than 0, got {margin} instead")


class TripletMarginLoss(_Loss):
    """max(0, distance(anchor, positive) - distance(anchor, negative) + margin).

    Args:
        margin: the margin, above 0.
        p: the p of the norm.
        eps: added to differences.
        swap: whether the negative's distance from the positive counts where it is smaller.
        size_average, reduce: old forms of `reduction`.
        reduction: 'mean', 'sum' or 'none'.

    Source: Balntas et al., Learning shallow convolutional feature descriptors with triplet losses, BMVC 2016.
    """

    def __init__(
        self, margin=1.0, p=2.0, eps=1e-06, swap=False, size_average=None, reduce=None, reduction="mean"
    ):
        super().__init__(size_average, reduce, reduction)
        _check_margin("TripletMarginLoss", margin)
        self.margin = margin
        self.p = p
        self.eps = eps
        self.swap = swap

    def forward(self, anchor, positive, negative):
        return F.triplet_margin_loss(
            anchor, positive, negative, margin=self.margin, p=self.p, eps=self.eps, swap=self.swap,
            reduction=self.reduction,
        )  # fmt: skip


class TripletMarginWithDistanceLoss(_Loss):
    """`TripletMarginLoss` with any distance.

    Args:
        distance_function: of two tensors; `PairwiseDistance()` by default.
        margin: the margin, above 0.
        swap: whether the negative's distance from the positive counts where it is smaller.
        reduction: 'mean', 'sum' or 'none'.
    """

    def __init__(self, *, distance_function=None, margin=1.0, swap=False, reduction="mean"):
        super().__init__(None, None, reduction)
        _check_margin("TripletMarginWithDistanceLoss", margin)
        self.distance_function = PairwiseDistance() if distance_function is None else distance_function
        self.margin = margin
        self.swap = swap

    def forward(self, anchor, positive, negative):
        return F.triplet_margin_with_distance_loss(
            anchor, positive, negative, distance_function=self.distance_function, margin=self.margin,
            swap=self.swap, reduction=self.reduction,
        )  # fmt: skip


__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "CTCLoss", "CosineEmbeddingLoss", "CrossEntropyLoss", "GaussianNLLLoss",
    "HingeEmbeddingLoss", "HuberLoss", "KLDivLoss", "L1Loss", "MSELoss", "MarginRankingLoss",
    "MultiLabelMarginLoss", "MultiLabelSoftMarginLoss", "MultiMarginLoss", "NLLLoss", "NLLLoss2d",
    "PoissonNLLLoss", "SmoothL1Loss", "SoftMarginLoss", "TripletMarginLoss", "TripletMarginWithDistanceLoss",
]  # fmt: skip
