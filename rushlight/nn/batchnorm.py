"""Batch normalization layers."""

from rushlight import kernels as K
from rushlight.nn import functional as F
from rushlight.nn import init
from rushlight.nn.lazy import LazyModuleMixin
from rushlight.nn.module import Module
from rushlight.nn.parameter import Parameter, UninitializedBuffer, UninitializedParameter
from rushlight.ops.creation import empty, ones, tensor, zeros


class _NormBase(Module):
    """Per-channel scale and shift, and running statistics: what batch and instance normalization share."""

    _version = 2  # 2: with num_batches_tracked
    _input_dims: tuple[int, ...] = ()  # the numbers of dimensions that an input may have

    def __init__(
        self, num_features, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True, device=None,
        dtype=None, *, bias=True,
    ):  # fmt: skip
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        made = {"device": device, "dtype": dtype}
        self.register_parameter("weight", Parameter(empty(num_features, **made)) if affine else None)
        self.register_parameter("bias", Parameter(empty(num_features, **made)) if affine and bias else None)
        tracked = track_running_stats
        self.register_buffer("running_mean", zeros(num_features, **made) if tracked else None)
        self.register_buffer("running_var", ones(num_features, **made) if tracked else None)
        self.register_buffer("num_batches_tracked", tensor(0, device=device) if tracked else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget the running statistics: mean 0, variance 1."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Scale 1, shift 0, and no running statistics."""
        self.reset_running_stats()
        if self.affine:
            init.ones_(self.weight)
            if self.bias is not None:
                init.zeros_(self.bias)

    def _check_input_dim(self, input) -> None:
        if input.dim() not in self._input_dims:
            expected = " or ".join(f"{n}D" for n in self._input_dims)
            fitting = {2: "BatchNorm1d", 3: "BatchNorm1d", 4: "BatchNorm2d", 5: "BatchNorm3d"}.get(
                input.dim()
            )
            hint = f"; for shape {list(input.shape)} take nn.{fitting}" if fitting else ""
            raise ValueError(f"expected {expected} input (got {input.dim()}D input){hint}")

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args) -> None:
        version = local_metadata.get("version")
        if (version is None or version < 2) and self.track_running_stats:
            tracked = self.num_batches_tracked
            state_dict.setdefault(prefix + "num_batches_tracked", tensor(0) if tracked is None else tracked)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


class _BatchNorm(_NormBase):
    """Batch normalization of inputs with any number of dimensions."""

    def forward(self, input):
        self._check_input_dim(input)
        training, momentum = self.training, self.momentum
        mean, var = self.running_mean, self.running_var
        if not training:
            return F.batch_norm(
                input,
                mean,
                var,
                self.weight,
                self.bias,
                mean is None and var is None,
                momentum or 0.0,
                self.eps,
            )
        if not self.track_running_stats:
            mean = var = None
        elif self.num_batches_tracked is not None:
            count = self.num_batches_tracked._array
            K.add(count, 1, out=count)  # add_(1) takes ten times as long
            if momentum is None:
                momentum = 1.0 / float(self.num_batches_tracked)
        return F.batch_norm(input, mean, var, self.weight, self.bias, True, momentum or 0.0, self.eps)


class SyncBatchNorm(_BatchNorm):
    """Batch normalization over all processes of a group, which PyTorch has on GPUs; in one process that of its batch.

    Args:
        num_features: the number of channels C.
        eps: added to the variance.
        momentum: weight of a new batch in the running statistics; None for their plain average.
        affine: whether there are a learned scale and shift.
        track_running_stats: whether to keep running statistics and use them in evaluation mode.
        process_group: accepted, without effect.
        device, dtype: where and of which type the parameters are.
        bias: whether there is a learned shift.
    Raises:
        ValueError: in training, a process group is there: on the CPU batches are not put together.

    >>> import rushlight as torch
    >>> torch.nn.SyncBatchNorm(3)(torch.rand(4, 3, 5)).shape
    torch.Size([4, 3, 5])
    """

    def __init__(
        self, num_features, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True,
        process_group=None, device=None, dtype=None,
        *, bias=True,
    ):  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)
        self.process_group = process_group

    def _check_input_dim(self, input) -> None:
        if input.dim() < 2:
            raise ValueError(f"expected at least 2D input (got {input.dim()}D input)")
        if input.size(1) == 0:
            raise ValueError("SyncBatchNorm number of input channels should be non-zero")

    def forward(self, input):
        from rushlight import distributed

        if self.training and distributed.is_initialized():
            raise ValueError(
                "SyncBatchNorm expected input tensor to be on GPU or XPU: on the CPU take nn.BatchNorm, which "
                "normalizes the batch of each process"
            )
        return super().forward(input)

    @classmethod
    def convert_sync_batchnorm(cls, module, process_group=None):
        """The model with its batch normalizations replaced by `SyncBatchNorm`, sharing parameters and buffers.

        Args:
            module: a model, or one layer.
            process_group: accepted, without effect.
        Returns:
            The same model, changed; a new layer where the module itself is a batch normalization.
        """
        converted = module
        if isinstance(module, _BatchNorm):
            converted = cls(
                module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats,
                process_group, bias=module.bias is not None,
            )  # fmt: skip
            if module.affine:
                converted.weight, converted.bias = module.weight, module.bias
            for name in ("running_mean", "running_var", "num_batches_tracked", "training"):
                setattr(converted, name, getattr(module, name))
        for name, child in module.named_children():
            converted.add_module(name, cls.convert_sync_batchnorm(child, process_group))
        return converted


