"""Instance normalization layers."""

import warnings

from rushlight.nn import functional as F
from rushlight.nn.batchnorm import _LazyNormBase, _NormBase


class _InstanceNorm(_NormBase):
    """Instance normalization; `_input_dims` are the numbers of dimensions without and with a batch."""

    def __init__(
        self, num_features, eps=1e-05, momentum=0.1, affine=False, track_running_stats=False, device=None,
        dtype=None,
        *, bias=True,
    ):  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input):
        self._check_input_dim(input)
        unbatched = input.dim() == self._input_dims[0]
        dim = 0 if unbatched else 1
        if input.size(dim) != self.num_features:
            if self.affine:
                raise ValueError(
                    f"expected input's size at dim={dim} to match num_features ({self.num_features}), but "
                    f"got: {input.size(dim)}."
                )
            warnings.warn(
                f"input's size at dim={dim} does not match num_features. You can silence this warning by not "
                "passing in num_features, which is not used because affine=False",
                stacklevel=2,
            )
        if unbatched:
            return self._normalized(input.unsqueeze(0)).squeeze(0)
        return self._normalized(input)

    def _normalized(self, input):
        use_input_stats = self.training or not self.track_running_stats
        momentum = 0.0 if self.momentum is None else self.momentum
        return F.instance_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            use_input_stats,
            momentum,
            self.eps,
        )


_DOC = """Instance normalization of {inputs}: each channel of each sample to mean 0 and variance 1.

    Args:
        num_features: the number of channels C.
        eps: added to the variance.
        momentum: weight of a new batch in the running statistics.
        affine: whether there are a learned scale and shift.
        track_running_stats: whether to keep running statistics and use them in evaluation mode.
        device, dtype: where and of which type the parameters are.
        bias: whether there is a learned shift.

    Source: Ulyanov et al., Instance Normalization, 2016.

    >>> import rushlight as torch
    >>> torch.nn.{name}(3)(torch.rand({shape})).shape
    torch.Size({shape_list})
    """


def _define(n: int, inputs: str):
    """The layer for signals, images or volumes, and its lazy form."""
    name, shape = f"InstanceNorm{n}d", [4, 3, *[5] * n]
    doc = _DOC.format(inputs=inputs, name=name, shape=", ".join(map(str, shape)), shape_list=shape)
    shared = {"__module__": __name__, "_input_dims": (n + 1, n + 2)}
    layer = type(name, (_InstanceNorm,), {**shared, "__doc__": doc})
    lazy_doc = f"A `{name}` that takes `num_features` from its first input; its other arguments are the same."
    return layer, type(
        f"Lazy{name}", (_LazyNormBase, _InstanceNorm), {**shared, "cls_to_become": layer, "__doc__": lazy_doc}
    )


InstanceNorm1d, LazyInstanceNorm1d = _define(1, "signals (N, C, L)")
InstanceNorm2d, LazyInstanceNorm2d = _define(2, "images (N, C, H, W)")
InstanceNorm3d, LazyInstanceNorm3d = _define(3, "volumes (N, C, D, H, W)")

__all__ = [
    "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d", "LazyInstanceNorm1d", "LazyInstanceNorm2d",
    "LazyInstanceNorm3d",
]  # fmt: skip
