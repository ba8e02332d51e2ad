"""Functions that PyTorch has at its top level too, but with another signature than in `nn.functional`.

Scripts rarely call them; code that was traced from layers does.
"""

from rushlight.nn import functional as F
from rushlight.ops.dropout import feature_dropout as ops_feature_dropout
from rushlight.tensor import Tensor


def _in_place(t: Tensor, result: Tensor) -> Tensor:
    from rushlight.autograd.views import assign

    return assign(t, result)


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

    def dropout_(input, p, train):
        return _in_place(input, function(input, p, train))

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
feature_dropout, feature_dropout_ = _dropout("feature_dropout", ops_feature_dropout)
feature_alpha_dropout, feature_alpha_dropout_ = _dropout("feature_alpha_dropout", F.feature_alpha_dropout)
