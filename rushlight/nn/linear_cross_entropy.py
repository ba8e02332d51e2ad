"""A linear layer and the cross entropy of its scores in one."""

from dataclasses import dataclass
from math import prod

from rushlight.dtypes import bfloat16, dtype, float16, float32, float64
from rushlight.nn import functional as F
from rushlight.nn.linear import Linear
from rushlight.nn.loss import _WeightedLoss


@dataclass(slots=True, frozen=True)
class LinearCrossEntropyOptions:
    """How PyTorch cuts `linear_cross_entropy` into pieces to save memory. Checked; without effect on the result.

    Args:
        allow_retain_graph: whether the gradient may be computed twice.
        batch_chunk_size: rows in a piece.
        chunking_method: how to choose that number: "auto", "aspect_ratio" or "aspect_ratio:N".
        acc_policy: "auto", "accurate", "balanced" or "compact".
        acc_dtype: the type to add up in.
    Raises:
        ValueError: there is no such method, policy or type.
    """

    allow_retain_graph: bool = False
    batch_chunk_size: int | None = None
    chunking_method: str | None = "auto"
    acc_policy: str = "auto"
    acc_dtype: dtype | None = None

    def __post_init__(self):
        if self.acc_policy not in ("auto", "accurate", "balanced", "compact"):
            raise ValueError(f"invalid acc_policy: {self.acc_policy!r}")
        if self.chunking_method not in (None, "auto"):
            name, colon, factor = self.chunking_method.partition(":")
            number = factor if colon else "1"
            if name != "aspect_ratio" or not number.isdigit() or int(number) < 1:
                raise ValueError(f"invalid chunking_method: {self.chunking_method!r}")
        size = self.batch_chunk_size
        if size is not None and not (isinstance(size, int) and size > 0):
            raise ValueError(f"batch_chunk_size must be positive int or None, got {size!r}")
        if self.acc_dtype not in (None, float16, bfloat16, float32, float64):
            raise ValueError(
                "acc_dtype must be one of {None, torch.float16, torch.bfloat16, torch.float32, torch.float64}, got "
                f"{self.acc_dtype!r}. Pass acc_dtype=None to let the op pick automatically."
            )


class LinearCrossEntropyLoss(_WeightedLoss):
    """The cross entropy of the scores of a linear layer.

    Args:
        in_features: the size of each input.
        num_classes: the number of classes C.
        out_features: further sizes (d1, ...), for scores (N, C, d1, ...).
        bias: whether the linear layer has a bias.
        device, dtype: where and of which type its parameters are.
        reduction: 'mean', 'sum' or 'none'.
        weight: a weight for each class.
        ignore_index: a target that counts nothing.
        label_smoothing: how much of the target is spread over all classes.
        options: accepted, without effect on the result.

    >>> import rushlight as torch
    >>> loss = torch.nn.LinearCrossEntropyLoss(3, 5)
    >>> loss(torch.rand(2, 3), torch.tensor([4, 0])).shape
    torch.Size([])
    """

    def __init__(
        self, in_features, num_classes, *, out_features=(), bias=False, device=None, dtype=None, reduction="mean",
        weight=None, ignore_index=None, label_smoothing=0.0, options=None,
    ):  # fmt: skip
        if weight is not None and weight.shape != (num_classes,):
            raise RuntimeError(f"expected weight shape to be {(num_classes,)}, got {tuple(weight.shape)}")
        if not 0 <= label_smoothing <= 1:
            raise RuntimeError(f"expected label_smoothing to be in range [0, 1], got {label_smoothing}")
        super().__init__(weight, None, None, reduction)
        self.num_classes = num_classes
        self.out_features = out_features
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        outputs = prod(out_features, start=num_classes)
        self.linear = Linear(in_features, outputs, bias=bias, device=device, dtype=dtype)
        self.options = options

    def forward(self, input, target):
        sizes, bias = (self.num_classes, *self.out_features), self.linear.bias
        return F.linear_cross_entropy(
            input, self.linear.weight.reshape(*sizes, self.linear.in_features), target,
            linear_bias=None if bias is None else bias.reshape(sizes), weight=self.weight,
            reduction=self.reduction, ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing, options=self.options,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return (
            f"in_features={self.linear.in_features}, num_classes={self.num_classes}, "
            f"out_features={self.out_features}, bias={self.linear.bias is not None}, reduction={self.reduction}, "
            f"ignore_index={self.ignore_index}, label_smoothing={self.label_smoothing}, options={self.options}"
        )


__all__ = ["LinearCrossEntropyLoss", "LinearCrossEntropyOptions"]
