"""Functions that PyTorch has at its top level too, but with another signature than in `nn.functional`.

Scripts rarely call them; code that was traced from layers does.
"""

from rushlight.autograd.views import check_writable, inplace
from rushlight.nn import functional as F
from rushlight.ops.ctc import aten_ctc_loss as ctc_loss  # noqa: F401
from rushlight.ops.dropout import feature_dropout as ops_feature_dropout
from rushlight.ops.embedding import renormalise
from rushlight.ops.embedding_bag import aten_embedding_bag as embedding_bag  # noqa: F401


def batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps, cudnn_enabled=False):
    """`nn.functional.batch_norm` with the arguments in ATen's order; `cudnn_enabled` has no effect.

    >>> import rushlight as torch
    >>> torch.batch_norm(torch.ones(2, 1), None, None, None, None, True, 0.1, 1e-5, False)
    tensor([[0.],
            [0.]])
    """
    return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


def instance_norm(
    input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps, cudnn_enabled=False
):
    """`nn.functional.instance_norm` with the arguments in ATen's order; `cudnn_enabled` has no effect.

    >>> import rushlight as torch
    >>> torch.instance_norm(torch.ones(1, 1, 2), None, None, None, None, True, 0.1, 1e-5, False)
    tensor([[[0., 0.]]])
    """
    return F.instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)


def _dropout(name: str, function):
    def dropout(input, p, train):
        return function(input, p, train)

    dropout_ = inplace(dropout, f"{name}_")
    doc = f"`nn.functional.{function.__name__}` with all arguments required."
    for made, suffix, text in ((dropout, "", doc), (dropout_, "_", doc[:-1] + ", in place.")):
        made.__name__ = made.__qualname__ = name + suffix
        made.__doc__ = f"""{text}

    >>> import rushlight as torch
    >>> torch.{name}{suffix}(torch.ones(1, 2), 0.5, False)
    tensor([[1., 1.]])
    """
    return dropout, dropout_


dropout, dropout_ = _dropout("dropout", F.dropout)
alpha_dropout, alpha_dropout_ = _dropout("alpha_dropout", F.alpha_dropout)
_, feature_dropout_ = _dropout("feature_dropout", ops_feature_dropout)
_, feature_alpha_dropout_ = _dropout("feature_alpha_dropout", F.feature_alpha_dropout)


_REDUCTIONS = ("none", "mean", "sum")


def binary_cross_entropy_with_logits(input, target, weight=None, pos_weight=None, reduction=1):
    """`nn.functional.binary_cross_entropy_with_logits`; the reduction is 0 for "none", 1 for "mean", 2 for "sum".

    >>> import rushlight as torch
    >>> torch.binary_cross_entropy_with_logits(torch.tensor([0.0]), torch.tensor([1.0]), reduction=2)
    tensor(0.6931)
    """
    return F.binary_cross_entropy_with_logits(
        input, target, weight, reduction=_REDUCTIONS[reduction], pos_weight=pos_weight
    )


def cosine_embedding_loss(input1, input2, target, margin=0.0, reduction=1):
    """`nn.functional.cosine_embedding_loss`; the reduction is 0 for "none", 1 for "mean", 2 for "sum".

    >>> import rushlight as torch
    >>> x = torch.tensor([[1.0, 0.0]])
    >>> torch.cosine_embedding_loss(x, x, torch.tensor([-1]))
    tensor(1.)
    """
    return F.cosine_embedding_loss(input1, input2, target, margin, reduction=_REDUCTIONS[reduction])


def hinge_embedding_loss(input, target, margin=1.0, reduction=1):
    """`nn.functional.hinge_embedding_loss`; the reduction is 0 for "none", 1 for "mean", 2 for "sum".

    >>> import rushlight as torch
    >>> torch.hinge_embedding_loss(torch.tensor([0.2, 0.2]), torch.tensor([1.0, -1.0]), reduction=0)
    tensor([0.2000, 0.8000])
    """
    return F.hinge_embedding_loss(input, target, margin, reduction=_REDUCTIONS[reduction])


def kl_div(input, target, reduction=1, *, log_target=False):
    """`nn.functional.kl_div`; the reduction is 0 for "none", 1 for "mean", 2 for "sum".

    >>> import rushlight as torch
    >>> torch.kl_div(torch.tensor([0.0]), torch.tensor([0.0]), log_target=True)
    tensor(0.)
    """
    name = _REDUCTIONS[reduction]
    if name != "mean":
        return F.kl_div(input, target, reduction=name, log_target=log_target)
    return F.kl_div(input, target, reduction="none", log_target=log_target).mean()  # without its warning


def margin_ranking_loss(input1, input2, target, margin=0.0, reduction=1):
    """`nn.functional.margin_ranking_loss`; the reduction is 0 for "none", 1 for "mean", 2 for "sum".

    >>> import rushlight as torch
    >>> torch.margin_ranking_loss(torch.tensor([1.0]), torch.tensor([3.0]), torch.tensor([1.0]))
    tensor(2.)
    """
    return F.margin_ranking_loss(input1, input2, target, margin, reduction=_REDUCTIONS[reduction])


def poisson_nll_loss(input, target, log_input, full, eps, reduction):
    """`nn.functional.poisson_nll_loss`; the reduction is 0 for "none", 1 for "mean", 2 for "sum".

    >>> import rushlight as torch
    >>> torch.poisson_nll_loss(torch.tensor([0.0]), torch.tensor([1.0]), True, False, 1e-8, 1)
    tensor(1.)
    """
    return F.poisson_nll_loss(input, target, log_input, full, eps=eps, reduction=_REDUCTIONS[reduction])


def triplet_margin_loss(anchor, positive, negative, margin=1.0, p=2, eps=1e-06, swap=False, reduction=1):
    """`nn.functional.triplet_margin_loss`; the reduction is 0 for "none", 1 for "mean", 2 for "sum".

    >>> import rushlight as torch
    >>> x = torch.zeros(1, 2)
    >>> torch.triplet_margin_loss(x, x, x, 0.5)
    tensor(0.5000)
    """
    return F.triplet_margin_loss(
        anchor, positive, negative, margin, p, eps, swap, reduction=_REDUCTIONS[reduction]
    )


def embedding(weight, indices, padding_idx=-1, scale_grad_by_freq=False, sparse=False):
    """`nn.functional.embedding` with the arguments in ATen's order; -1 for no padding.

    >>> import rushlight as torch
    >>> torch.embedding(torch.tensor([[1.0], [2.0]]), torch.tensor([1]))
    tensor([[2.]])
    """
    padding = None if padding_idx < 0 else padding_idx
    return F.embedding(indices, weight, padding, None, 2.0, scale_grad_by_freq, sparse)


def embedding_renorm_(input, indices, max_norm, norm_type):
    """Scale down, in place, the rows of a table at some positions whose norm is above `max_norm`; returns it.

    >>> import rushlight as torch
    >>> torch.embedding_renorm_(torch.tensor([[3.0, 4.0]]), torch.tensor([0]), 1.0, 2.0)
    tensor([[0.6000, 0.8000]])
    """
    check_writable(input)
    renormalise(input, indices._array, max_norm, norm_type)
    return input