class _LazyNormBase(LazyModuleMixin, _NormBase):
    """A normalization that takes `num_features` from its first input."""

    def __init__(
        self,
        eps=1e-05,
        momentum=0.1,
        affine=True,
        track_running_stats=True,
        device=None,
        dtype=None,
        *,
        bias=True,
    ):
        super().__init__(0, eps, momentum, False, False, device, dtype, bias=False)
        self.affine = affine
        self.track_running_stats = track_running_stats
        made = {"device": device, "dtype": dtype}
        if affine:
            self.weight = UninitializedParameter(**made)
            if bias:
                self.bias = UninitializedParameter(**made)
        if track_running_stats:
            self.running_mean = UninitializedBuffer(**made)
            self.running_var = UninitializedBuffer(**made)
            self.num_batches_tracked = tensor(0, device=device)

    def reset_parameters(self) -> None:
        """Set the first values, once the shapes are known."""
        if not self.has_uninitialized_params() and self.num_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input) -> None:
        """Take the number of channels from the input."""
        if not self.has_uninitialized_params():
            return
        self.num_features = input.shape[1]
        for t in (self.weight, self.bias, self.running_mean, self.running_var):
            if t is not None:
                t.materialize((self.num_features,))
        self.reset_parameters()


_DOC = """Batch normalization of {inputs}: each channel to mean 0 and variance 1, then scaled and shifted.

    Args:
        num_features: the number of channels C.
        eps: added to the variance.
        momentum: weight of a new batch in the running statistics; None for their plain average.
        affine: whether there are a learned scale and shift.
        track_running_stats: whether to keep running statistics and use them in evaluation mode.
        device, dtype: where and of which type the parameters are.
        bias: whether there is a learned shift.
    Attributes: `weight` and `bias` (C,), at first 1 and 0; buffers `running_mean`, `running_var`,
        `num_batches_tracked`.

    Source: Ioffe & Szegedy, Batch Normalization, ICML 2015.

    >>> import rushlight as torch
    >>> torch.nn.{name}(3)(torch.rand({shape})).shape
    torch.Size({shape_list})
    """


def _define(n: int, input_dims: tuple[int, ...], inputs: str, shape: list[int]):
    """The layer for signals, images or volumes, and its lazy form."""
    name = f"BatchNorm{n}d"
    doc = _DOC.format(inputs=inputs, name=name, shape=", ".join(map(str, shape)), shape_list=shape)
    layer = type(name, (_BatchNorm,), {"__module__": __name__, "_input_dims": input_dims, "__doc__": doc})
    lazy_doc = f"A `{name}` that takes `num_features` from its first input; its other arguments are the same."
    fields = {"__module__": __name__, "_input_dims": input_dims, "cls_to_become": layer, "__doc__": lazy_doc}
    return layer, type(f"Lazy{name}", (_LazyNormBase, _BatchNorm), fields)


BatchNorm1d, LazyBatchNorm1d = _define(1, (2, 3), "vectors (N, C) or signals (N, C, L)", [4, 3])
BatchNorm2d, LazyBatchNorm2d = _define(2, (4,), "images (N, C, H, W)", [4, 3, 5, 5])
BatchNorm3d, LazyBatchNorm3d = _define(3, (5,), "volumes (N, C, D, H, W)", [4, 3, 5, 5, 5])

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "LazyBatchNorm1d",
    "LazyBatchNorm2d",
    "LazyBatchNorm3d",
    "SyncBatchNorm",
]
